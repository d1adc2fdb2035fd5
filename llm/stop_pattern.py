"""Regular expressions that end a text, followed one character at a time.

A pattern is a finite automaton, all of whose states are followed at once: a character costs at most
as many steps as the pattern has states, and a pattern with too many states is refused. What needs
more than an automaton (back references, look-around, anchors) is refused by name. Knows nothing of
tokens or of what is done with a match.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PATTERN_LENGTH = 1000
MAX_STATES = 512
MAX_STEPS = 8192  # from state to state: so many tries a character may cost
_MAX_DEPTH = 40

# What one character must be; None: an empty step.
_Test = Callable[[str], bool]
_CLASSES: dict[str, _Test] = {
    "d": str.isdecimal,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
    "D": lambda c: not c.isdecimal(),
    "W": lambda c: not (c.isalnum() or c == "_"),
    "S": lambda c: not c.isspace(),
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPart:
    """A piece of a pattern: one character, a series, a choice or a repetition of others."""

    test: _Test | None = None
    kind: str = "character"
    parts: "tuple[PatternPart, ...]" = ()
    least: int = 1
    most: int | None = 1
    size: int = field(init=False)

    def __post_init__(self) -> None:
        inner = sum(part.size for part in self.parts)
        if self.kind == "character":
            size = 1
        elif self.kind == "repeat":
            times = self.least + 1 if self.most is None else self.most
            size = inner * times + 1
        else:
            size = inner
        object.__setattr__(self, "size", size)


class StopPattern:
    """A compiled pattern; frozen, so it may be shared."""

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            ValueError: it is no regular expression, needs more than an automaton, matches the empty
                text, or is too large.
        """
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise ValueError(
                f"a stop_regex may have {MAX_PATTERN_LENGTH} characters at most, got {len(pattern)}"
            )
        self.pattern = pattern
        root = PatternParser(pattern).parse()
        if root.size > MAX_STATES:
            raise ValueError(
                f"stop_regex {_shown(pattern)} has {root.size} states and at most {MAX_STATES} are"
                " taken; lower its repeat counts"
            )
        self._tests: list[_Test] = []
        self._follow: list[frozenset[int]] = []
        self._num_steps = 0
        first, last, empty = self._build(root)
        if empty:
            raise ValueError(
                f"stop_regex {_shown(pattern)} matches the empty text, so every answer would be"
                " empty; let it begin with a character that must come"
            )
        self.first = tuple(sorted(first))
        self.final = frozenset(last)

    def follow(self, state: int) -> frozenset[int]:
        """Return the states that may come after one."""
        return self._follow[state]

    def accepts(self, state: int, character: str) -> bool:
        """Whether a state is entered with this character."""
        return self._tests[state](character)

    def _build(self, part: PatternPart) -> tuple[frozenset[int], frozenset[int], bool]:
        """Return a part's first and last states and whether it may be empty (Glushkov)."""
        if part.kind == "character":
            assert part.test is not None
            state = frozenset([len(self._tests)])
            self._tests.append(part.test)
            self._follow.append(frozenset())
            return state, state, False
        if part.kind == "choice":
            built = [self._build(inner) for inner in part.parts]
            first = frozenset().union(*(f for f, _, _ in built))
            last = frozenset().union(*(ends for _, ends, _ in built))
            return first, last, any(empty for _, _, empty in built)
        if part.kind == "series":
            return self._series([self._build(inner) for inner in part.parts])
        return self._repeat(part)

    def _repeat(self, part: PatternPart) -> tuple[frozenset[int], frozenset[int], bool]:
        (inner,) = part.parts
        copies = []
        for i in range(part.least if part.most is None else part.most):
            first, last, empty = self._build(inner)
            copies.append((first, last, empty or i >= part.least))
        if part.most is None:
            first, last, _ = self._build(inner)
            self._link(last, first)
            copies.append((first, last, True))
        return self._series(copies)

    def _series(
        self, built: list[tuple[frozenset[int], frozenset[int], bool]]
    ) -> tuple[frozenset[int], frozenset[int], bool]:
        first: frozenset[int] = frozenset()
        last: frozenset[int] = frozenset()
        empty = True
        for next_first, next_last, next_empty in built:
            self._link(last, next_first)
            first = first | next_first if empty else first
            last = last | next_last if next_empty else next_last
            empty = empty and next_empty
        return first, last, empty

    def _link(self, sources: frozenset[int], targets: frozenset[int]) -> None:
        for source in sources:
            self._num_steps += len(targets - self._follow[source])
            self._follow[source] |= targets
        if self._num_steps > MAX_STEPS:
            raise ValueError(
                f"stop_regex {_shown(self.pattern)} has more than {MAX_STEPS} ways from one"
                " character to the next; lower its repeat counts"
            )


