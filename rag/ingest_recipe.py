"""How a document was made out of its source, as far as the program has a say in it.

A document is up to date where its source and its recipe are. The embedder is not part of it: a
collection has one, and changing it keeps the chunks.
"""

from dataclasses import dataclass
from typing import Final

# Each is raised whenever the same input gives another output.
READING: Final = 2  # bytes to text: `rag.parsing` and the loaders
CUTTING: Final = 2  # text to chunks: `rag.chunking`
PLACING: Final = 1  # a chunk to the text that is embedded: `rag.passage_text`

MAX_CHUNK_TOKENS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The versions of the stages and their options; `max_tokens` is None where it is not known."""

    max_tokens: int | None = None
    reading: int = READING
    cutting: int = CUTTING
    placing: int = PLACING

    def __str__(self) -> str:
        stages = f"read={self.reading} cut={self.cutting} place={self.placing}"
        return stages if self.max_tokens is None else f"{stages} tokens={self.max_tokens}"

    def is_that_of(self, text: str) -> bool:
        """Whether a stored recipe is this one, as far as both are known."""
        return text == str(self) if self.max_tokens else text.startswith(f"{self} ")

    def places_as(self, text: str) -> bool:
        """Whether chunks were embedded with the same context there."""
        return f"place={self.placing}" in text.split()
