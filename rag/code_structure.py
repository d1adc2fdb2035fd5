"""The structure of source code: each definition is a section, what stands between them is apart.

Python is read by its tokens, which no text can drive into deep recursion as its parser; other
languages by their unindented lines. Every visible character lies in exactly one section.
"""

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_WORDS = 3  # of a statement: `async def name`
_LOOK_CHARS = 200  # enough of a line to know what it defines
_MAX_NAME_CHARS = 100
_MAX_PYTHON_CHARS = 2_000_000  # two seconds of tokens; what is longer is no module that is read
_BLANK_TOKENS = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT})
_DEFINITION = re.compile(
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|inline"
    r"|virtual|open|sealed|data|const|unsafe|extern|pub(?:\([\w:]+\))?)\s+)*"
    r"(?:fn|func|function\*?|fun|def|defmodule|defp|class|struct|interface|enum|trait|impl|module"
    r"|mod|namespace|type|protocol|extension|object|sub|proc|macro_rules!)\s+"
    r"(?:\([^)]{0,80}\)\s*)?(?:<[^>]{0,80}>\s*)?([A-Za-z_$][\w$:.]*)",
)
_SQL = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index|trigger)\s+"
    r"(?:if\s+not\s+exists\s+)?([\w.\"`]+)",
    re.IGNORECASE,
)
_C_FUNCTION = re.compile(r"(?:[A-Za-z_][\w:<>,&*\s]{0,80}[\s&*])([A-Za-z_~][\w:~]*)\s*\([^;]*$")
_STATEMENT = re.compile(r"(?:else|return|if|for|while|switch|do|goto|case|typedef|using|new)\b")
_ABOVE = re.compile(r"\s*(?://|/\*|\*|#|--|;|@|\[|%|template\s*<|\"\"\")")


class CodeSection(NamedTuple):
    """A span of characters and the names of the definitions that it lies in."""

    start: int
    end: int
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mark:
    """From this line on something else is defined, or nothing."""

    row: int  # from 0
    path: tuple[str, ...]
    is_class: bool = False


@dataclass(slots=True)
class _Open:
    """The definitions that are open at a place, with the depth of their indent."""

    stack: list[tuple[int, str, bool]] = field(default_factory=list)

    def close(self, depth: int) -> bool:
        """Close those at this depth or deeper; return whether there were any."""
        before = len(self.stack)
        while self.stack and self.stack[-1][0] >= depth:
            self.stack.pop()
        return len(self.stack) < before

    def is_in_function(self) -> bool:
        return any(not is_class for _, _, is_class in self.stack)

    def path(self) -> tuple[str, ...]:
        return tuple(name for _, name, _ in self.stack)


def code_sections(text: str, *, is_python: bool, whole_chars: int) -> list[CodeSection]:
    """Return the sections of source code in order.

    Args:
        text: all of it.
        is_python: whether to read it as Python; what is none is read as any language.
        whole_chars: a class that is no longer stays one section, a longer one is cut into its
            methods.
    """
    lines = text.split("\n")
    marks: list[_Mark] | None = None
    if is_python and len(text) <= _MAX_PYTHON_CHARS:
        marks = _python_marks(text, lines)
    if marks is None:
        marks = list(_marks(lines))
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    starts[-1] = len(text)
    if not marks or marks[0].row > 0:
        marks = [_Mark(0, ()), *marks]
    marks = _whole_classes(marks, starts, whole_chars)
    ends = [*(starts[mark.row] for mark in marks[1:]), len(text)]
    return [
        CodeSection(starts[mark.row], end, mark.path)
        for mark, end in zip(marks, ends, strict=True)
        if starts[mark.row] < end
    ]


def _python_marks(text: str, lines: Sequence[str]) -> list[_Mark] | None:
    """Return where definitions begin and end, or None for what is no Python."""
    marks: list[_Mark] = []
    opened = _Open()
    decorated: int | None = None  # the line of the first decorator of what comes
    try:
        for row, depth, words in _statements(text):
            if words[0] == "@":
                decorated = row if decorated is None else decorated
                continue
            defines = words[1] if words[0] == "async" else words[0]
            was_closed = opened.close(depth)
            first = row if decorated is None else decorated
            decorated = None
            if defines in {"def", "class"} and not opened.is_in_function():
                name = words[words.index(defines) + 1][:_MAX_NAME_CHARS]
                opened.stack.append((depth, name, defines == "class"))
                path = opened.path()
                marks.append(_Mark(_with_comments(lines, first), path, defines == "class"))
            elif was_closed:
                marks.append(_Mark(_with_comments(lines, first), opened.path()))
    except (tokenize.TokenError, SyntaxError, IndexError):
        return None
    return marks


def _statements(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield line, depth of indent and the first three words of every statement."""
    depth, row = 0, 0
    words: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type in {tokenize.NEWLINE, tokenize.ENDMARKER}:
            if words:
                yield row, depth, words
            words = []
        elif token.type not in _BLANK_TOKENS and len(words) < _WORDS:
            row = row if words else token.start[0] - 1
            words.append(token.string)


def _with_comments(lines: Sequence[str], row: int) -> int:
    """Return the first line of the comments that stand directly above a line."""
    indent = len(lines[row]) - len(lines[row].lstrip())
    while row > 0 and _is_comment(lines[row - 1], indent):
        row -= 1
    return row


def _is_comment(line: str, indent: int) -> bool:
    head = line[: indent + _LOOK_CHARS]
    return _ABOVE.match(head) is not None and len(head) - len(head.lstrip()) >= indent


def _marks(lines: Sequence[str]) -> Iterator[_Mark]:
    """Yield where definitions of any language begin: unindented lines that name something."""
    is_apart = True  # after a blank line
    path: tuple[str, ...] = ()
    last = -1
    for row, line in enumerate(lines):
        head = line[:_LOOK_CHARS]
        if not head.strip():
            is_apart = True
            continue
        if not head[0].isspace() and head[0] not in ")]}":
            name = _name(head)
            if name:
                path = (name,)
                yield _Mark(max(_with_comments(lines, row), last + 1), path)
                last = row
            elif is_apart and path and not _ABOVE.match(head):
                path = ()
                yield _Mark(row, path)
                last = row
        is_apart = False


def _name(head: str) -> str:
    if _STATEMENT.match(head):
        return ""
    for pattern in (_DEFINITION, _SQL, _C_FUNCTION):
        if match := pattern.match(head):
            return match[1].strip('"`')[:_MAX_NAME_CHARS]
    return ""


def _whole_classes(marks: Sequence[_Mark], starts: Sequence[int], whole: int) -> list[_Mark]:
    """Drop the marks within classes that are short enough to stay in one piece."""
    kept: list[_Mark] = []
    i = 0
    while i < len(marks):
        mark = marks[i]
        kept.append(mark)
        i += 1
        if not mark.is_class:
            continue
        stop = i
        depth = len(mark.path)
        while stop < len(marks) and marks[stop].path[:depth] == mark.path:
            stop += 1
        end = starts[marks[stop].row] if stop < len(marks) else starts[-1]
        if end - starts[mark.row] <= whole:
            i = stop
    return kept
