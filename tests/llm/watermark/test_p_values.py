"""Tails against scipy and against enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from llm.watermark.null_laws import (
    BinomialLaw,
    ExponentialLaw,
    HypergeometricLaw,
    WeightedBitsLaw,
    weighted_log_tail,
)
from llm.watermark.p_values import (
    best_of,
    binomial_log_tails,
    fisher_log,
    gamma_log_tail,
    share_of,
)


@pytest.mark.parametrize("chance", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("num", [1, 7, 200, 3000])
def test_the_binomial_tail_is_exact(num: int, chance: float) -> None:
    x = np.unique(np.linspace(0, num, 23).astype(int))
    expected = stats.binom.logsf(x - 1, num, chance)
    usable = np.isfinite(expected)  # scipy underflows
    tails = binomial_log_tails(num, chance)
    np.testing.assert_allclose(tails[x][usable], expected[usable], rtol=1e-9, atol=1e-11)
    assert tails[num] == pytest.approx(num * math.log(chance))
    assert tails[num + 1] == -math.inf


def test_the_binomial_tail_is_that_of_enumerated_coins() -> None:
    law = BinomialLaw(chance=0.25, trials=2)
    for total in range(8):
        share = sum(
            0.25 ** sum(coins) * 0.75 ** (6 - sum(coins))
            for coins in itertools.product((0, 1), repeat=6)
            if sum(coins) >= total
        )
        assert math.exp(law.log_tail(float(total), 3)) == pytest.approx(share, abs=1e-14)


@pytest.mark.parametrize("num", [1, 25, 400, 5000])
def test_the_gamma_tail_is_exact(num: int) -> None:
    for total in (0.0, 0.3 * num, 1.0 * num, num + 3 * math.sqrt(num), 3.0 * num, 10.0 * num):
        expected = stats.gamma.logsf(total, num)
        if math.isfinite(expected):
            assert gamma_log_tail(total, num) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert gamma_log_tail(2000.0 * num, num) < -1000


def test_the_hypergeometric_tail_is_exact_when_the_list_runs_out() -> None:
    law = HypergeometricLaw(num_green=5, size=12)
    for num in (3, 9, 12):
        for total in range(num + 2):
            expected = stats.hypergeom.sf(total - 1, 12, 5, num)
            assert math.exp(law.log_tail(float(total), num)) == pytest.approx(expected, abs=1e-13)


def test_a_weighted_tail_of_bits_is_near_that_of_all_their_values() -> None:
    """The saddle point is an approximation; enumerating 2^16 values says how good it is."""
    weights = tuple(np.linspace(10, 1, 8).tolist())
    one = np.array(
        [
            sum(w for w, b in zip(weights, bits, strict=True) if b)
            for bits in itertools.product((0, 1), repeat=8)
        ]
    )
    sums = (one[:, None] + one[None, :]).ravel()
    law = WeightedBitsLaw(weights=weights)
    for quantile in (0.1, 0.5, 0.9, 0.99, 0.999):
        total = float(np.quantile(sums, quantile))
        expected = float((sums > total).mean() + 0.5 * (sums == total).mean())
        assert math.exp(law.log_tail(total, 2)) == pytest.approx(expected, rel=0.12)


def test_a_weighted_tail_of_equal_weights_is_the_exact_one() -> None:
    """Lugannani and Rice's relative error for a Gamma variable of 30 terms is below 1/1000."""
    for law, total in (
        (ExponentialLaw(), 50.0),
        (ExponentialLaw(), 30.0),
        (ExponentialLaw(), 20.0),
    ):
        tail = math.exp(weighted_log_tail(law, np.full(30, 0.7), 0.7 * total))
        assert tail == pytest.approx(math.exp(law.log_tail(total, 30)), rel=2e-3)
    far = weighted_log_tail(ExponentialLaw(), np.ones(30), 900.0)
    assert far == pytest.approx(gamma_log_tail(900.0, 30), rel=1e-4)


def test_a_weighted_tail_of_exponentials_is_the_hypoexponential_one() -> None:
    weights = np.repeat([1.0, 0.5, 0.1], 10)
    sums = np.random.default_rng(0).exponential(size=(40_000, 30)) @ weights
    for total in (16.0, 22.0, 28.0):
        share = float((sums >= total).mean())
        tail = math.exp(weighted_log_tail(ExponentialLaw(), weights, total))
        assert abs(tail - share) < 4 * math.sqrt(share * (1 - share) / len(sums))


def test_the_best_of_several_p_values_is_uniform_again() -> None:
    p = np.random.default_rng(1).random((4000, 16)).min(axis=1)
    corrected = [math.exp(best_of(math.log(x), 16)) for x in p]
    assert stats.kstest(corrected, "uniform").pvalue > 1e-3
    assert best_of(math.log(share_of(0.01, 16)), 16) == pytest.approx(math.log(0.01))
    assert best_of(-800.0, 16) == pytest.approx(-800 + math.log(16))


def test_fishers_combination_is_that_of_scipy() -> None:
    p = [0.3, 0.04, 0.5]
    expected = stats.combine_pvalues(p, method="fisher").pvalue
    assert math.exp(fisher_log([math.log(x) for x in p])) == pytest.approx(expected)
