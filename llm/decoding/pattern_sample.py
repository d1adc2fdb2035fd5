"""A short string that a regex matches, as a guess from its text.

Only guesses: whoever uses one tries it first. Knows no grammar.
"""

_CLASSES = {
    "d": "0",
    "w": "a",
    "s": " ",
    "D": "a",
    "W": " ",
    "S": "a",
    "n": "\n",
    "t": "\t",
    "r": "\r",
}
_UNLIKELY = "a0A _-.:/@~"
_MAX_LENGTH = 1024
FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "duration": "P1D",
    "email": "a@a.aa",
    "hostname": "a",
    "ipv4": "0.0.0.0",  # noqa: S104
    "ipv6": "::",
    "time": "00:00:00Z",
    "uri": "a:",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def sample(pattern: str) -> str | None:
    """Return what `pattern` probably matches; None where it is beyond this reader."""
    try:
        return _Reader(pattern).whole()
    except (IndexError, ValueError, RecursionError):
        return None


class _Reader:
    """Reads a pattern from left to right, writing the shortest of what it asks."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def whole(self) -> str:
        found = self._alternatives()
        if self._at < len(self._text):
            raise ValueError("an unexpected bracket")
        return found

    def _alternatives(self) -> str:
        ways = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            ways.append(self._sequence())
        return min(ways, key=len)

    def _sequence(self) -> str:
        found = ""
        while self._peek() not in ("", "|", ")"):
            least = self._item()
            count = self._least_count()
            found += least * count
            if len(found) > _MAX_LENGTH:
                raise ValueError("too long")
        return found

    def _item(self) -> str:
        character = self._take()
        if character == "(":
            if self._peek() == "?":
                self._group_flags()
            inner = self._alternatives()
            if self._take() != ")":
                raise ValueError("an open bracket")
            return inner
        if character == "[":
            return self._class()
        if character == "\\":
            escaped = self._take()
            return "" if escaped in "bBAzZ" else _CLASSES.get(escaped, escaped)
        if character in "^$":
            return ""
        return "a" if character == "." else character

    def _group_flags(self) -> None:
        self._at += 1
        while self._take() not in ":>":
            if self._text[self._at - 1] in "=!()":
                raise ValueError("look-around, or flags")

    def _class(self) -> str:
        negated = self._peek() == "^"
        self._at += int(negated)
        members: list[str] = []
        while True:
            character = self._take()
            if character == "]" and members:
                break
            if character == "\\":
                escaped = self._take()
                members.append(_CLASSES.get(escaped, escaped))
            elif character == "-" and members and self._peek() != "]":
                last = self._take()
                members += [chr(i) for i in range(ord(members[-1]), min(ord(last), 0x17F) + 1)]
            else:
                members.append(character)
        if not negated:
            return members[0]
        return next(character for character in _UNLIKELY if character not in members)

    def _least_count(self) -> int:
        least = 1
        following = self._peek()
        if following in ("*", "?"):
            self._at += 1
            least = 0
        elif following == "+":
            self._at += 1
        elif following == "{" and self._text[self._at + 1].isdigit():
            end = self._text.index("}", self._at)
            least = int(self._text[self._at + 1 : end].split(",")[0])
            self._at = end + 1
        if self._peek() == "?":  # a lazy one
            self._at += 1
        return least

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        self._at += 1
        return self._text[self._at - 1]
