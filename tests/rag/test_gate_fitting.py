"""A gate from a set of questions: what is asked, and what its figures are of."""

import numpy as np
import pytest

from rag.errors import GateError
from rag.evaluation_set import EvaluationItem, Relevant
from rag.gate_fitting import MAX_HELD_OUT, Judged, fit, judged, left_out
from rag.gate_model import GateExample, GateFeatures


def item(number: int, **values: object) -> EvaluationItem:
    return EvaluationItem(
        **{
            "id": str(number),
            "query": "How hot is it?",
            "kind": "hand",
            "made_by": "hand",
            "relevant": (Relevant(uri=f"{number}.md"),),
            **values,
        }  # type: ignore[arg-type]
    )


def test_each_question_is_asked_with_and_without_the_documents_that_answer_it() -> None:
    asked: list[tuple[str, tuple[str, ...], bool]] = []

    def features_of(one: EvaluationItem) -> GateFeatures:
        asked.append((one.query, one.held_out, one.answerable))
        return GateFeatures(nearest=float(one.answerable))

    items = [
        item(1),
        item(2, relevant=(), answerable=False, held_out=("9.md",), query="Who is it?"),
        item(3, relevant=tuple(Relevant(uri=f"{i}.md") for i in range(MAX_HELD_OUT + 1))),
    ]
    examples = list(judged(items, features_of))
    assert asked == [
        ("How hot is it?", (), True),
        ("How hot is it?", ("1.md",), False),
        ("Who is it?", ("9.md",), False),
        ("How hot is it?", (), True),
    ]
    assert [one.document for one in examples] == ["0.md", "0.md", "9.md", "0.md"]
    assert [one.example.is_answerable for one in examples] == [True, False, False, True]


def test_documents_that_a_question_ties_together_share_a_fold() -> None:
    items = [
        item(1, relevant=(Relevant(uri="c"), Relevant(uri="b"))),
        item(2, relevant=(Relevant(uri="d"),)),
        item(3, relevant=(Relevant(uri="a"), Relevant(uri="c"))),
        item(4, relevant=(Relevant(uri="b"),)),
    ]
    found = [one.document for one in judged(items, lambda _: GateFeatures())]
    assert found == [*"aaddaaaa"]


def examples(num: int, *, noise: float) -> list[Judged]:
    """Both kinds of questions to ten documents; noise 0 tells them apart by `cover` alone."""
    draws = np.random.default_rng(3)
    return [
        Judged(
            example=GateExample(
                features=GateFeatures(
                    nearest=0.5, cover=float(yes + noise * draws.standard_normal())
                ),
                is_answerable=bool(yes),
            ),
            document=f"{number % 10}.md",
        )
        for number in range(num)
        for yes in (0, 1)
    ]


def test_a_gate_that_looks_at_what_tells_them_apart_is_better_than_the_shipped_one() -> None:
    found = fit(examples(60, noise=0.2), seed=1)
    assert found.fitted.auroc.value > 0.98
    assert found.fitted.balanced_accuracy > 0.95
    assert found.present.auroc.value == 0.5  # the shipped gate does not look at the cover
    assert found.is_better
    assert found.gate.is_calibrated


def test_figures_are_of_documents_that_were_left_out() -> None:
    """What a document's questions have in common helps with none of the others."""
    draws = np.random.default_rng(5)
    # All questions to a document have one kind and the same features, drawn at random.
    rows = [
        (GateExample(features=GateFeatures(nearest=value), is_answerable=bool(i % 2)), f"{i}.md")
        for i, value in enumerate(draws.standard_normal(40))
        for _ in range(10)
    ]
    p, told = left_out([one for one, _ in rows], [name for _, name in rows])
    right = np.mean(
        [is_told == one.is_answerable for (one, _), is_told in zip(rows, told, strict=True)]
    )
    assert right < 0.7
    assert len(p) == len(rows)


def test_too_few_are_an_error_that_says_so() -> None:
    alone = [one.example for one in examples(30, noise=0.2)]
    with pytest.raises(GateError, match="at least two documents"):
        left_out(alone, ["1.md"] * len(alone))
    with pytest.raises(GateError, match="at least 10 questions"):
        fit(examples(3, noise=0.2), seed=1)
