"""The structure of a text: headings, paragraphs, lists, tables and code as spans of characters.

Reads Markdown and the plain-text habits of reStructuredText (underlined headings, indented
examples after a colon). Every visible character of the text lies in exactly one block; blocks are
in order. One pass over the lines; no line is looked at beyond its first few hundred characters.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class BlockKind(StrEnum):
    """What a block is: prose is cut after sentences, the others after lines."""

    HEADING = "heading"
    PROSE = "prose"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A span of characters; headings carry their title and level (lower is higher up)."""

    start: int
    end: int
    kind: BlockKind
    title: str = ""
    level: int = 0


_LINE = re.compile(r"\n{2,}|\f?[^\n\f]*\n?")  # several empty lines count as one
_LOOK_CHARS = 400  # enough of a line to know what it is
_MAX_TITLE_CHARS = 200
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_ATX_END = re.compile(r"[ \t]+#+$")
_FENCE = re.compile(r" {0,3}(`{3,9}|~{3,9})")
_UNDERLINE = re.compile(r"([=\-~^\"'#*+:._`<>])\1{2,}$")
_ITEM = re.compile(r"\s{0,12}(?:[-*+•‣◦]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_TABLE = re.compile(r"\s*(?:\||\+[-=]{2,}|={2,} +=)")
_MARKDOWN_LEVELS = {"=": 1, "-": 2}
# The order of Python's own documentation; that of appearance would let one odd docstring turn the
# rest of its module upside down.
_MARKS = "#*=-~^\"'+.:_`<>"
_CODE_INDENT = 4


class _Line(NamedTuple):
    start: int
    end: int  # without the line end
    head: str  # the first characters, without a page break and trailing white space
    indent: int
    is_new_page: bool

    @property
    def is_blank(self) -> bool:
        return not self.head


def _line(text: str, start: int, end: int) -> _Line:
    is_new_page = text[start] == "\f"
    start += is_new_page
    while end > start and text[end - 1] in "\r\n":
        end -= 1
    seen = text[start : min(end, start + _LOOK_CHARS)]
    head = seen.rstrip()
    if not head and len(seen) < end - start:  # visible only after a long blank stretch
        head = text[start:end].strip()[:_LOOK_CHARS]
    indent = len(head) - len(head.lstrip())
    return _Line(start, end, head, indent, is_new_page)


def blocks(text: str, *, is_markdown: bool) -> list[Block]:
    """Return the blocks of `text` in order.

    Args:
        text: the whole text.
        is_markdown: `#` begins a heading, ``` a fence; else `#` is any character, as in a script.
    """
    return list(_Reader(text, is_markdown=is_markdown).read())


class _Reader:
    def __init__(self, text: str, *, is_markdown: bool) -> None:
        self._is_markdown = is_markdown
        self._lines = [_line(text, m.start(), m.end()) for m in _LINE.finditer(text) if m[0]]
        self._unclosed: set[str] = set()
        self._lead_in: _Line | None = None  # the last paragraph, if it ends with a colon

    def read(self) -> Iterator[Block]:
        i = 0
        while i < len(self._lines):
            if self._lines[i].is_blank:
                i += 1
                continue
            stop, block = self._read_block(i)
            last = self._lines[stop - 1]
            is_lead_in = block.kind in {BlockKind.PROSE, BlockKind.LIST} and last.head[-1] == ":"
            self._lead_in = self._lines[i] if is_lead_in else None
            yield block
            i = stop

    def _read_block(self, i: int) -> tuple[int, Block]:
        line = self._lines[i]
        if self._is_markdown and (fence_end := self._fence_end(i)) is not None:
            return self._block(i, fence_end, BlockKind.CODE)
        if (heading := self._heading(i)) is not None:
            return heading
        if _TABLE.match(line.head):
            return self._block(i, self._after_table(i), BlockKind.TABLE)
        if self._begins_code(i):
            return self._block(i, self._after_code(i), BlockKind.CODE)
        if _ITEM.match(line.head):
            return self._block(i, self._after_list(i), BlockKind.LIST)
        is_session = line.head.lstrip().startswith(">>>")  # of an interpreter
        kind = BlockKind.CODE if is_session else BlockKind.PROSE
        return self._block(i, self._after_paragraph(i), kind)

    def _block(self, i: int, stop: int, kind: BlockKind) -> tuple[int, Block]:
        while self._lines[stop - 1].is_blank:
            stop -= 1
        return stop, Block(start=self._lines[i].start, end=self._lines[stop - 1].end, kind=kind)

    def _heading(self, i: int) -> tuple[int, Block] | None:
        line = self._lines[i]
        if self._is_markdown and (match := _ATX.match(line.head)):
            return self._titled(i, i + 1, _ATX_END.sub("", match[2]), len(match[1]))
        if self._is_overlined(i):
            mark = line.head.strip()[0]
            return self._titled(
                i, i + 3, self._lines[i + 1].head, self._level(mark, is_overlined=True)
            )
        if self._is_underlined(i):
            mark = self._lines[i + 1].head.strip()[0]
            return self._titled(i, i + 2, line.head, self._level(mark))
        return None

    def _titled(self, i: int, stop: int, title: str, level: int) -> tuple[int, Block]:
        start, end = self._lines[i].start, self._lines[stop - 1].end
        words = " ".join(title.split())[:_MAX_TITLE_CHARS]
        kind = BlockKind.HEADING
        return stop, Block(start=start, end=end, kind=kind, title=words, level=level)

    def _level(self, mark: str, *, is_overlined: bool = False) -> int:
        if self._is_markdown and mark in _MARKDOWN_LEVELS:
            return _MARKDOWN_LEVELS[mark]
        return 2 * _MARKS.index(mark) + 2 - is_overlined

    def _is_underlined(self, i: int) -> bool:
        if i + 1 >= len(self._lines):
            return False
        title, under = self._lines[i], self._lines[i + 1]
        if under.is_new_page or under.indent > 3 or not _UNDERLINE.match(under.head.strip()):
            return False
        width = len(title.head.strip())
        if title.indent > 3 or not 0 < width <= _MAX_TITLE_CHARS or _ITEM.match(title.head):
            return False
        is_wide = len(under.head.strip()) >= width
        is_markdown_rule = self._is_markdown and under.head.strip()[0] in _MARKDOWN_LEVELS
        return (is_wide or is_markdown_rule) and not _UNDERLINE.match(title.head.strip())

    def _is_overlined(self, i: int) -> bool:
        over = self._lines[i].head.strip()
        if i + 2 >= len(self._lines) or not _UNDERLINE.match(over):
            return False
        title, under = self._lines[i + 1], self._lines[i + 2].head.strip()
        return over == under and 0 < len(title.head.strip()) <= len(over)

    def _begins_code(self, i: int) -> bool:
        indent = self._lines[i].indent
        if self._lead_in is not None and indent > self._lead_in.indent:
            return True
        return self._is_markdown and indent >= _CODE_INDENT

    def _after_code(self, i: int) -> int:
        bound = _CODE_INDENT - 1
        if self._lead_in is not None and self._lines[i].indent > self._lead_in.indent:
            bound = self._lead_in.indent
        return self._after(i, lambda j: self._lines[j].is_blank or self._lines[j].indent > bound)

    def _after_table(self, i: int) -> int:
        is_simple = self._lines[i].head.lstrip().startswith("=")
        return self._after(
            i,
            lambda j: (
                not self._lines[j].is_blank
                and (is_simple or _TABLE.match(self._lines[j].head) is not None)
            ),
        )

    def _after_list(self, i: int) -> int:
        """A list goes on past a blank line with a further item or a line that is indented more."""
        first = self._lines[i].indent

        def is_part(j: int) -> bool:
            line = self._lines[j]
            if line.is_blank or not self._lines[j - 1].is_blank:
                return not self._interrupts(j)
            return line.indent > first or (line.indent == first and bool(_ITEM.match(line.head)))

        return self._after(i, is_part)

    def _after_paragraph(self, i: int) -> int:
        return self._after(i, lambda j: not (self._lines[j].is_blank or self._interrupts(j)))

    def _after(self, i: int, is_part: Callable[[int], bool]) -> int:
        """Return the number of the first line after `i` that is on a new page or no part."""
        stop = i + 1
        while stop < len(self._lines) and not self._lines[stop].is_new_page and is_part(stop):
            stop += 1
        return stop

    def _interrupts(self, i: int) -> bool:
        """Return whether line `i` ends a paragraph or list although no blank line is before it."""
        if not self._is_markdown:
            return False
        return _ATX.match(self._lines[i].head) is not None or self._fence_end(i) is not None

    def _fence_end(self, i: int) -> int | None:
        """Return the number of the line after the fenced code that begins at line `i`, if any."""
        opening = _FENCE.match(self._lines[i].head)
        if opening is None or opening[1] in self._unclosed:
            return None
        for stop in range(i + 1, len(self._lines)):
            head = self._lines[stop].head.strip()
            if head.startswith(opening[1]) and not head.strip(opening[1][0]):
                return stop + 1
        self._unclosed.add(opening[1])  # nor is one further down: the search stays linear
        return None
