"""The pieces that chunks are made of: the blocks of a text, in sections, under their headings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from rag.code_structure import code_sections
from rag.sniffing import FileKind
from rag.structure import Block, BlockKind, blocks

TARGET_CHARS: Final = 900
WHOLE: Final = 1.5  # how far beyond the target code, a list or a table is kept whole
_MAX_INDENT = 40
_MARKDOWN = frozenset(
    {
        FileKind.MARKDOWN,
        FileKind.WEB_PAGE,
        FileKind.WORD_DOCUMENT,
        FileKind.SPREADSHEET,
        FileKind.PRESENTATION,
        FileKind.EBOOK,
        FileKind.JSON,
        FileKind.JSON_LINES,
    }
)
_CODE = frozenset({FileKind.PYTHON, FileKind.SOURCE_CODE})
_ROWS = frozenset({FileKind.TABLE, FileKind.SPREADSHEET})  # each a paragraph of one line a cell
_RECORDS = _ROWS | {FileKind.JSON, FileKind.JSON_LINES}
_MAX_HEADER_CHARS = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A span of characters in one section, under some headings."""

    start: int
    end: int
    kind: BlockKind
    section: int
    heading_path: tuple[str, ...]
    is_lead_in: bool = False  # a heading or "as follows:", lost without what comes next
    num_tokens: int | None = None  # once counted
    header: str = ""  # of a table: what its later parts are told, in their heading path

    @property
    def num_chars(self) -> int:
        """Its length."""
        return self.end - self.start


def pieces_of(text: str, media_type: str, *, whole_chars: int) -> Iterator[Piece]:
    """Yield the pieces of a text in order; together they hold every visible character.

    Headings are a piece of their own that begins a section, unless nothing stands below them. A
    class of at most `whole_chars` characters is one section of source code.
    """
    if media_type in _CODE:
        return _code_pieces(text, media_type, whole_chars)
    return _text_pieces(text, media_type)


def running_text(pieces: Iterable[Piece], media_type: str) -> list[range]:
    """Return the spans of characters of prose that nothing interrupts within a section, in order.

    Headings are none of it, nor what comes as lines of a record.
    """
    found: list[range] = []
    last: Piece | None = None
    for piece in pieces:
        is_head = piece.section > 0 and (last is None or last.section != piece.section)
        is_prose = piece.kind is BlockKind.PROSE and not is_head and media_type not in _RECORDS
        if not is_prose:
            last = replace(piece, kind=BlockKind.HEADING)
            continue
        if last is not None and last.kind is BlockKind.PROSE and last.section == piece.section:
            found[-1] = range(found[-1].start, piece.end)
        else:
            found.append(range(piece.start, piece.end))
        last = piece
    return found


def _text_pieces(text: str, media_type: str) -> Iterator[Piece]:
    """Yield blocks under their headings; headings join the first block below them."""
    found = blocks(text, is_markdown=media_type in _MARKDOWN)
    path: list[tuple[int, str]] = []
    titles: tuple[str, ...] = ()
    section = 0
    heading_start: int | None = None
    for block, following in zip_longest(found, found[1:]):
        if block.kind is BlockKind.HEADING:
            path = [entry for entry in path if entry[0] < block.level]
            path.append((block.level, block.title))
            if heading_start is None:
                heading_start = block.start
                section += 1
            continue
        titles = tuple(title for _, title in path)
        if heading_start is not None:
            prose = BlockKind.PROSE
            yield Piece(heading_start, block.start, prose, section, titles, is_lead_in=True)
            heading_start = None
        kind = BlockKind.TABLE if media_type in _ROWS else block.kind
        is_lead_in = _is_lead_in(text, block, following)
        header = _header(text, block) if block.kind is BlockKind.TABLE else ""
        yield Piece(block.start, block.end, kind, section, titles, is_lead_in, header=header)
    if heading_start is not None:  # nothing stands below the last headings
        titles = tuple(title for _, title in path)
        yield Piece(heading_start, found[-1].end, BlockKind.PROSE, section, titles)


def _code_pieces(text: str, media_type: str, whole_chars: int) -> Iterator[Piece]:
    """Yield the definitions of source code, each a section."""
    is_python = media_type == FileKind.PYTHON
    found = code_sections(text, is_python=is_python, whole_chars=whole_chars)
    for number, section in enumerate(found):
        if not text[section.start : section.end].isspace():
            yield Piece(section.start, section.end, BlockKind.CODE, number, section.path)


def _header(text: str, block: Block) -> str:
    """Return the cells of the first row of a table of several; others have no header to repeat."""
    first, _, rest = text[block.start : block.end].partition("\n")
    cells = [" ".join(cell.split()) for cell in first.strip().strip("|").split("|")]
    shown = " | ".join(cells)
    is_header = first.lstrip().startswith("|") and rest.strip() and any(cells)
    return shown if is_header and len(shown) <= _MAX_HEADER_CHARS else ""


def _is_lead_in(text: str, block: Block, following: Block | None) -> bool:
    """Return whether `block` announces the next one: a colon, or a term and its explanation."""
    if text.endswith(":", block.start, block.end):
        return True
    if following is None or following.kind is BlockKind.HEADING:
        return False
    is_one_line = "\n" not in text[block.start : block.end]
    return is_one_line and _indent(text, following.start) > _indent(text, block.start)


def _indent(text: str, start: int) -> int:
    head = text[start : start + _MAX_INDENT]
    return len(head) - len(head.lstrip())


def trimmed(text: str, piece: Piece) -> Piece | None:
    """Drop the white space around a piece, but keep the indent of its first line."""
    body = text[piece.start : piece.end]
    end = piece.start + len(body.rstrip())
    start = piece.end - len(body.lstrip())
    if start >= end:
        return None
    line_start = max(text.rfind("\n", piece.start, start) + 1, piece.start)
    if start - line_start <= _MAX_INDENT and not text[line_start:start].strip(" \t"):
        start = line_start
    return replace(piece, start=start, end=end)
