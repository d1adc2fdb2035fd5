"""The trace of a search on the wire: lanes, what was left out and why, where passages stand."""

from typing import Self

from pydantic import BaseModel

from rag.lane import InLane
from rag.retrieval_trace import LaneRecord, PassageRecord, RerankRecord, RetrievalTrace


class InLaneModel(BaseModel):
    """Where a passage stands in a lane."""

    rank: int
    score: float

    @classmethod
    def of(cls, place: InLane) -> Self:
        """Return what is shown of it."""
        return cls(rank=place.rank, score=round(place.score, 6))


class LaneTraceModel(BaseModel):
    """A lane: what it looked for, its milliseconds, and its problem if it was left out."""

    name: str
    queries: list[str]
    ms: float
    num_found: int
    problem: str

    @classmethod
    def of(cls, lane: LaneRecord) -> Self:
        """Return what is shown of it."""
        return cls(
            name=lane.name,
            queries=list(lane.queries),
            ms=_ms(lane.seconds),
            num_found=lane.num_found,
            problem=lane.problem,
        )


class RerankModel(BaseModel):
    """What reordered the first passages, and its problem if their order was left as it was."""

    name: str
    depth: int
    ms: float
    problem: str

    @classmethod
    def of(cls, rerank: RerankRecord) -> Self:
        """Return what is shown of it."""
        return cls(
            name=rerank.name, depth=rerank.depth, ms=_ms(rerank.seconds), problem=rerank.problem
        )


class PassageTraceModel(BaseModel):
    """A passage that the answer could draw on, and where it stands in each lane."""

    document_id: str
    uri: str
    start: int
    end: int
    rank: int
    score: float
    lanes: dict[str, InLaneModel]

    @classmethod
    def of(cls, passage: PassageRecord) -> Self:
        """Return what is shown of it."""
        return cls(
            document_id=passage.document_id,
            uri=passage.uri,
            start=passage.start,
            end=passage.end,
            rank=passage.rank,
            score=round(passage.score, 6),
            lanes={name: InLaneModel.of(place) for name, place in passage.lanes.items()},
        )


class TraceModel(BaseModel):
    """How a turn came to its passages; `knowledge` is what the model wrote, which is no source."""

    asked: str
    query: str
    rewrite: str
    fusion: str
    lanes: list[LaneTraceModel]
    rerank: RerankModel | None
    mmr: float | None
    left_out: int
    knowledge: list[str]
    problems: list[str]
    passages: list[PassageTraceModel]

    @classmethod
    def of(cls, trace: RetrievalTrace) -> Self:
        """Return what is shown of it."""
        return cls(
            asked=trace.asked,
            query=trace.query,
            rewrite=trace.rewrite,
            fusion=trace.fusion,
            lanes=[LaneTraceModel.of(lane) for lane in trace.lanes],
            rerank=None if trace.rerank is None else RerankModel.of(trace.rerank),
            mmr=trace.mmr,
            left_out=trace.left_out,
            knowledge=list(trace.knowledge),
            problems=list(trace.problems),
            passages=[PassageTraceModel.of(one) for one in trace.passages],
        )


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
