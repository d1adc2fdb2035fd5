"""The section that a passage stands in: what lies under its headings, up to the next heading.

It is read off the text whenever it is asked for, so that documents that were stored long ago have
their sections too, and nothing stored can disagree with the text.
"""

from dataclasses import dataclass, replace
from itertools import groupby

from rag.piece import TARGET_CHARS, WHOLE, pieces_of, trimmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A span of bytes of a document: its headings and what they head, without deeper sections.

    In source code it is a definition; a text without headings is one section.
    """

    start: int
    end: int
    heading_path: tuple[str, ...]


def section_of(text: str, media_type: str, start: int, end: int) -> Section | None:
    """Return the section that holds the bytes from `start` to `end`; None if no single one does.

    Takes a pass over the text.
    """
    num_chars = num_bytes = 0
    found = pieces_of(text, media_type, whole_chars=int(WHOLE * TARGET_CHARS))
    for _, group in groupby(found, key=lambda piece: piece.section):
        first, *rest = group
        whole = trimmed(text, replace(first, end=rest[-1].end if rest else first.end))
        if whole is None:
            continue
        section_start = num_bytes + len(text[num_chars : whole.start].encode())
        section_end = section_start + len(text[whole.start : whole.end].encode())
        if section_start <= start and end <= section_end:
            return Section(start=section_start, end=section_end, heading_path=first.heading_path)
        if section_end > start:
            return None
        num_chars, num_bytes = whole.end, section_end
    return None
