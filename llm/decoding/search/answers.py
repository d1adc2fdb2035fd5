"""The answer within a text: what the first group of a regular expression captures.

The expression comes with a request, so it is followed as an automaton, all of whose states advance
at once (Pike's machine): no expression and no text can make it slow. What is found is what
backtracking would find: the match that begins first, by the first of several ways. The syntax is
that of `llm/stop_pattern.py`, and in addition anchors, borders of words and a leading (?i).
"""

from collections.abc import Callable
from typing import NamedTuple

from llm.stop_pattern import MAX_PATTERN_LENGTH, PatternParser, PatternPart

MAX_INSTRUCTIONS = 512
MAX_TEXT = 20_000  # characters that are looked at; the rest is not

_IGNORE_CASE = "(?i)"
_Found = tuple[int, int, int]  # where the match begins; where the group begins and ends, or -1


class _Instruction(NamedTuple):
    """One of: take a character, be at a place, note where the group begins or ends, go on.

    `follow` are the instructions after it, the preferred first.
    """

    follow: tuple[int, ...] = ()
    test: Callable[[str], bool] | None = None
    place: str = ""
    note: int = 0


class AnswerPattern:
    """A compiled expression; frozen, so it may be shared."""

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            ValueError: it is no regular expression, needs more than an automaton, or is too large.
        """
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise ValueError(
                f"an answer_regex may have {MAX_PATTERN_LENGTH} characters at most, got"
                f" {len(pattern)}"
            )
        self._ignores_case = pattern.startswith(_IGNORE_CASE)
        parser = _AnswerParser(pattern.removeprefix(_IGNORE_CASE))
        root = parser.parse()
        self._has_group = parser.has_group
        self._program: list[_Instruction] = [_Instruction()]  # 0: the match
        self._start = self._compile(root, 0)

    def find(self, text: str) -> str | None:
        """Return what the first group captured (without a group, the match), None if no match.

        A group that the match went around captured nothing, which is None too.
        """
        text = text[:MAX_TEXT]
        found: tuple[_Found, int] | None = None
        threads: dict[int, _Found] = {}
        for at in range(len(text) + 1):
            if found is None:  # a match may begin here, if none did before
                self._follow(self._start, (at, -1, -1), text, at, threads)
            character = text[at : at + 1]
            entered: dict[int, _Found] = {}
            for address, noted in threads.items():
                if address == 0:
                    found = noted, at
                    break  # what comes later is not preferred
                instruction = self._program[address]
                if character and instruction.test is not None and instruction.test(character):
                    self._follow(instruction.follow[0], noted, text, at + 1, entered)
            threads = entered
            if found is not None and not threads:
                break
        if found is None:
            return None
        (begin, group_begin, group_end), end = found
        if not self._has_group:
            return text[begin:end]
        return None if group_end < 0 else text[group_begin:group_end]

    def _follow(
        self, address: int, noted: _Found, text: str, at: int, threads: dict[int, _Found]
    ) -> None:
        """Add what can be reached without a character, the preferred first."""
        stack = [(address, noted)]
        while stack:
            address, noted = stack.pop()
            if address in threads:
                continue
            threads[address] = noted
            instruction = self._program[address]
            if instruction.test is not None or not _is_at(instruction.place, text, at):
                continue
            if instruction.note == 1:
                noted = (noted[0], at, -1)
            elif instruction.note:
                noted = (noted[0], noted[1], at)
            stack.extend((below, noted) for below in reversed(instruction.follow))

    def _compile(self, part: PatternPart, follow: int) -> int:
        """Append a part's instructions, which lead to `follow`; return the address to begin at."""
        if part.kind == "character":
            assert part.test is not None
            return self._append(_Instruction((follow,), test=self._cased(part.test)))
        if part.kind == "choice":
            return self._append(
                _Instruction(tuple(self._compile(inner, follow) for inner in part.parts))
            )
        if part.kind in ("repeat", "lazy"):
            return self._compile_repeat(part, follow)
        if part.kind == "group":
            end = self._append(_Instruction((follow,), note=2))
            return self._append(_Instruction((self._compile(part.parts[0], end),), note=1))
        if part.kind != "series":
            return self._append(_Instruction((follow,), place=part.kind))
        for inner in reversed(part.parts):
            follow = self._compile(inner, follow)
        return follow

    def _compile_repeat(self, part: PatternPart, follow: int) -> int:
        (inner,) = part.parts
        begin, leave = follow, follow
        if part.most is None:
            begin = self._append(_Instruction())
            self._program[begin] = self._either(part, self._compile(inner, begin), leave)
        for _ in range((part.most or part.least) - part.least):
            begin = self._append(self._either(part, self._compile(inner, begin), leave))
        for _ in range(part.least):
            before, begin = begin, self._compile(inner, begin)
            if begin == before:  # nothing to repeat, however often
                break
        return begin

    def _either(self, part: PatternPart, again: int, leave: int) -> _Instruction:
        return _Instruction((leave, again) if part.kind == "lazy" else (again, leave))

    def _append(self, instruction: _Instruction) -> int:
        if len(self._program) == MAX_INSTRUCTIONS:
            raise ValueError(
                f"an answer_regex may have {MAX_INSTRUCTIONS} steps at most; lower its repeat"
                " counts"
            )
        self._program.append(instruction)
        return len(self._program) - 1

    def _cased(self, test: Callable[[str], bool]) -> Callable[[str], bool]:
        if not self._ignores_case:
            return test
        return lambda c: test(c) or test(c.lower()) or test(c.upper())


class _AnswerParser(PatternParser):
    """The parser of stop patterns, that minds groups, lazy repeats and places too."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.has_group = False
        self._bounds_end = 0

    def _error(self, what: str) -> ValueError:
        return ValueError(f"answer_regex {self._text[:60]!r} {what}, at character {self._at}")

    def _group(self) -> PatternPart:
        captures = self._peek() != "?" and not self.has_group
        self.has_group |= captures
        inner = super()._group()
        return PatternPart(kind="group", parts=(inner,)) if captures else inner

    def _bounds(self) -> tuple[int, int | None] | None:
        bounds = super()._bounds()
        if bounds is not None:
            self._bounds_end = self._at
        return bounds

    def _quantified(self, part: PatternPart) -> PatternPart:
        repeat = super()._quantified(part)
        if repeat is part or self._at == self._bounds_end:  # else a ? follows the bounds
            return repeat
        return PatternPart(kind="lazy", parts=(part,), least=repeat.least, most=repeat.most)

    def _atom(self) -> PatternPart:
        for sign in ("^", "$", "\\b"):
            if self._text.startswith(sign, self._at):
                self._at += len(sign)
                return PatternPart(kind=sign)
        return super()._atom()


def _is_at(place: str, text: str, at: int) -> bool:
    """Whether a position of a text is one: ^, $, a border of a word, or any."""
    if place == "^":
        return at == 0
    if place == "$":
        return at == len(text) or text[at:] == "\n"
    if place == "\\b":
        return _is_word(text[at - 1 : at] if at else "") != _is_word(text[at : at + 1])
    return True


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
