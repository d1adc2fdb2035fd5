import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import metrics

UNIT = st.floats(0, 1, allow_nan=False)


def test_a_query_without_a_judgment_is_an_error_and_no_nan() -> None:
    for measure in (metrics.recall_at_k, metrics.precision_at_k, metrics.reciprocal_rank):
        with pytest.raises(ValueError, match="without a judgment"):
            measure(["a"], [], 10)
    with pytest.raises(ValueError, match="without a judgment"):
        metrics.ndcg_at_k(["a"], {"a": 0.0}, 10)
    with pytest.raises(ValueError, match="1 of 2 queries have no judgment, such as 'q2'"):
        metrics.per_query({"q1": ["a"], "q2": ["a"]}, {"q1": {"a"}}, metrics.average_precision)


def test_a_judged_query_that_was_not_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 of 2 judged queries were not run"):
        metrics.per_query({"q1": ["a"]}, {"q1": {"a"}, "q2": {"b"}}, metrics.average_precision)
    found = metrics.per_query({"q": ["b", "a"]}, {"q": {"a"}}, metrics.average_precision)
    assert found == {"q": 0.5}


def test_a_ranking_that_holds_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' twice"):
        metrics.recall_at_k(["a", "b", "a"], {"a"}, 3)


def test_rankings_by_hand() -> None:
    ranked = ["x", "a", "y", "b"]
    assert metrics.recall_at_k(ranked, {"a", "b", "c"}, 2) == pytest.approx(1 / 3)
    assert metrics.precision_at_k(ranked, {"a", "b"}, 4) == 0.5
    assert metrics.precision_at_k(["a"], {"a"}, 4) == 0.25
    assert metrics.reciprocal_rank(ranked, {"a"}) == 0.5
    assert metrics.reciprocal_rank(ranked, {"b"}, 3) == 0
    assert metrics.average_precision(ranked, {"a", "b", "c"}) == pytest.approx((1 / 2 + 2 / 4) / 3)
    gains = {"a": 1.0, "b": 3.0, "z": 0.0}
    best = 3 + 1 / math.log2(3)
    assert metrics.ndcg_at_k(ranked, gains, 4) == pytest.approx(
        (1 / math.log2(3) + 3 / math.log2(5)) / best
    )


def test_citations_by_hand() -> None:
    supports = [frozenset({0}), frozenset[int](), frozenset({0, 2})]
    assert metrics.citation_precision(supports) == pytest.approx(2 / 3)
    assert metrics.citation_recall(supports, 4) == 0.5
    with pytest.raises(ValueError, match="without citations"):
        metrics.citation_precision([])
    with pytest.raises(ValueError, match="num_relevant"):
        metrics.citation_recall([], 0)


def test_answers_are_compared_as_squad_compares_them() -> None:
    assert metrics.normalized_answer("The  Denver-Broncos, «an» A!") == "denverbroncos"
    assert metrics.exact_match("the Broncos.", ["Denver", "broncos"]) == 1
    assert metrics.answer_f1("in June 1990", ["June 1990"]) == pytest.approx(0.8)
    assert metrics.answer_f1("", ["x"]) == 0
    assert metrics.answer_f1("the", ["a"]) == 1
    with pytest.raises(ValueError, match="reference"):
        metrics.answer_f1("x", [])


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2))
def test_auroc_counts_pairs(pairs: list[tuple[float, bool]]) -> None:
    scores = [score for score, _ in pairs]
    labels = [label for _, label in pairs]
    if all(labels) or not any(labels):
        with pytest.raises(ValueError, match="both kinds"):
            metrics.auroc(scores, labels)
        return
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p, is_positive in pairs
        for n, is_other in pairs
        if is_positive and not is_other
    ]
    assert metrics.auroc(scores, labels) == pytest.approx(sum(wins) / len(wins))


def test_risk_falls_where_the_sure_decisions_are_right() -> None:
    points = metrics.risk_coverage([0.9, 0.8, 0.8, 0.1], [False, False, True, True])
    assert [(p.coverage, p.risk) for p in points] == [
        (0.25, 0.0),
        (0.75, pytest.approx(1 / 3)),  # equal confidences are not parted
        (1.0, 0.5),
    ]
    assert metrics.area_under_risk(points) == pytest.approx(0.5 / 3 + 0.25 * 0.5)
    assert metrics.area_under_risk(metrics.risk_coverage([0.5] * 4, [True, False] * 2)) == 0.5


def test_calibration_error_by_hand() -> None:
    assert metrics.calibration_error([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0)
    assert metrics.calibration_error([1.0, 0.0], [False, True]) == 1
    with pytest.raises(ValueError, match="must be in"):
        metrics.calibration_error([1.2], [True])


@given(st.lists(UNIT, min_size=1, max_size=40), st.integers(0, 5))
def test_an_interval_holds_its_mean_and_depends_on_the_seed_alone(
    values: list[float], seed: int
) -> None:
    found = metrics.bootstrap_interval(values, seed=seed, num_resamples=200)
    assert found.value == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found == metrics.bootstrap_interval(values, seed=seed, num_resamples=200)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        sample = rng.random(60) < 0.7
        found = metrics.bootstrap_interval(
            sample.astype(float).tolist(), seed=trial, num_resamples=400
        )
        covered += found.low <= 0.7 <= found.high
    # 95 % of 200 within three standard deviations of a binomial; the bootstrap is a little narrow.
    assert 0.88 <= covered / 200 <= 1


def test_groups_are_drawn_whole() -> None:
    """Ten turns of one dialogue that are all alike are no ten votes."""
    values = [0.0] * 10 + [1.0] * 10
    alone = metrics.bootstrap_interval(values, seed=0)
    grouped = metrics.bootstrap_interval(values, seed=0, groups=["a"] * 10 + ["b"] * 10)
    assert grouped.value == alone.value
    assert (grouped.low, grouped.high) == (0, 1)
    assert alone.low > 0.2


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(100)
    better = metrics.paired_bootstrap(
        (base + 0.02 + rng.normal(0, 0.01, 100)).tolist(), base.tolist(), seed=1
    )
    assert better.is_gain
    assert not better.is_loss
    assert better.p < 0.01
    same = metrics.paired_bootstrap(base.tolist(), base.tolist(), seed=1)
    assert (same.value, same.p, same.is_gain, same.is_loss) == (0, 1, False, False)
    with pytest.raises(ValueError, match="same queries"):
        metrics.paired_bootstrap([1.0], [1.0, 2.0], seed=1)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        metrics.bootstrap_interval([0.5, math.nan], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        metrics.auroc([math.nan, 1.0], [True, False])
    with pytest.raises(ValueError, match="at least one"):
        metrics.bootstrap_interval([], seed=0)


def test_the_interval_of_auroc_holds_it() -> None:
    rng = np.random.default_rng(0)
    labels = [i % 2 == 0 for i in range(80)]
    scores = [float(label) + rng.normal() for label in labels]
    found = metrics.auroc_interval(scores, labels, seed=0, num_resamples=300)
    assert found.low < found.value < found.high
    assert found.n == 80
