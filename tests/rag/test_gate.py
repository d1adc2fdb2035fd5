"""The gate: its decisions, its fitting, and what it asks back."""

from dataclasses import replace

import numpy as np
import pytest

from rag.document import Chunk, Passage
from rag.errors import GateError
from rag.facets import best_facet
from rag.gate import GateDecision, judge
from rag.gate_model import DEFAULT_GATE, GateExample, GateFeatures, GateModel, fit_gate


def passage(
    title: str, text: str, *, score: float = 0.7, headings: tuple[str, ...] = ()
) -> Passage:
    return Passage(
        collection="c",
        document_id=title,
        title=title,
        uri=title,
        chunk=Chunk(start=0, end=len(text.encode()), text=text, heading_path=headings),
        score=score,
        rank=1,
    )


ROUTERS = [
    passage(f"Router {name}", "To reset the router, hold the button.", headings=("Manual", name))
    for name in ("X1", "X2", "X3")
]


ASKING = replace(DEFAULT_GATE, clarify_threshold=0.5)


def decide(
    question: str,
    passages: list[Passage],
    weights: dict[str, float],
    *,
    nearest: float = 0.7,
    model: GateModel = ASKING,
) -> GateDecision:
    return judge(
        question,
        passages,
        nearest=nearest,
        term_weights=weights,
        unknown_terms=frozenset(),
        model=model,
    )


def test_a_question_that_fits_several_things_alike_is_asked_back() -> None:
    gate = decide("reset router", ROUTERS, {"reset": 1.0, "router": 1.0})
    assert gate.decision == "clarify"
    assert gate.facet is not None
    assert gate.facet.options == ("Router X1", "Router X2", "Router X3")
    assert not gate.is_calibrated


def test_the_gate_that_is_shipped_answers_rather_than_asks_back() -> None:
    """ "What does the with statement do?" was asked back, though its odds are fitted on nothing."""
    words = {"reset": 1.0, "router": 1.0}
    gate = decide("reset router", ROUTERS, words, model=DEFAULT_GATE)
    assert gate.decision == "answer"
    assert gate.facet is None
    assert gate.p_underspecified >= ASKING.clarify_threshold


@pytest.mark.parametrize(
    ("passages", "weights"),
    [
        (ROUTERS[:1], {"reset": 1.0, "router": 1.0}),
        (ROUTERS, dict.fromkeys(["reset", "router", "hold", "button", "long", "x1"], 1.0)),
        ([ROUTERS[0], passage("Garden", "A router of paths.")], {"reset": 1.0, "router": 1.0}),
    ],
    ids=["one thing", "many words", "the other fits less"],
)
def test_a_question_that_fits_one_thing_is_answered(
    passages: list[Passage], weights: dict[str, float]
) -> None:
    assert decide("reset router", passages, weights).decision == "answer"


def test_what_is_far_is_not_answered_and_says_what_is_missing() -> None:
    gate = decide("How do I reset the Zeppelin?", ROUTERS, {"reset": 1.0}, nearest=0.4)
    assert (gate.decision, gate.missing_names) == ("abstain", ("Zeppelin",))
    assert gate.p_answerable < 0.5


def test_the_facet_that_splits_most_is_asked_for() -> None:
    facet = best_facet(ROUTERS, {p.document_id: {"kind": "router"} for p in ROUTERS})
    assert facet is not None
    assert facet.name == "title"
    assert facet.gain == pytest.approx(np.log2(3))
    assert best_facet([ROUTERS[0]] * 3) is None


def examples(num: int, *, seed: int = 0, noise: float = 0.1) -> list[GateExample]:
    draws = np.random.default_rng(seed)
    made = []
    for i in range(num):
        nearest = float(np.clip(draws.normal(0.7 if i % 2 else 0.5, noise), 0, 1))
        features = GateFeatures(nearest=nearest, unknown=float(draws.random()))
        made.append(GateExample(features=features, is_answerable=bool(i % 2)))
    return made


def test_a_fitted_gate_tells_both_kinds_apart_and_its_probabilities_are_frequencies() -> None:
    gate = fit_gate(examples(200))
    assert gate.is_calibrated
    unseen = examples(2000, seed=1)
    p = np.array([gate.p_answerable(one.features) for one in unseen])
    truth = np.array([one.is_answerable for one in unseen])
    assert p[truth].mean() > 0.75
    for low in (0.1, 0.3, 0.5, 0.7):
        band = (p >= low) & (p < low + 0.2)
        assert truth[band].mean() == pytest.approx(p[band].mean(), abs=0.1)
    assert ((p >= gate.threshold) == truth).mean() > 0.8


def test_fitting_says_what_it_lacks() -> None:
    with pytest.raises(GateError, match=r"at least 10 questions.*there are 7"):
        fit_gate(examples(14))


def test_a_gate_survives_being_written_down() -> None:
    gate = fit_gate(examples(60))
    assert GateModel.from_json(gate.to_json()) == gate
    assert GateModel.from_json(DEFAULT_GATE.to_json()) == DEFAULT_GATE


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weights": {"colour": 1}, "bias": 0}', '{"weights": 3, "bias": 0}']
)
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(GateError, match="fit it anew"):
        GateModel.from_json(text)
