"""The cuts against their definitions, written down naively."""

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from llm.decoding.draw import draw
from llm.decoding.truncate import truncate
from llm.sampling_params import Mirostat, SamplingParams

V = 53
Row = Float64[np.ndarray, " v"]


def softmax(z: Row, temperature: float) -> Row:
    p: Row = np.exp((z - z.max()) / temperature)
    p /= p.sum()
    return p


def naive_prefix(p: Row, order: list[int], mass: float) -> set[int]:
    kept: set[int] = set()
    total = 0.0
    for v in order:
        kept.add(v)
        total += p[v]
        if total >= mass:
            break
    return kept


def naive(z: Row, params: SamplingParams, *, most_bits: float = np.inf) -> set[int]:
    p = softmax(z, params.temperature)
    possible = [v for v in range(len(z)) if np.isfinite(z[v])]
    by_rank = sorted(possible, key=lambda v: (-z[v], v))
    entropy = -sum(p[v] * np.log(p[v]) for v in possible if p[v] > 0)
    kept = set(possible)
    if params.top_k:
        kept &= set(by_rank[: params.top_k])
    if params.top_p < 1:
        kept &= naive_prefix(p, by_rank, params.top_p)
    if params.min_p:
        kept &= {v for v in possible if p[v] >= params.min_p * p.max()}
    if params.typical_p < 1:
        with np.errstate(divide="ignore"):
            distance = np.abs(-np.log(p) - entropy)
        near = sorted(possible, key=lambda v: (distance[v], by_rank.index(v)))
        kept &= naive_prefix(p, near, params.typical_p)
    if params.epsilon_cutoff:
        kept &= {v for v in possible if p[v] >= params.epsilon_cutoff}
    if params.eta_cutoff:
        eta = params.eta_cutoff
        kept &= {v for v in possible if p[v] >= min(eta, np.sqrt(eta) * np.exp(-entropy))}
    if params.top_n_sigma:
        finite = z[possible]
        kept &= {v for v in possible if z[v] >= z.max() - params.top_n_sigma * finite.std()}
    if params.mirostat is not None:
        kept &= {v for v in possible if -np.log2(p[v]) <= most_bits}
    return kept or {by_rank[0]}


def asked(**knobs: float) -> SamplingParams:
    return SamplingParams(**{"temperature": 1.0, **knobs})  # type: ignore[arg-type]


CASES = (
    asked(),
    asked(typical_p=0.2),
    asked(typical_p=0.9),
    asked(typical_p=0.95, temperature=0.6),
    asked(epsilon_cutoff=0.01),
    asked(epsilon_cutoff=0.9),
    asked(eta_cutoff=0.002),
    asked(eta_cutoff=0.3, temperature=1.7),
    asked(top_n_sigma=1.0),
    asked(top_n_sigma=0.3, temperature=5.0),
    asked(top_n_sigma=1.5, top_p=0.8, typical_p=0.7, epsilon_cutoff=0.003),
    asked(top_k=1, typical_p=0.2),
    asked(top_k=11, top_p=0.7, min_p=0.05, eta_cutoff=0.01),
)


@pytest.mark.parametrize("params", CASES, ids=repr)
def test_a_cut_is_its_definition(params: SamplingParams, rng: np.random.Generator) -> None:
    for spread in (0.1, 1.0, 3.0, 9.0):
        z = (rng.normal(size=V) * spread).astype(np.float32)
        z[rng.integers(0, V, size=7)] = -np.inf
        row = truncate(z, params)
        assert set(row.token_ids.tolist()) == naive(z.astype(np.float64), params)
        p = softmax(z.astype(np.float64), params.temperature)
        assert np.exp(row.log_probs) == pytest.approx(p[row.token_ids], abs=1e-12)
        assert (np.diff(row.log_probs) <= 0).all()


