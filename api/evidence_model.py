"""Wire model of a passage that was found for a turn, whether the answer cites it or not."""

from typing import Self

from pydantic import BaseModel

from rag.document import Passage


class EvidenceModel(BaseModel):
    """A passage that was found; `start` and `end` are bytes of the document's UTF-8 text."""

    rank: int
    score: float
    collection: str
    document_id: str
    title: str
    uri: str
    start: int
    end: int
    text: str

    @classmethod
    def from_passage(cls, passage: Passage) -> Self:
        """Return what is shown of a passage."""
        return cls(
            rank=passage.rank,
            score=passage.score,
            collection=passage.collection,
            document_id=passage.document_id,
            title=passage.title,
            uri=passage.uri,
            start=passage.chunk.start,
            end=passage.chunk.end,
            text=passage.chunk.text,
        )
