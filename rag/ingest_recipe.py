"""How a document was made out of its source, as far as the program has a say in it.

A document is up to date where its source and its recipe are. The embedder is not part of it: a
collection has one, and changing it keeps the chunks.
"""

from dataclasses import dataclass
from typing import Final

from rag.chunking import check_overlap

# Each is raised whenever the same input gives another output.
READING: Final = 3  # bytes to text: `rag.parsing` and the loaders
CUTTING: Final = 2  # text to chunks: `rag.chunking`
PLACING: Final = 1  # a chunk to the text that is embedded: `rag.passage_text`

MAX_CHUNK_TOKENS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The versions of the stages and their options.

    `max_tokens` and `overlap`, tokens of a chunk and of those that it begins with of the one
    before, are None where they are not known.
    """

    max_tokens: int | None = None
    overlap: int | None = None
    reading: int = READING
    cutting: int = CUTTING
    placing: int = PLACING

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.overlap is not None:
            check_overlap(self.overlap, self.max_tokens)

    def __str__(self) -> str:
        tokens = "" if self.max_tokens is None else f" tokens={self.max_tokens}"
        # Not said where there is none: so are the recipes written that knew of none.
        overlap = f" overlap={self.overlap}" if self.overlap else ""
        return f"read={self.reading} cut={self.cutting} place={self.placing}{tokens}{overlap}"

    def is_that_of(self, text: str) -> bool:
        """Whether a stored recipe is this one, as far as both are known."""
        stored = text.split()
        is_whole = any(part.startswith("tokens=") for part in stored)
        if self.max_tokens is None:
            stored = [part for part in stored if not part.startswith("tokens=")]
        if self.overlap is None:
            stored = [part for part in stored if not part.startswith("overlap=")]
        return is_whole and stored == str(self).split()

    def places_as(self, text: str) -> bool:
        """Whether chunks were embedded with the same context there."""
        return f"place={self.placing}" in text.split()
