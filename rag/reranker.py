"""The port to whatever puts found passages into a better order, and the ones that need no model.

A reranker sees the query and a handful of passages, so it may look closer at each than a search
over all of them can afford.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from llm.chat import TextScorer
from rag.document import Passage

_MOST_CHARS = 1_600  # of a passage are read: a chunk is shorter, a whole abstract may not be
_ASKED = "\n\nA question that this text answers:"


@runtime_checkable
class Reranker(Protocol):
    """Puts passages into its own order; `rag.testing.RerankerContract` has the laws."""

    @property
    def name(self) -> str:
        """What traces and reports call it."""
        ...

    def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the same passages, best first, with ranks from 1 and the scores of this order.

        Higher is better; scores need not compare between queries. Passages that it finds equal
        stay in the order they came in. No passages are no error.
        """
        ...


def ranked(passages: Sequence[Passage], scores: Sequence[float]) -> list[Passage]:
    """Return passages by their scores, best first, with scores and ranks; equals as they came."""
    order = sorted(range(len(passages)), key=lambda i: -scores[i])
    return [
        replace(passages[i], score=float(scores[i]), rank=rank)
        for rank, i in enumerate(order, start=1)
    ]


class QueryLikelihood:
    """Orders passages by how probable the question is after each: log p(query | passage).

    The passage is the prefix, so that its keys and values stay cached for the next question.
    """

    name = "query-likelihood"

    def __init__(self, scorer: TextScorer) -> None:
        self._scorer = scorer

    def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages by the likelihood of the question.

        Raises:
            EngineBusyError: the model has no room now.
        """
        question = " ".join(query.split())
        if not question:
            return ranked(passages, [0.0] * len(passages))
        scores = []
        for passage in passages:
            text = f"{passage.title}\n{passage.chunk.text}"[:_MOST_CHARS]
            found = self._scorer.score(text + _ASKED, [f" {question}"])
            scores.append(found.log_probs[0])
        return ranked(passages, scores)
