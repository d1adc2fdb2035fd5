"""What a passage takes off a question's surprise, and which gates ask for it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from llm.chat import TextScores
from rag.document import Chunk, Passage
from rag.gate_model import DEFAULT_GATE, GateModel
from rag.question_likelihood import QuestionLikelihood


class Scorer:
    """A question is as probable as it has words in common with what is before it."""

    name = "scorer"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, prefix: str, continuations: Sequence[str], *, tenant: str = "") -> TextScores:
        self.asked.append(tenant)
        (text,) = continuations
        common = set(prefix.lower().split()) & set(text.lower().split())
        return TextScores(log_probs=(len(common) - 10.0,), computed_tokens=1)


def passage(text: str) -> Passage:
    return Passage(
        collection="c",
        document_id="d",
        title="Oven",
        uri="d",
        chunk=Chunk(start=0, end=len(text), text=text, heading_path=()),
        score=1.0,
        rank=1,
    )


def test_the_gain_is_of_the_first_passage_and_a_word() -> None:
    scorer = Scorer()
    likelihood = QuestionLikelihood(scorer, tenant="a")
    found = [passage("heat the oven first"), passage("nothing")]
    assert likelihood.gain("Heat\nthe oven now", found) == pytest.approx(3 / 4)
    assert scorer.asked == ["a", "a"]
    assert likelihood.gain("Heat the oven now", found[1:]) < 0.5
    assert likelihood.gain("  ", found) == likelihood.gain("Heat", []) == 0.0


def test_a_gate_asks_the_model_where_it_was_fitted_with_it() -> None:
    assert not DEFAULT_GATE.asks_model
    asking = replace(DEFAULT_GATE, weights={"likelihood": 2.0})
    assert GateModel.from_json(asking.to_json()).asks_model
