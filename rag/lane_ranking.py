"""One ranking of passages out of several lanes', in the scores of the first of them.

Gate and quotes were made for the scores of `rag/retriever`; so a passage that another ranking puts
into a place gets the score that the question's own search had there.
"""

from collections.abc import Sequence
from dataclasses import replace

from rag.document import Passage
from rag.fusion import best_first, by_ranks, by_scores
from rag.lane import LaneFound, key_of
from rag.query_plan import QueryPlan


def merged(queries: Sequence[str], found: Sequence[Sequence[Passage]]) -> LaneFound:
    """Return the passages of several queries as one lane, by reciprocal ranks."""
    passages = {key_of(one): one for lane in found for one in lane}
    scores = by_ranks([[key_of(one) for one in lane] for lane in found])
    return LaneFound(
        queries=tuple(queries),
        passages=tuple(
            replace(passages[key], score=scores[key], rank=rank)
            for rank, key in enumerate(best_first(scores), start=1)
        ),
    )


def fused_lanes(
    own: Sequence[Passage], others: Sequence[Sequence[Passage]], plan: QueryPlan
) -> list[Passage]:
    """Return one ranking of the question's own passages and those of the other lanes."""
    lanes = [own, *(lane for lane in others if lane)]
    if len(lanes) == 1:
        return list(own)
    weights = [1.0] + [plan.lane_weight] * (len(lanes) - 1)
    if plan.fusion == "ranks":
        scores = by_ranks([[key_of(one) for one in lane] for lane in lanes], weights)
    else:
        scores = by_scores([{key_of(one): one.score for one in lane} for lane in lanes], weights)
    passages = {key_of(one): one for lane in lanes for one in lane}
    order = [passages[key] for key in best_first(scores)]
    return in_order(own or order, order)


def in_order(scale: Sequence[Passage], order: Sequence[Passage]) -> list[Passage]:
    """Return passages in a new order, with ranks, and scores that fall as those of `scale` do."""
    scores = sorted((one.score for one in scale), reverse=True)
    last = scores[-1] if scores else 0.0
    return [
        replace(one, rank=rank, score=scores[rank - 1] if rank <= len(scores) else last)
        for rank, one in enumerate(order, start=1)
    ]


def with_candidates(ranking: Sequence[Passage], more: Sequence[Passage]) -> list[Passage]:
    """Return a ranking with candidates that it lacks, each where its score has it."""
    known = {key_of(one) for one in ranking}
    together = [*ranking, *(one for one in more if key_of(one) not in known)]
    together.sort(key=lambda one: -one.score)
    return [replace(one, rank=rank) for rank, one in enumerate(together, start=1)]