@pytest.mark.parametrize("bits", [0.5, 3.0, 5.2, 40.0])
def test_mirostat_keeps_what_does_not_surprise_too_much(
    bits: float, rng: np.random.Generator
) -> None:
    params = SamplingParams(temperature=1.3, mirostat=Mirostat())
    z = (rng.normal(size=V) * 2).astype(np.float32)
    kept = set(truncate(z, params, most_bits=bits).token_ids.tolist())
    assert kept == naive(z.astype(np.float64), params, most_bits=bits)


@pytest.mark.parametrize(
    "same",
    [
        {"typical_p": 1.0},
        {"epsilon_cutoff": 0.0},
        {"epsilon_cutoff": 1e-300},
        {"eta_cutoff": 1e-300},
        {"top_n_sigma": 0.0},
        {"top_n_sigma": 1000.0},
        {"top_p": 1.0},
        {"min_p": 0.0},
        {"top_k": V},
    ],
    ids=repr,
)
def test_a_cut_that_cuts_nothing_is_none(same: dict[str, float], rng: np.random.Generator) -> None:
    z = rng.normal(size=V).astype(np.float32)
    whole, cut = truncate(z, asked()), truncate(z, asked(**same))
    assert np.array_equal(whole.token_ids, cut.token_ids)
    assert np.array_equal(whole.log_probs, cut.log_probs)


def test_a_temperature_towards_zero_is_greedy(rng: np.random.Generator) -> None:
    z = rng.normal(size=V).astype(np.float32)
    for temperature in (9e-6, 2e-5, 1e-4):
        row = truncate(z, asked(temperature=temperature, typical_p=0.9))
        drawn = draw(row.token_ids, row.log_probs, seed=1, position=2)
        assert drawn == int(z.argmax())


def test_top_n_sigma_does_not_see_the_temperature(rng: np.random.Generator) -> None:
    z = rng.normal(size=V).astype(np.float32)
    sets = [
        truncate(z, asked(top_n_sigma=2.0, temperature=t)).token_ids.tolist()
        for t in (0.3, 1.0, 8.0)
    ]
    assert sets[0] == sets[1] == sets[2]
    assert 1 < len(sets[0]) < V


def test_typical_may_leave_out_the_most_probable_token() -> None:
    p = np.array([0.4, *[0.06] * 10])
    row = truncate(np.log(p).astype(np.float32), asked(typical_p=0.5))
    assert 0 not in row.token_ids
    both = truncate(np.log(p).astype(np.float32), asked(typical_p=0.5, top_k=1))
    assert both.token_ids.tolist() == [0]


def test_equal_logits_are_cut_by_their_ids() -> None:
    row = truncate(np.zeros(7, np.float32), asked(typical_p=0.5))
    assert row.token_ids.tolist() == [0, 1, 2, 3]
    assert len(truncate(np.zeros(7, np.float32), asked(top_n_sigma=1.0)).token_ids) == 7


@pytest.mark.parametrize("far", [1e10, 1e30, 3e38])
def test_far_logits_neither_overflow_nor_warn(far: float) -> None:
    z = np.array([0.0, -1.0, -2.0, -far], np.float32)
    for params in (asked(top_n_sigma=1.0), asked(typical_p=0.5), asked(eta_cutoff=0.1)):
        assert 3 not in truncate(z, params).token_ids


@pytest.mark.parametrize(
    "params", [asked(typical_p=0.8), asked(eta_cutoff=0.1), asked(top_n_sigma=1.0)], ids=repr
)
def test_draws_follow_what_the_cut_leaves(params: SamplingParams) -> None:
    p = np.array([0.42, 0.21, 0.16, 0.09, 0.07, 0.05])
    row = truncate(np.log(p).astype(np.float32), params)
    kept = np.sort(row.token_ids)
    assert 1 < len(kept) < 6
    drawn = [draw(row.token_ids, row.log_probs, seed=5, position=i) for i in range(20_000)]
    counts = np.bincount(drawn, minlength=6)
    assert counts.sum() == counts[kept].sum()
    expected = p[kept] / p[kept].sum() * len(drawn)
    assert stats.chisquare(counts[kept], expected).pvalue > 1e-4
