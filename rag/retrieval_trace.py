"""How a turn came to its passages: what was asked of which lane, how long it took, what it gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.lane import InLane
from rag.query_plan import FusionName


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRecord:
    """A lane: what it looked for, its seconds, what it found, and why it was left out if it was.

    The lanes "dense" and "terms" are one read of the collection and share its seconds.
    """

    name: str
    queries: tuple[str, ...]
    seconds: float
    num_found: int
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageRecord:
    """Where a passage that is used stands, in the end and in each lane that found it."""

    document_id: str
    uri: str
    start: int
    end: int
    rank: int
    score: float
    lanes: Mapping[str, InLane] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRecord:
    """What reordered the first passages, how many, and how long it took; or why it did not."""

    name: str
    depth: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalTrace:
    """One search: what was `asked`, the `query` it became, and the way from there to passages.

    `left_out` counts near duplicates. `knowledge` is what a model wrote for it, which is no source.
    """

    asked: str
    query: str
    rewrite: str
    fusion: FusionName
    lanes: tuple[LaneRecord, ...]
    passages: tuple[PassageRecord, ...]
    rerank: RerankRecord | None = None
    mmr: float | None = None
    left_out: int = 0
    knowledge: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What was left out, in words."""
        said = [f"{one.name}: {one.problem}" for one in self.lanes if one.problem]
        if self.rerank is not None and self.rerank.problem:
            said.append(f"{self.rerank.name}: {self.rerank.problem}")
        return tuple(said)
