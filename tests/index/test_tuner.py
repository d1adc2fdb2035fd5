"""The tuner: its bounds, its search for an effort, and that its choice holds on unseen queries."""

import dataclasses

import numpy as np
import pytest

from index.backend_contract import clustered_rows
from index.distance import unit_rows
from index.errors import TuningError
from index.flat import FlatBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.protocol import Metric
from index.recall import Recall, recall_of
from index.scalar import ScalarBuilder
from index.tuner import least_effort, tune
from index.tuning import Choice, Target, Tuning

METHODS = (FlatBuilder, HnswBuilder, IvfPqBuilder, ScalarBuilder)


def vectors(n: int, d: int = 48) -> np.ndarray:
    return unit_rows(clustered_rows(n, d, 7))


def test_the_lower_bound_holds_as_often_as_it_says() -> None:
    """Answers of one query succeed and fail together, which a plain share would not know."""
    rng = np.random.default_rng(4)
    truth = np.ones((200, 10))
    below = []
    for _ in range(400):
        hard = rng.random(200) < 0.2
        share = np.where(hard, 0.5, 1.0)  # the true recall is .9
        scores = (rng.random((200, 10)) < share[:, None]).astype(np.float64)
        below.append(recall_of(scores, truth, confidence=0.95).low <= 0.9)
    assert 0.92 <= np.mean(below) <= 0.985


def test_a_perfect_sample_is_not_taken_for_certainty() -> None:
    found = recall_of(np.ones((50, 10)), np.ones((50, 10)))
    assert found.value == 1.0
    assert 0.9 < found.low < 0.96
    assert found.high == 1.0


def test_the_least_effort_is_found() -> None:
    def recall_at(effort: int) -> Recall:
        value = min(1.0, effort / 100)
        return Recall(value=value, low=value, high=value, num_queries=1, k=1)

    effort, recall = least_effort(recall_at, (16, 32, 64, 128, 256), 0.9)
    assert 90 <= effort <= 98
    assert recall.value >= 0.9
    assert least_effort(recall_at, (95, 200), 0.9)[0] in range(90, 98)
    assert least_effort(recall_at, (16, 32), 0.9) == (32, recall_at(32))
    assert least_effort(recall_at, (16, 32, 64, 128), 0.9, lambda e: e > 40)[0] == 32


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [0.9, 0.99])
def test_the_choice_holds_the_target_on_queries_it_has_not_seen(wanted: float) -> None:
    every = vectors(6_507)
    rows, unseen = every[:6_007], every[6_007:]
    target = Target(recall=wanted, p95_ms=1e6, memory=rows.nbytes * 2 // 3)
    tuning = tune(rows, Metric.COSINE, target=target, methods=METHODS, seed=3)
    assert tuning.choice.method != "flat"  # which reads all rows
    backend = tuning.choice.builder.build(rows, Metric.COSINE, seed=1, threads=1)
    _, scores = backend.search(unseen, 10, effort=tuning.choice.effort)
    exact = FlatBuilder().build(rows, Metric.COSINE, seed=1, threads=1)
    found = recall_of(scores, exact.search(unseen, 10)[1])
    assert found.value >= wanted - 0.01
    assert tuning.chosen.recall_low >= wanted
    assert tuning.chosen.memory <= rows.nbytes * 2 // 3
    assert any("MB of the" in trial.remark for trial in tuning.trials)
    assert any(trial.is_pareto for trial in tuning.trials)
    assert Tuning.from_json(tuning.to_json()) == tuning


def test_exact_search_is_chosen_where_it_is_quick_enough() -> None:
    rows = vectors(301)
    tuning = tune(rows, Metric.COSINE, target=Target(p95_ms=1e6))
    assert str(tuning.choice) == "flat effort=1"
    assert len(tuning.trials) == 1
    assert (tuning.queries, tuning.num_queries) == ("held out", 30)
    assert not tuning.is_outgrown(1203)
    assert tuning.is_outgrown(1204)


@pytest.mark.slow
def test_limits_that_nothing_keeps_are_named_with_the_nearest() -> None:
    rows = vectors(1_009)
    with pytest.raises(TuningError, match=r"nothing holds recall 0\.9 at 10.*the nearest is"):
        tune(rows, Metric.COSINE, target=Target(recall=0.9, memory=100), methods=METHODS)
    logged = vectors(700)[500:]
    target = Target(recall=0.9, memory=rows.nbytes // 2)
    tuning = tune(rows, Metric.COSINE, target=target, queries=logged, methods=METHODS)
    assert (tuning.queries, tuning.num_queries) == ("logged", 200)


@pytest.mark.untyped
def test_bad_wishes_are_named() -> None:
    for wrong, message in (
        ({"recall": 1.0}, "use exact search, flat"),
        ({"k": 0}, "k must be >= 1"),
        ({"confidence": 0.3}, "confidence must be at least .5"),
        ({"memory": 0}, "memory must be above 0"),
        ({"prefer": "looks"}, "prefer must be speed or memory"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(Target(), **wrong)
    with pytest.raises(ValueError, match="13 rows are too few"):
        tune(vectors(13), Metric.COSINE, target=Target())
    with pytest.raises(ValueError, match="effort must be >= 1"):
        Choice(method="flat", parameters={}, effort=0)
    with pytest.raises(ValueError, match="no record of a tuning"):
        Tuning.from_json("{}")
