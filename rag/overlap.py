"""Chunks of running text that begin with sentences of the chunk before.

What is said across the end of a chunk is then found whole in one of them. Only prose overlaps, and
only within a section: rows, items, code and headings are said once.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rag.piece import Piece

# Full stops and question marks, then closing quotes and brackets; in scripts without spaces between
# words nothing else is needed. A blank line ends a sentence as well, as under a line of verse.
_CLOSING = "[\"'\u201d\u2019\u00bb\u300d\u300f\u3011\uff09)\\]]"
_STOP = re.compile(
    rf"[.!?\u2026\u061f\u06d4\u0964\u0965]+{_CLOSING}*\s+"
    rf"|[\u3002\uff01\uff1f]+{_CLOSING}*+\s*"
    r"|\n[^\S\n]*\n\s*"
)
_LOOK_BACK = 64  # characters, for the end of the sentence before a chunk


@dataclass(slots=True)
class _Choice:
    """Where a chunk may begin: earlier and earlier. `low` are known to fit, `high` may."""

    number: int  # of the chunk
    starts: list[int]  # nearest first
    low: int
    high: int

    @property
    def middle(self) -> int:
        return (self.low + self.high + 1) // 2


def overlapping(
    text: str,
    pieces: Sequence[Piece],
    running: Sequence[range],
    *,
    count_tokens: Callable[[Sequence[str]], list[int]],
    max_tokens: int,
    overlap: int,
) -> list[Piece]:
    """Return the pieces in order, those of running text with an earlier start.

    What is added are the last whole sentences of the piece before: as many as have, together, at
    most `overlap` tokens (special ones counted) and leave the whole within `max_tokens`. Both are
    searched by halves, which finds the most where a longer text has no fewer tokens, and keeps the
    bounds in any case.

    Args:
        text: of the document.
        pieces: they do not overlap yet.
        running: the spans of running text, in order (`rag.piece.running_text`).
        count_tokens: called once for each halving, with all texts.
        max_tokens: what no piece exceeds.
        overlap: in tokens.
    """
    choices = _choices(text, pieces, running)
    while open_ones := [choice for choice in choices if choice.low < choice.high]:
        texts = []
        for choice in open_ones:
            start, piece = choice.starts[choice.middle - 1], pieces[choice.number]
            texts += [text[start : piece.start].rstrip(), text[start : piece.end]]
        counts = count_tokens(texts)
        for choice, added, whole in zip(open_ones, counts[::2], counts[1::2], strict=True):
            if added <= overlap and whole <= max_tokens:
                choice.low = choice.middle
            else:
                choice.high = choice.middle - 1
    widened = list(pieces)
    for choice in choices:
        if choice.low:
            start = choice.starts[choice.low - 1]
            widened[choice.number] = replace(pieces[choice.number], start=start, num_tokens=None)
    return widened


def _choices(text: str, pieces: Sequence[Piece], running: Sequence[range]) -> list[_Choice]:
    found = []
    begins = [span.start for span in running]
    for number in range(1, len(pieces)):
        before, piece = pieces[number - 1], pieces[number]
        at = bisect_right(begins, before.end - 1) - 1
        if at < 0 or piece.start >= running[at].stop:
            continue
        if (before.section, before.heading_path) != (piece.section, piece.heading_path):
            continue
        starts = _sentence_starts(text, max(before.start, begins[at]), before.end, begins[at])
        found.append(_Choice(number, starts[::-1], 0, len(starts)))
    return found


def _sentence_starts(text: str, start: int, end: int, begin: int) -> list[int]:
    """Return where sentences begin from `start` on before `end`, in text that runs from `begin`."""
    starts = [start] if start == begin else []
    for stop in _STOP.finditer(text, max(begin, start - _LOOK_BACK), end):
        is_abbreviated = stop[0].count("\n") < 2 and text[stop.end()].islower()
        if start <= stop.end() < end and not is_abbreviated:
            starts.append(stop.end())
    return starts
