"""Moments against scipy and simulation; predicted power against that of simulated replies."""

import math

import numpy as np
import pytest
from scipy import special

from benchmarks.watermark_simulation import Simulation
from llm.watermark.bayesian import fit
from llm.watermark.gamma_functions import digamma, tetragamma, trigamma
from llm.watermark.gumbel import Gumbel
from llm.watermark.kgw import GreenLists
from llm.watermark.null_laws import BinomialLaw, ExponentialLaw
from llm.watermark.power import PowerMeter, critical_total, predicted_power
from llm.watermark.prf import sub_key, words_of
from llm.watermark.scheme import Expectation, Scheme
from llm.watermark.step_probs import step_probs
from llm.watermark.synthid import SynthID, tournament
from llm.watermark.unigram import Unigram
from tests.llm.watermark.texts import SECRET, VOCABULARY, choose, step

SCHEMES: dict[str, Scheme] = {
    "gumbel": Gumbel(num_sub_keys=1),
    "gumbel-16": Gumbel(),
    "sbw": GreenLists(),
    "sbw-quarter": GreenLists(gamma=0.25),
    "synthid-mean": SynthID(statistic="mean"),
    "synthid-weighted": SynthID(),
}
# the design's own simulation: detected at 1 % false positives after 25, 50 and 100 tokens
TABLE = {
    "gumbel": {0.5: (0.27, 0.54, 0.82), 1.0: (0.81, 0.99, 1.0)},
    "sbw-quarter": {0.5: (0.08, 0.24, 0.50), 1.0: (0.30, 0.65, 0.94)},
    "sbw": {0.5: (0.20, 0.25, 0.53), 1.0: (0.40, 0.72, 0.97)},
    "synthid-mean": {0.5: (0.19, 0.40, 0.69)},
    "synthid-weighted": {0.5: (0.26, 0.52, 0.83), 1.0: (0.82, 1.0, 1.0)},
}
LENGTHS = (25, 50, 100)
ALPHA = 0.01


def test_the_derivatives_of_ln_gamma_are_those_of_scipy() -> None:
    x = np.array([1.0, 1.1, 2.5, 10.0, 1e4, 1e80])
    np.testing.assert_allclose(digamma(x), special.digamma(x), rtol=1e-10)
    np.testing.assert_allclose(trigamma(x), special.polygamma(1, x), rtol=1e-10)
    np.testing.assert_allclose(tetragamma(x), special.polygamma(2, x), rtol=1e-10, atol=1e-100)


@pytest.mark.parametrize("probs", [[1.0], [0.5, 0.5], [0.9, 0.06, 0.04], [0.05] * 20])
def test_the_moments_of_gumbel_evidence_are_those_of_simulated_draws(probs: list[float]) -> None:
    p = np.array(probs)
    u = np.random.default_rng(0).random((200_000, len(p)))
    drawn = (np.log(p) - np.log(-np.log(u))).argmax(axis=1)
    values = -np.log1p(-u[np.arange(len(u)), drawn])
    expected = Gumbel().expect(p)
    assert values.mean() == pytest.approx(expected.mean, abs=5 * math.sqrt(expected.variance / 2e5))
    assert values.var() == pytest.approx(expected.variance, rel=0.03)
    assert ((values - values.mean()) ** 3).mean() == pytest.approx(expected.third, rel=0.15)


def test_what_cannot_be_another_token_is_expected_to_tell_what_chance_tells() -> None:
    for scheme in SCHEMES.values():
        expected = scheme.expect(np.ones(1))
        assert expected.mean == pytest.approx(scheme.law.mean)
        assert expected.variance == pytest.approx(scheme.law.variance)


@pytest.mark.parametrize("statistic", ["mean", "weighted"])
def test_the_moments_of_tournaments_are_those_of_many_keys(statistic: str) -> None:
    scheme = SynthID(statistic="mean") if statistic == "mean" else SynthID()
    p = np.array([0.6, 0.2, 0.1, 0.1])
    keys = np.random.default_rng(1).integers(0, 2**63, 20_000).astype(np.uint64)
    words = words_of(np.arange(4), keys[:, None])
    marked = tournament(np.broadcast_to(p, words.shape), words, 30)
    mean = float((marked * scheme.value_of(words)).sum(axis=1).mean())
    told = [scheme.expect(p, seed=seed) for seed in range(25)]
    assert np.mean([e.mean for e in told]) == pytest.approx(mean, abs=0.15)
    first = scheme.law.mean + (0.25 * (1 - float((p**2).sum())) if statistic == "mean" else 0)
    assert mean > first  # one layer gives 1/4 (1 - sum p^2), all of them more


def test_the_share_of_green_tokens_reaches_the_bound_of_the_paper() -> None:
    """E[greens] >= gamma alpha S / (1 + (alpha - 1) gamma), S the mean spike entropy."""
    p = np.array([0.7, 0.1, 0.1, 0.05, 0.05])
    for gamma in (0.25, 0.5):
        scheme = GreenLists(gamma=gamma)
        alpha = math.exp(2.0)
        m = (1 - gamma) * (alpha - 1) / (1 + (alpha - 1) * gamma)
        spike = float((p / (1 + m * p)).sum())
        bound = gamma * alpha * spike / (1 + (alpha - 1) * gamma)
        coins = np.random.default_rng(2).random((100_000, 5)) < gamma
        raised = p * np.where(coins, alpha, 1.0)
        chance = float(((raised * coins).sum(axis=1) / raised.sum(axis=1)).mean())
        told = np.mean([scheme.expect(p, seed=seed).mean for seed in range(40)])
        assert told == pytest.approx(chance, abs=0.01)
        assert chance >= bound