class PatternWalk:
    """How far a text has come in a pattern. Beginnings of matches are counted in characters."""

    __slots__ = ("_at", "_pattern", "_states")

    def __init__(self, pattern: StopPattern) -> None:
        self._pattern = pattern
        self._states: dict[int, int] = {}  # state -> the earliest beginning that leads there
        self._at = 0

    def push(self, character: str) -> int | None:
        """Take a character; return where the earliest match that ends with it begins, if any."""
        pattern = self._pattern
        entered: dict[int, int] = {}
        for state, begin in self._states.items():
            for target in pattern.follow(state):
                if begin < entered.get(target, self._at) and pattern.accepts(target, character):
                    entered[target] = begin
        for target in pattern.first:
            if target not in entered and pattern.accepts(target, character):
                entered[target] = self._at
        self._states = entered
        self._at += 1
        return min((entered[state] for state in pattern.final & entered.keys()), default=None)

    @property
    def earliest(self) -> int:
        """Where the earliest match that is still possible begins; the end of the text if none."""
        return min(self._states.values(), default=self._at)


def _shown(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 60 else pattern[:57] + "…")


class PatternParser:
    """Reads the text of a pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> PatternPart:
        """Return the whole pattern; see `StopPattern` for errors."""
        part = self._choice()
        if self._at < len(self._text):
            raise self._error("has a ')' too many")
        return part

    def _error(self, what: str) -> ValueError:
        return ValueError(f"stop_regex {_shown(self._text)} {what}, at character {self._at}")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise self._error("ends too early")
        self._at += 1
        return character

    def _choice(self) -> PatternPart:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"is nested more than {_MAX_DEPTH} deep")
        options = [self._series()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._series())
        self._depth -= 1
        return options[0] if len(options) == 1 else PatternPart(kind="choice", parts=tuple(options))

    def _series(self) -> PatternPart:
        parts: list[PatternPart] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._quantified(self._atom()))
        return PatternPart(kind="series", parts=tuple(parts))

    def _quantified(self, part: PatternPart) -> PatternPart:
        bounds = self._bounds()
        if bounds is None:
            return part
        if self._peek() == "?":  # which of several ends is taken makes no difference here
            self._at += 1
        elif self._peek() == "+":
            raise self._error("uses a possessive quantifier, which is not supported")
        if self._bounds() is not None:
            raise self._error("repeats a repeat; write a group around the inner one")
        return PatternPart(kind="repeat", parts=(part,), least=bounds[0], most=bounds[1])

    def _bounds(self) -> tuple[int, int | None] | None:
        character = self._peek()
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if character in simple:
            self._at += 1
            return simple[character]
        end = self._text.find("}", self._at)
        if character != "{" or end < 0:
            return None
        least, comma, most = self._text[self._at + 1 : end].partition(",")
        if not (least + most).isdecimal() or (not comma and not least):
            return None  # a brace that is meant as it stands
        self._at = end + 1
        low = _count(least)
        high = (_count(most) if most else None) if comma else low
        if high is not None and high < low:
            raise self._error("has a repeat whose upper bound is the lower one")
        return low, high

    def _atom(self) -> PatternPart:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return PatternPart(test=self._class())
        if character == ".":
            return PatternPart(test=lambda c: c != "\n")
        if character == "\\":
            return PatternPart(test=self._escape(inside=False))
        if character in "^$":
            raise self._error(f"uses the anchor {character!r}, which is not supported")
        if character in "*+?":
            raise self._error(f"has a {character!r} with nothing to repeat")
        return PatternPart(test=character.__eq__)

    def _group(self) -> PatternPart:
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._error("uses a group of the form (?…), of which only (?:…) is supported")
            self._at += 2
        inner = self._choice()
        if self._peek() != ")":
            raise self._error("lacks a ')'")
        self._at += 1
        return inner

    def _escape(self, *, inside: bool) -> _Test:
        found = self._escaped(inside=inside)
        return found.__eq__ if isinstance(found, str) else found

    def _escaped(self, *, inside: bool) -> "str | _Test":
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if inside and character == "b":
            return "\b"
        if character in _HEX_DIGITS:
            digits = self._text[self._at : self._at + _HEX_DIGITS[character]]
            self._at += len(digits)
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise self._error(f"has the escape \\{character}{digits}, no character") from None
        if character.isascii() and character.isalnum():
            raise self._error(f"uses \\{character}, which is not supported")
        return character

    def _class(self) -> _Test:
        inverted = self._peek() == "^"
        self._at += inverted
        tests: list[_Test] = []
        ranges: list[tuple[str, str]] = []
        start = self._at
        while self._peek() != "]" or self._at == start:
            low = self._member()
            if not isinstance(low, str):
                tests.append(low)
                continue
            high: str | _Test = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                high = self._member()
            if not isinstance(high, str) or high < low:
                raise self._error("has a range whose ends are in the wrong order")
            ranges.append((low, high))
        self._at += 1

        def test(c: str) -> bool:
            inside = any(low <= c <= high for low, high in ranges) or any(t(c) for t in tests)
            return inside != inverted

        return test

    def _member(self) -> "str | _Test":
        character = self._next()
        return self._escaped(inside=True) if character == "\\" else character


def _count(digits: str) -> int:
    """Read a repeat count; one of many digits is too large whatever it is."""
    return int(digits or "0") if len(digits) <= 6 else 10**6
