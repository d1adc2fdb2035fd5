"""Text to chunks: spans that follow its structure and fit an embedder.

The laws, for any text: the spans are byte-exact, in order, do not overlap, and together hold every
visible character; no chunk has more than `max_tokens` tokens. The result depends on the text alone.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest

from rag.code_structure import code_sections
from rag.document import Chunk
from rag.sniffing import FileKind
from rag.structure import Block, BlockKind, blocks

MIN_MAX_TOKENS = 8  # one character may be four tokens, and special ones come on top
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
_WHOLE = 1.5  # how far beyond the target code, a list or a table is kept whole
_TAIL = 0.25  # a last chunk of a section below this share of the target joins the one before
_JOINED = 1.2
_MAX_INDENT = 40
_MAX_HEADER_CHARS = 200
_MAX_LEAD_INS = 2
_COUNTED_AT_ONCE = 1024

_BLANK_LINE = re.compile(r"\n[ \t\r\f]*\n")
_SENTENCE = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?:[^\S\n]*\n|\s+|(?<=[。！？]))")  # noqa: RUF001
_ITEM = re.compile(r"\n(?=\s{0,12}(?:[-*+•]|\(?\d{1,3}[.)])\s)")
_NEW_LINE = re.compile(r"\n")
_SPACE = re.compile(r"[^\S\n]*\n|\s+")  # not beyond a line end: the next line keeps its indent
_CUTS = {
    BlockKind.PROSE: (_BLANK_LINE, _SENTENCE, _SPACE),
    BlockKind.LIST: (_BLANK_LINE, _ITEM, _SENTENCE, _NEW_LINE, _SPACE),
    BlockKind.TABLE: (_NEW_LINE, _SPACE),
    BlockKind.CODE: (_BLANK_LINE, _NEW_LINE, _SPACE),
}


@dataclass(frozen=True, slots=True)
class _Piece:
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
        return self.end - self.start


def chunk(
    text: str,
    *,
    count_tokens: Callable[[Sequence[str]], list[int]],
    target_chars: int = 900,
    max_tokens: int = 256,
    media_type: str = "text/plain",
) -> list[Chunk]:
    """Return the chunks of `text`; none if it has no visible character.

    Args:
        text: the text of a document.
        count_tokens: the embedder's; called with many texts at once, about twice
            over the text.
        target_chars: the size that chunks come near to; a section's end or a code block ends one
            earlier, and a block that would be torn may make one half as long again.
        max_tokens: what no chunk exceeds.
        media_type: of the source; says whether `#` marks a heading.

    Raises:
        ValueError: a bound is too small, or the text cannot be written as UTF-8.
    """
    if target_chars < 1:
        raise ValueError(f"target_chars must be >= 1, got {target_chars}")
    if max_tokens < MIN_MAX_TOKENS:
        raise ValueError(f"max_tokens must be >= {MIN_MAX_TOKENS}, got {max_tokens}")
    if media_type in _CODE:
        found = _code_pieces(text, media_type, int(_WHOLE * target_chars))
    else:
        found = _pieces(text, media_type)
    short = [part for piece in found for part in _cut_long(text, piece, target_chars)]
    pieces = _fit(text, short, count_tokens, max_tokens)
    packed = [
        piece
        for _, section in groupby(pieces, key=lambda piece: piece.section)
        for piece in _pack(list(section), target_chars, max_tokens)
    ]
    return _to_chunks(text, _fit(text, packed, count_tokens, max_tokens))


def _pieces(text: str, media_type: str) -> Iterator[_Piece]:
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
            yield _Piece(heading_start, block.start, prose, section, titles, is_lead_in=True)
            heading_start = None
        kind = BlockKind.TABLE if media_type in _ROWS else block.kind
        is_lead_in = _is_lead_in(text, block, following)
        header = _header(text, block) if block.kind is BlockKind.TABLE else ""
        yield _Piece(block.start, block.end, kind, section, titles, is_lead_in, header=header)
    if heading_start is not None:  # nothing stands below the last headings
        titles = tuple(title for _, title in path)
        yield _Piece(heading_start, found[-1].end, BlockKind.PROSE, section, titles)


def _code_pieces(text: str, media_type: str, whole_chars: int) -> Iterator[_Piece]:
    """Yield the definitions of source code, each a section."""
    is_python = media_type == FileKind.PYTHON
    found = code_sections(text, is_python=is_python, whole_chars=whole_chars)
    for number, section in enumerate(found):
        if not text[section.start : section.end].isspace():
            yield _Piece(section.start, section.end, BlockKind.CODE, number, section.path)


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


def _cut_long(text: str, piece: _Piece, target: int) -> Iterator[_Piece]:
    limit = target if piece.kind is BlockKind.PROSE else int(_WHOLE * target)
    if piece.num_chars <= limit:
        yield piece
    else:
        yield from _split(text, piece, target)


def _pack(section: list[_Piece], target: int, max_tokens: int) -> list[_Piece]:
    """Join the pieces of one section up to the target."""
    packed: list[_Piece] = []
    group: list[_Piece] = []
    for piece in section:
        if not group or _can_join([*group, piece], target, max_tokens):
            group.append(piece)
            continue
        num_kept = len(group) - _num_lead_ins(group, piece, target, max_tokens)
        if num_kept:
            packed.append(_joined(group[:num_kept]))
        group = [*group[num_kept:], piece]
    last = _joined(group)
    is_tail = packed and last.num_chars < _TAIL * target
    if is_tail and _can_join([packed[-1], last], _JOINED * target, max_tokens):
        last = _joined([packed.pop(), last])
    return [*packed, last]


def _can_join(group: list[_Piece], max_chars: float, max_tokens: int) -> bool:
    """Return whether a chunk of `group` keeps its bounds, by the sum of its tokens."""
    if group[-1].end - group[0].start > max_chars:
        return False
    return sum(piece.num_tokens or 0 for piece in group) <= max_tokens


def _num_lead_ins(group: list[_Piece], piece: _Piece, target: int, max_tokens: int) -> int:
    """Return how many pieces at the end of `group` should go with `piece` into the next chunk."""
    num_moved = 0
    while num_moved < min(len(group), _MAX_LEAD_INS) and group[-1 - num_moved].is_lead_in:
        is_short = group[-1 - num_moved].num_chars <= _TAIL * target
        moved = [*group[len(group) - 1 - num_moved :], piece]
        if not _can_join(moved, (2 if is_short else _WHOLE) * target, max_tokens):
            break
        num_moved += 1
    return num_moved


def _joined(group: list[_Piece]) -> _Piece:
    if len(group) == 1:
        return group[0]
    kinds = {piece.kind for piece in group}
    kind = kinds.pop() if len(kinds) == 1 else BlockKind.LIST  # cut where any of them may be
    # Tokens of the parts need not add up: to be counted.
    return replace(
        group[0], end=group[-1].end, kind=kind, is_lead_in=False, num_tokens=None, header=""
    )


def _split(text: str, piece: _Piece, limit: int) -> Iterator[_Piece]:
    """Cut a piece into parts of about equal length, at most `limit`, at its best places."""
    start, end = piece.start, piece.end
    whole = replace(piece, is_lead_in=False, num_tokens=None)
    while end - start > limit:
        num_parts = -(-(end - start) // limit)
        cut = _best_cut(text, start, ideal=(end - start) // num_parts, limit=limit, kind=piece.kind)
        yield replace(whole, start=start, end=cut)
        start = cut
        if piece.header:  # the rows below do not say what their cells are
            path = (*piece.heading_path, piece.header)
            whole = replace(whole, heading_path=path, header="")
    yield replace(whole, start=start, end=end, is_lead_in=piece.is_lead_in)


def _best_cut(text: str, start: int, *, ideal: int, limit: int, kind: BlockKind) -> int:
    window = text[start : start + limit]
    for places in _CUTS[kind]:
        cuts = [m.end() for m in places.finditer(window) if ideal // 2 < m.end() <= limit]
        if cuts:
            return start + min(cuts, key=lambda cut: abs(cut - ideal))
    return _between_characters(text, start, start + max(ideal, 1))


def _between_characters(text: str, start: int, cut: int) -> int:
    """Move a cut back so that it does not part a letter from its accents, or an emoji, or CRLF."""
    for earlier in range(cut, max(start, cut - 16), -1):
        after = text[earlier]
        is_bound = unicodedata.combining(after) or after in "\u200d\ufe0e\ufe0f"
        if (
            not is_bound
            and text[earlier - 1] != "\u200d"
            and text[earlier - 1 : earlier + 1] != "\r\n"
        ):
            return earlier
    return cut


def _trimmed(text: str, piece: _Piece) -> _Piece | None:
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


def _fit(
    text: str,
    pieces: Sequence[_Piece],
    count_tokens: Callable[[Sequence[str]], list[int]],
    max_tokens: int,
) -> list[_Piece]:
    """Trim and count what is not counted yet, and cut what has too many tokens, until all fit."""
    fitting: list[_Piece] = []
    while pieces:
        parts: list[_Piece] = []
        for piece in _counted(text, pieces, count_tokens):
            assert piece.num_tokens is not None
            if piece.num_tokens <= max_tokens:
                fitting.append(piece)
            elif piece.num_chars == 1:
                raise ValueError(
                    f"the character {text[piece.start]!r} has {piece.num_tokens} tokens,"
                    f" more than max_tokens = {max_tokens}"
                )
            else:
                # Special tokens come with every part: a little more than the plain share.
                num_parts = max(2, -(-piece.num_tokens * 9 // (max_tokens * 8)))
                limit = -(-piece.num_chars // num_parts)
                limit = min(limit + limit // 8, piece.num_chars - 1)
                parts += _split(text, piece, limit)
        pieces = parts
    return sorted(fitting, key=lambda piece: piece.start)


def _counted(
    text: str,
    pieces: Sequence[_Piece],
    count_tokens: Callable[[Sequence[str]], list[int]],
) -> Iterator[_Piece]:
    for i in range(0, len(pieces), _COUNTED_AT_ONCE):
        batch = pieces[i : i + _COUNTED_AT_ONCE]
        yield from (piece for piece in batch if piece.num_tokens is not None)
        trimmed = [_trimmed(text, piece) for piece in batch if piece.num_tokens is None]
        new = [piece for piece in trimmed if piece is not None]
        counts = count_tokens([text[p.start : p.end] for p in new]) if new else []
        for piece, num_tokens in zip(new, counts, strict=True):
            yield replace(piece, num_tokens=num_tokens)


def _to_chunks(text: str, pieces: list[_Piece]) -> list[Chunk]:
    chunks = []
    num_chars = num_bytes = 0  # how far the text has been measured
    for piece in pieces:
        start = num_bytes + len(text[num_chars : piece.start].encode())
        body = text[piece.start : piece.end]
        end = start + len(body.encode())
        chunks.append(Chunk(start=start, end=end, text=body, heading_path=piece.heading_path))
        num_chars, num_bytes = piece.end, end
    return chunks