def test_the_threshold_is_the_first_total_that_is_enough() -> None:
    law = BinomialLaw(chance=0.5)
    threshold = critical_total(law, 50, ALPHA)
    assert math.exp(law.log_tail(threshold + 0.5, 50)) <= ALPHA
    assert math.exp(law.log_tail(threshold - 0.5, 50)) > ALPHA
    exact = critical_total(ExponentialLaw(), 50, ALPHA)
    assert math.exp(ExponentialLaw().log_tail(exact, 50)) == pytest.approx(ALPHA)
    assert math.isinf(critical_total(law, 5, ALPHA))  # five heads are not rare enough


@pytest.mark.slow
@pytest.mark.parametrize("entropy", [0.5, 1.0])
@pytest.mark.parametrize("name", SCHEMES)
def test_power_is_as_predicted_and_as_the_design_says(name: str, entropy: float) -> None:
    """Within 0.05, and two standard errors of a share of 400 replies."""
    scheme = SCHEMES[name]
    num = 400
    simulation = Simulation(scheme, num, seed=12)
    offers = step_probs(entropy, 32, simulation.rng)
    told = [scheme.expect(probs, seed=i) for i, probs in enumerate(offers)]
    meter = PowerMeter(scheme)
    for position in range(LENGTHS[-1] + 4):
        simulation.step(np.broadcast_to(offers[position % 32], (num, offers.shape[1])))
        if position < 4:
            continue
        meter.add(told[position % 32])
        if position - 3 not in LENGTHS:
            continue
        share = simulation.detected(ALPHA)
        error = math.sqrt(max(share * (1 - share), 0.01) / num)
        predicted = meter.power(ALPHA)
        assert predicted.num_scored == position - 3
        assert predicted.value == pytest.approx(share, abs=0.05 + 2 * error)
        if entropy in TABLE.get(name, {}):
            expected = TABLE[name][entropy][LENGTHS.index(position - 3)]
            # the table has the error of 200 sequences and another family of distributions
            assert share == pytest.approx(expected, abs=0.15)


def test_a_meter_that_sees_a_quarter_of_the_tokens_predicts_the_same() -> None:
    scheme = Gumbel()
    offers = step_probs(0.7, 80, np.random.default_rng(3))
    full, some = PowerMeter(scheme), PowerMeter(scheme, stride=4)
    wanted = 0
    for probs in offers:
        full.add(scheme.expect(probs))
        wanted += some.wants
        some.add(scheme.expect(probs) if some.wants else None)
    assert wanted == 16 + 16
    assert some.power().value == pytest.approx(full.power().value, abs=0.05)
    assert some.power().num_scored == 80


def test_a_short_certain_reply_is_said_not_to_be_detectable() -> None:
    scheme = Gumbel()
    meter = PowerMeter(scheme)
    assert meter.power().value == 0
    for _ in range(41):
        meter.add(scheme.expect(np.array([0.97, 0.02, 0.01])))
    assert not meter.power().is_detectable
    for _ in range(200):
        meter.add(scheme.expect(np.full(8, 0.125)))
    assert meter.power().is_detectable


def test_a_mark_says_what_its_tokens_will_tell() -> None:
    """The sum over a reply is near what its detector finds, within five standard deviations."""
    for scheme in (*SCHEMES.values(), Unigram(vocabulary_size=VOCABULARY)):
        rng = np.random.default_rng(4)
        mark = scheme.start(SECRET, seed=5)
        tokens, told = [], []
        for position in range(120):
            survivors = step(rng)
            token = choose(mark, survivors, seed=5, position=position)
            expected = mark.expect(survivors, token)
            assert mark.counts(token) == (expected is not None)
            if expected is not None:
                told.append(expected)
            mark.take(token)
            tokens.append(token)
        number = 5 % scheme.num_sub_keys
        scores = scheme.score(np.array(tokens), sub_key(SECRET, scheme.label, number)[None])
        assert scores.counts()[0] == len(told)
        spread = math.sqrt(sum(e.variance for e in told))
        total = sum(e.mean for e in told)
        assert abs(scores.totals()[0] - total) < 5 * spread
        assert total > len(told) * scheme.law.mean + 2 * spread


def test_other_sub_keys_pass_by_chance() -> None:
    nothing = Expectation(mean=30.0, variance=30.0, third=60.0)
    alone = predicted_power(ExponentialLaw(), nothing, 30, alpha=ALPHA)
    assert alone == pytest.approx(ALPHA, rel=0.02)
    among = predicted_power(ExponentialLaw(), nothing, 30, alpha=ALPHA, num_tests=16)
    assert among == pytest.approx(ALPHA, rel=0.02)


def test_the_bayesian_detector_finds_as_much_as_the_weighted_mean() -> None:
    base = SynthID()
    rng = np.random.default_rng(5)
    bayesian = fit(base, list(step_probs(0.7, 1500, rng)), seed=1)
    simulation = Simulation(base, 200, seed=6)
    for _ in range(44):
        simulation.step(step_probs(0.7, 200, rng))
    weighted = simulation.detected(ALPHA)
    share = simulation.detected(ALPHA, bayesian)
    assert share >= weighted - 0.02
    totals = [bayesian.score(t, k[None]).totals()[0] for t, k in simulation.pairs()]
    assert np.mean([bayesian.posterior(float(total)) for total in totals]) > 0.75
    null = Simulation(base, 200, seed=7)
    assert null.num_tokens == 0
    unmarked = [
        bayesian.score(t, k[None]).totals()[0]
        for (t, _), (_, k) in zip(simulation.pairs(), null.pairs(), strict=True)
    ]
    assert np.mean([bayesian.posterior(float(total)) for total in unmarked]) < 0.25
