"""A set of questions through the real pipeline: what each one got, and what that is worth.

Does not know how answers come about: an `Answerer` gives them. What is measured of a question is
one `QuestionResult`, so that runs can be stored, compared question by question and taken up again.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag.citations import Citation
from rag.document import Passage
from rag.evaluation_set import EvaluationItem, item_to_json, ranked_keys, relevant_keys
from rag.metrics import (
    answer_f1,
    average_precision,
    citation_precision,
    citation_recall,
    exact_match,
    ndcg_at_k,
    normalized_answer,
    recall_at_k,
    reciprocal_rank,
)

DEFAULT_K = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the pipeline made of one question.

    `confidence` orders questions by how likely the collection answers them. `supported` has a word
    for each sentence of the answer: whether what it cites bears it out. Without an answer the text
    is empty and nothing is cited.
    """

    passages: tuple[Passage, ...]
    text: str
    citations: tuple[Citation, ...]
    is_answer: bool
    confidence: float
    supported: tuple[bool, ...]
    retrieval_s: float
    total_s: float


class Answerer(Protocol):
    """Answers the questions of a set."""

    def answer(self, item: EvaluationItem) -> Answered:
        """Answer one question, without what it holds out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionResult:
    """The figures of one question; those that it cannot have are left out.

    `digest` is of the question with its judgment, so that only equal ones are compared.
    """

    id: str
    digest: str
    kind: str
    answerable: bool
    is_answer: bool
    is_right: bool
    confidence: float
    retrieval_s: float
    total_s: float
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "QuestionResult":
        """Return the result of a JSON object; raises `TypeError` where it is none."""
        return cls(**value)


def digest_of(item: EvaluationItem) -> str:
    """Return what tells a question with its judgment from any other."""
    data = json.dumps(item_to_json(item), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(data.encode()).hexdigest()[:16]


def digest_of_set(items: Sequence[EvaluationItem]) -> str:
    """Return what tells a set from any other."""
    return hashlib.sha256(" ".join(digest_of(item) for item in items).encode()).hexdigest()[:16]


def result_of(item: EvaluationItem, answered: Answered, k: int = DEFAULT_K) -> QuestionResult:
    """Return the figures of a question.

    It is right to abstain from what is not answerable; an answer is right where a citation shows
    something relevant.
    """
    shown = [item.shown_by(c.uri, c.start, c.end) for c in answered.citations]
    figures: dict[str, float] = {}
    is_right = answered.is_answer == item.answerable
    if item.answerable:
        figures |= _ranking(item, answered.passages, k)
        figures["citation_recall"] = citation_recall(shown, len(item.relevant))
        if shown:
            figures["citation_precision"] = citation_precision(shown)
        is_right = answered.is_answer and any(shown)
    figures["decision"] = float(answered.is_answer == item.answerable)
    if item.answers:
        said = normalized_answer(answered.text)
        wanted = [a for a in map(normalized_answer, item.answers) if a]
        if wanted:
            figures["answer_held"] = float(any(a in said for a in wanted))
        figures["answer_f1"] = answer_f1(answered.text, item.answers)
        figures["exact_match"] = exact_match(answered.text, item.answers)
    if answered.supported:
        figures["faithfulness"] = sum(answered.supported) / len(answered.supported)
    return QuestionResult(
        id=item.id,
        digest=digest_of(item),
        kind=item.kind,
        answerable=item.answerable,
        is_answer=answered.is_answer,
        is_right=is_right,
        confidence=answered.confidence,
        retrieval_s=answered.retrieval_s,
        total_s=answered.total_s,
        figures=figures,
    )


def run_set(
    items: Sequence[EvaluationItem],
    answerer: Answerer,
    *,
    k: int = DEFAULT_K,
    known: Mapping[str, QuestionResult] | None = None,
    on_result: Callable[[QuestionResult, int, int], None] = lambda *_: None,
) -> Iterator[QuestionResult]:
    """Yield the result of each question in order; what is `known` by its digest is not asked again.

    `on_result` gets each new result, how many are done, and how many there are.
    """
    found = dict(known or {})
    for number, item in enumerate(items, start=1):
        result = found.get(digest_of(item))
        if result is None:
            result = result_of(item, answerer.answer(item), k)
            on_result(result, number, len(items))
        yield result


def timed() -> Callable[[], float]:
    """Return a clock that says how many seconds passed since now."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began


def _ranking(item: EvaluationItem, passages: Sequence[Passage], k: int) -> dict[str, float]:
    ranked, relevant = ranked_keys(item, passages), relevant_keys(item)
    return {
        "recall": recall_at_k(ranked, relevant, k),
        "ndcg": ndcg_at_k(ranked, dict.fromkeys(relevant, 1.0), k),
        "mrr": reciprocal_rank(ranked, relevant, k),
        "map": average_precision(ranked[:k], relevant),
    }
