"""Text to chunks: spans that follow its structure and fit an embedder.

The laws, for any text: the spans are byte-exact, in order, and together hold every visible
character; no chunk has more than `max_tokens` tokens. They do not overlap, unless that is asked
for: then chunks of running text begin with sentences of the chunk before (`rag.overlap`). The
result depends on the text alone.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from rag.document import Chunk
from rag.overlap import overlapping
from rag.piece import TARGET_CHARS, WHOLE, Piece, pieces_of, running_text, trimmed
from rag.structure import BlockKind

MIN_MAX_TOKENS = 8  # one character may be four tokens, and special ones come on top
_TAIL = 0.25  # a last chunk of a section below this share of the target joins the one before
_JOINED = 1.2
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


def chunk(
    text: str,
    *,
    count_tokens: Callable[[Sequence[str]], list[int]],
    target_chars: int = TARGET_CHARS,
    max_tokens: int = 256,
    overlap: int = 0,
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
        overlap: how many tokens of whole sentences of the chunk before a chunk of running text may
            begin with, as far as `max_tokens` leaves room; they come on top of `target_chars`.
            With it the text is counted a few times more.
        media_type: of the source; says whether `#` marks a heading.

    Raises:
        ValueError: a bound is too small, or the text cannot be written as UTF-8.
    """
    if target_chars < 1:
        raise ValueError(f"target_chars must be >= 1, got {target_chars}")
    if max_tokens < MIN_MAX_TOKENS:
        raise ValueError(f"max_tokens must be >= {MIN_MAX_TOKENS}, got {max_tokens}")
    check_overlap(overlap, max_tokens)
    found = list(pieces_of(text, media_type, whole_chars=int(WHOLE * target_chars)))
    short = [part for piece in found for part in _cut_long(text, piece, target_chars)]
    pieces = _fit(text, short, count_tokens, max_tokens)
    packed = [
        piece
        for _, section in groupby(pieces, key=lambda piece: piece.section)
        for piece in _pack(list(section), target_chars, max_tokens)
    ]
    windows = _fit(text, packed, count_tokens, max_tokens)
    if overlap:
        running = running_text(found, media_type)
        windows = overlapping(
            text,
            windows,
            running,
            count_tokens=count_tokens,
            max_tokens=max_tokens,
            overlap=overlap,
        )
    return _to_chunks(text, windows)


def check_overlap(overlap: int, max_tokens: int) -> None:
    """Refuse an overlap that would be most of a chunk.

    Raises:
        ValueError: it is negative, or not less than half of `max_tokens`.
    """
    if not 0 <= 2 * overlap < max_tokens:
        raise ValueError(
            f"chunk_overlap must be at least 0 and less than half of the {max_tokens} tokens of a"
            f" chunk, got {overlap}"
        )


def _cut_long(text: str, piece: Piece, target: int) -> Iterator[Piece]:
    limit = target if piece.kind is BlockKind.PROSE else int(WHOLE * target)
    if piece.num_chars <= limit:
        yield piece
    else:
        yield from _split(text, piece, target)


def _pack(section: list[Piece], target: int, max_tokens: int) -> list[Piece]:
    """Join the pieces of one section up to the target."""
    packed: list[Piece] = []
    group: list[Piece] = []
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


def _can_join(group: list[Piece], max_chars: float, max_tokens: int) -> bool:
    """Return whether a chunk of `group` keeps its bounds, by the sum of its tokens."""
    if group[-1].end - group[0].start > max_chars:
        return False
    return sum(piece.num_tokens or 0 for piece in group) <= max_tokens


def _num_lead_ins(group: list[Piece], piece: Piece, target: int, max_tokens: int) -> int:
    """Return how many pieces at the end of `group` should go with `piece` into the next chunk."""
    num_moved = 0
    while num_moved < min(len(group), _MAX_LEAD_INS) and group[-1 - num_moved].is_lead_in:
        is_short = group[-1 - num_moved].num_chars <= _TAIL * target
        moved = [*group[len(group) - 1 - num_moved :], piece]
        if not _can_join(moved, (2 if is_short else WHOLE) * target, max_tokens):
            break
        num_moved += 1
    return num_moved


def _joined(group: list[Piece]) -> Piece:
    if len(group) == 1:
        return group[0]
    kinds = {piece.kind for piece in group}
    kind = kinds.pop() if len(kinds) == 1 else BlockKind.LIST  # cut where any of them may be
    # Tokens of the parts need not add up: to be counted.
    return replace(
        group[0], end=group[-1].end, kind=kind, is_lead_in=False, num_tokens=None, header=""
    )


def _split(text: str, piece: Piece, limit: int) -> Iterator[Piece]:
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


def _fit(
    text: str,
    pieces: Sequence[Piece],
    count_tokens: Callable[[Sequence[str]], list[int]],
    max_tokens: int,
) -> list[Piece]:
    """Trim and count what is not counted yet, and cut what has too many tokens, until all fit."""
    fitting: list[Piece] = []
    while pieces:
        parts: list[Piece] = []
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
    pieces: Sequence[Piece],
    count_tokens: Callable[[Sequence[str]], list[int]],
) -> Iterator[Piece]:
    for i in range(0, len(pieces), _COUNTED_AT_ONCE):
        batch = pieces[i : i + _COUNTED_AT_ONCE]
        yield from (piece for piece in batch if piece.num_tokens is not None)
        bare = [trimmed(text, piece) for piece in batch if piece.num_tokens is None]
        new = [piece for piece in bare if piece is not None]
        counts = count_tokens([text[p.start : p.end] for p in new]) if new else []
        for piece, num_tokens in zip(new, counts, strict=True):
            yield replace(piece, num_tokens=num_tokens)


def _to_chunks(text: str, pieces: list[Piece]) -> list[Chunk]:
    chunks = []
    num_chars = num_bytes = 0  # how far the text has been measured
    for piece in pieces:
        if piece.start < num_chars:
            start = num_bytes - len(text[piece.start : num_chars].encode())
        else:
            start = num_bytes + len(text[num_chars : piece.start].encode())
        body = text[piece.start : piece.end]
        end = start + len(body.encode())
        chunks.append(Chunk(start=start, end=end, text=body, heading_path=piece.heading_path))
        num_chars, num_bytes = piece.end, end
    return chunks
