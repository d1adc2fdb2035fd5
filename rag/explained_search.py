"""A search that tells how it came to its passages: lanes, scores, ranks, times, the gate.

    one lane: its own order      both: the fusion of `rag/retriever.py`, as answers are found

A lane's seconds are those of a search of that lane alone, done beside the fused one, so an
explanation costs about twice a search.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

from index.filters import Filter
from index.protocol import Fusion, Hit, Result, Scored
from rag.embedder import Embedder
from rag.gate import GateDecision, judge
from rag.gate_model import DEFAULT_GATE, GateModel
from rag.lane import InLane
from rag.question_terms import question_terms
from rag.retriever import CANDIDATES_PER_PASSAGE, fused, passage_of, prior_of

LaneName = Literal["dense", "terms"]

LANES: tuple[LaneName, ...] = ("dense", "terms")


class ExplainableCollection(Protocol):
    """What an explained search needs; `index.collection.StoredCollection` has it."""

    def search(
        self,
        query: Float[np.ndarray, " d"],
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return the nearest chunks."""
        ...

    def search_terms(
        self,
        query: str,
        k: int,
        *,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return chunks that share a term with the query."""
        ...

    def search_fused(  # as the collection has it
        self,
        query: Float[np.ndarray, " d"],
        words: str,
        k: int,
        *,
        depth: int,
        fuse: Fusion,
        where: Filter | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """Return the best of both lanes."""
        ...

    def term_weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Return how rare each term is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTrace:
    """How a lane went: its seconds alone, and how many candidates it gave."""

    name: LaneName
    seconds: float
    num_found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedHit:
    """A hit, where it stands in each lane that found it, and the prior of its source."""

    hit: Hit
    lanes: Mapping[LaneName, InLane]
    prior: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSearch:
    """The hits, best first, with what led to them.

    `gate` is what would be decided on an answer; None where only one lane was asked, and where the
    collection's gate asks the chat model, which a search does not.
    """

    hits: tuple[ExplainedHit, ...]
    result: Result
    lanes: tuple[LaneTrace, ...]
    encode_s: float
    search_s: float
    gate: GateDecision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneQuery:
    """What is looked for, in which lanes; `explain` asks for each lane's time and the gate.

    `gate` is the collection's.
    """

    text: str
    k: int
    lanes: tuple[LaneName, ...] = LANES
    where: Filter | None = None
    deadline_s: float | None = None
    priors: Mapping[str, float] = field(default_factory=dict)
    explain: bool = True
    gate: GateModel = DEFAULT_GATE

    def __post_init__(self) -> None:
        if not self.lanes:
            raise ValueError(f"a search needs a lane; lanes are {', '.join(LANES)}")

    @property
    def is_fused(self) -> bool:
        """Whether the order is that of both lanes."""
        return len(set(self.lanes)) > 1

    @property
    def words(self) -> str:
        """What the term lane reads: fused, a question's quotes ask for no exact phrase."""
        return self.text.replace('"', " ") if self.is_fused else self.text


def search_lanes(
    query: LaneQuery, collection: ExplainableCollection, embedder: Embedder
) -> ExplainedSearch:
    """Return the k best of some lanes.

    Raises:
        FilterError: the filter cannot be compiled for this collection.
        ValueError: `k` is below 1.
    """
    began = time.perf_counter()
    needs_vector = "dense" in query.lanes
    vector = embedder.encode([query.text], "query")[0] if needs_vector else None
    encode_s = time.perf_counter() - began
    if not query.is_fused:
        return _of_one_lane(query, vector, collection, encode_s)
    assert vector is not None, "both lanes were asked"
    began = time.perf_counter()
    result, found, hits = _fused(query, vector, collection)
    search_s = time.perf_counter() - began
    if not query.explain:
        return ExplainedSearch(
            hits=hits, result=result, lanes=(), encode_s=encode_s, search_s=search_s, gate=None
        )
    dense = found.get("dense", ())
    return ExplainedSearch(
        hits=hits,
        result=result,
        lanes=tuple(_traces(query, vector, collection, found)),
        encode_s=encode_s,
        search_s=search_s,
        gate=(
            None
            if query.gate.asks_model
            else _gate(query, collection, result, dense[0].score if dense else 0.0)
        ),
    )


def _of_one_lane(
    query: LaneQuery,
    vector: Float[np.ndarray, " d"] | None,
    collection: ExplainableCollection,
    encode_s: float,
) -> ExplainedSearch:
    lane = query.lanes[0]
    began = time.perf_counter()
    result = _alone(query, vector, collection)
    took = time.perf_counter() - began
    return ExplainedSearch(
        hits=tuple(
            ExplainedHit(hit=hit, lanes={lane: InLane(rank=hit.rank, score=hit.score)}, prior=0.0)
            for hit in result
        ),
        result=result,
        lanes=(LaneTrace(name=lane, seconds=took, num_found=len(result)),),
        encode_s=encode_s,
        search_s=took,
        gate=None,
    )


def _alone(
    query: LaneQuery, vector: Float[np.ndarray, " d"] | None, collection: ExplainableCollection
) -> Result:
    if vector is None:
        return collection.search_terms(
            query.words, query.k, where=query.where, deadline_s=query.deadline_s
        )
    return collection.search(vector, query.k, where=query.where, deadline_s=query.deadline_s)


def _fused(
    query: LaneQuery, vector: Float[np.ndarray, " d"], collection: ExplainableCollection
) -> tuple[Result, dict[LaneName, Sequence[Scored]], tuple[ExplainedHit, ...]]:
    found: dict[LaneName, Sequence[Scored]] = {}
    order: list[int] = []

    def fuse(dense: Sequence[Scored], terms: Sequence[Scored]) -> Mapping[int, float]:
        found["dense"], found["terms"] = dense, terms
        scores = fused(dense, terms, query.priors)
        # The collection ranks so, and gives no ids with its hits.
        order.extend(sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id)))
        return scores

    result = collection.search_fused(
        vector,
        query.words,
        query.k,
        depth=query.k * CANDIDATES_PER_PASSAGE,
        fuse=fuse,
        where=query.where,
        deadline_s=query.deadline_s,
    )
    places = {name: _places(scored) for name, scored in found.items()}
    hits = tuple(
        ExplainedHit(
            hit=hit,
            lanes={name: at[chunk_id] for name, at in places.items() if chunk_id in at},
            prior=prior_of(hit.uri, query.priors),
        )
        for chunk_id, hit in zip(order, result, strict=False)
    )
    return result, found, hits


def _traces(
    query: LaneQuery,
    vector: Float[np.ndarray, " d"],
    collection: ExplainableCollection,
    found: Mapping[LaneName, Sequence[Scored]],
) -> Iterator[LaneTrace]:
    for name in LANES:
        began = time.perf_counter()
        _alone(query, vector if name == "dense" else None, collection)
        took = time.perf_counter() - began
        yield LaneTrace(name=name, seconds=took, num_found=len(found.get(name, ())))


def _gate(
    query: LaneQuery, collection: ExplainableCollection, result: Result, nearest: float
) -> GateDecision:
    terms = question_terms(query.text, collection)
    return judge(
        query.text,
        [passage_of(hit, "") for hit in result],
        nearest=nearest,
        term_weights=terms.weights,
        unknown_terms=terms.unknown,
        model=query.gate,
    )


def _places(scored: Sequence[Scored]) -> dict[int, InLane]:
    return {
        one.chunk_id: InLane(rank=rank, score=one.score) for rank, one in enumerate(scored, start=1)
    }
