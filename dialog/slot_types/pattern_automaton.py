"""Thompson's automaton of a pattern: all states at once, one step a character."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_STATES = 2_000
MAX_CHARS = 500
MAX_REPEAT = 100

_Test = Callable[[str], bool]
_CLASSES: dict[str, _Test] = {
    "d": lambda c: c.isascii() and c.isdigit(),
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
    "D": lambda c: not (c.isascii() and c.isdigit()),
    "W": lambda c: not (c.isalnum() or c == "_"),
    "S": lambda c: not c.isspace(),
}
_SPECIAL = frozenset("()[]{}|?*+.\\^$")


class PatternError(ValueError):
    """A pattern outside of the subset."""


@dataclass(frozen=True, slots=True)
class _Char:
    test: _Test


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Either:
    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    part: "_Node"
    least: int
    most: int | None


_Node = _Char | _Sequence | _Either | _Repeat


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        if len(self._text) > MAX_CHARS:
            raise PatternError(f"a pattern has at most {MAX_CHARS} characters")
        self._text = self._text.removeprefix("^")
        if self._text.endswith("$") and not self._text.endswith("\\$"):
            self._text = self._text[:-1]
        node = self._either()
        if self._at < len(self._text):
            raise PatternError(f"{self._text[self._at]!r} is not expected at {self._at + 1}")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        sign = self._peek()
        if not sign:
            raise PatternError("the pattern ends too early")
        self._at += 1
        return sign

    def _either(self) -> _Node:
        self._depth += 1
        if self._depth > 20:
            raise PatternError("more than 20 groups inside of each other")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else _Either(tuple(branches))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() and self._peek() not in "|)":
            parts.append(self._repeated(self._atom()))
        return _Sequence(tuple(parts))

    def _repeated(self, node: _Node) -> _Node:
        sign = self._peek()
        bounds: tuple[int, int | None]
        if sign in {"?", "*", "+"}:
            self._at += 1
            bounds = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        elif sign == "{":
            bounds = self._bounds()
        else:
            return node
        if self._peek() in {"?", "*", "+", "{"}:
            raise PatternError("one repetition at a time; put the first into a group")
        return _Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        inner = self._text[self._at + 1 : end] if end > 0 else ""
        least, comma, most = inner.partition(",")
        if not least.isdigit() or (most and not most.isdigit()):
            raise PatternError("a repetition is {3}, {2,4} or {2,}")
        self._at = end + 1
        upper = int(least) if not comma else int(most) if most else None
        if int(least) > MAX_REPEAT or (upper is not None and not int(least) <= upper <= MAX_REPEAT):
            raise PatternError(f"a repetition counts up to {MAX_REPEAT}, got {{{inner}}}")
        return int(least), upper

    def _atom(self) -> _Node:
        sign = self._take()
        match sign:
            case "(":
                if self._peek() == "?" and self._text[self._at : self._at + 2] != "?:":
                    raise PatternError("look-around, flags and named groups are not supported")
                self._at += 2 if self._peek() == "?" else 0
                node = self._either()
                if self._take() != ")":
                    raise PatternError("a group is not closed")
                return node
            case "[":
                return _Char(self._class())
            case ".":
                return _Char(lambda c: c != "\n")
            case "\\":
                return _Char(self._escaped())
        if sign in _SPECIAL:
            raise PatternError(
                f"{sign!r} stands for nothing here; write \\{sign} for the character"
            )
        return _Char(_equals(sign))

    def _escaped(self) -> _Test:
        sign = self._take()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign.isalnum():
            raise PatternError(
                f"\\{sign} is not supported; there are \\d \\w \\s and their contraries"
            )
        return _equals(sign)

    def _class(self) -> _Test:
        is_inverse = self._peek() == "^"
        self._at += is_inverse
        tests: list[_Test] = []
        while (sign := self._take()) != "]" or not tests:
            if sign == "\\":
                tests.append(self._escaped())
                continue
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
                self._at += 1
                last = self._take()
                if last < sign:
                    raise PatternError(f"the range {sign}-{last} is empty")
                tests.append(_between(sign, last))
            else:
                tests.append(_equals(sign))
        return (
            (lambda c: not any(t(c) for t in tests))
            if is_inverse
            else lambda c: any(t(c) for t in tests)
        )


def _equals(sign: str) -> _Test:
    return lambda c: c == sign


def _between(first: str, last: str) -> _Test:
    return lambda c: first <= c <= last


class Automaton:
    """The automaton of a pattern.

    Raises:
        PatternError: the pattern is outside of the subset, or has more than `MAX_STATES` states.
    """

    def __init__(self, pattern: str) -> None:
        self._tests: list[_Test | None] = []
        self._next: list[list[int]] = []
        start, end = self._build(_Reader(pattern).whole())
        self._start, self._end = start, end

    def _state(self, test: _Test | None = None) -> int:
        if len(self._tests) >= MAX_STATES:
            raise PatternError(f"the pattern is too large: more than {MAX_STATES} states")
        self._tests.append(test)
        self._next.append([])
        return len(self._tests) - 1

    def _build(self, node: _Node) -> tuple[int, int]:
        match node:
            case _Char():
                start, end = self._state(node.test), self._state()
                self._next[start].append(end)
                return start, end
            case _Sequence():
                start = end = self._state()
                for part in node.parts:
                    first, last = self._build(part)
                    self._next[end].append(first)
                    end = last
                return start, end
            case _Either():
                start, end = self._state(), self._state()
                for part in node.parts:
                    first, last = self._build(part)
                    self._next[start].append(first)
                    self._next[last].append(end)
                return start, end
            case _:
                return self._repeat(node)

    def _repeat(self, node: _Repeat) -> tuple[int, int]:
        start = end = self._state()
        for _ in range(node.least):
            first, last = self._build(node.part)
            self._next[end].append(first)
            end = last
        if node.most is None:
            first, last = self._build(node.part)
            after = self._state()
            self._next[end] += [first, after]
            self._next[last] += [first, after]
            return start, after
        after = self._state()
        for _ in range(node.most - node.least):
            first, last = self._build(node.part)
            self._next[end] += [first, after]
            end = last
        self._next[end].append(after)
        return start, after

    def _closure(self, states: set[int]) -> set[int]:
        seen, waiting = set(states), list(states)
        while waiting:
            state = waiting.pop()
            if self._tests[state] is None:
                new = [n for n in self._next[state] if n not in seen]
                seen.update(new)
                waiting += new
        return seen

    def is_match(self, text: str) -> bool:
        """Return whether the whole text matches; at most states x characters steps."""
        states = self._closure({self._start})
        for sign in text:
            after = {
                n
                for state in states
                if (test := self._tests[state]) is not None and test(sign)
                for n in self._next[state]
            }
            states = self._closure(after)
            if not states:
                return False
        return self._end in states
