"""What holds for every sampler: values that switch off, limits, order, and the law of the draws."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, Int64
from scipy import stats

from llm.decoding.draw import draw
from llm.decoding.elementary import log
from llm.decoding.sampler import BatchSampler, SamplingRows
from llm.decoding.truncate import truncate
from llm.native.loader import load_library
from llm.philox import philox
from llm.sampling_params import SamplingParams
from tests.llm.decoding.toy_tokens import numbered, toy_pipeline

V = 41
NUM_DRAWS = 100_000
P = np.array([0.31, 0.23, 0.17, 0.11, 0.08, 0.06, 0.04])

numbers = st.integers(0, 2**32 - 1)
temperatures = st.sampled_from([0.3, 1.0, 2.5])
CUTS: dict[str, float] = {
    "top_k": 9,
    "top_p": 0.8137,
    "min_p": 0.0517,
    "typical_p": 0.7031,
    "epsilon_cutoff": 0.0113,
    "eta_cutoff": 0.0413,
    "top_n_sigma": 1.713,
}
OFF: dict[str, float] = {
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "top_n_sigma": 0.0,
}


def asked(**knobs: float) -> SamplingParams:
    return SamplingParams(**{"temperature": 1.0, **knobs})  # type: ignore[arg-type]


def row_of(number: int) -> Float32[np.ndarray, " v"]:
    rng = np.random.default_rng(number)
    z = rng.normal(size=V) * 3
    z[rng.integers(0, V, size=5)] = -np.inf
    return z.astype(np.float32)


def kept(z: Float32[np.ndarray, " v"], params: SamplingParams) -> list[int]:
    return sorted(truncate(z, params).token_ids.tolist())


# --- values that switch off, and limits --------------------------------------------------------


@pytest.mark.parametrize("name", OFF)
@given(number=numbers, temperature=temperatures)
def test_a_cut_that_is_off_keeps_all_that_is_possible(
    name: str, number: int, temperature: float
) -> None:
    z = row_of(number)
    off = truncate(z, asked(temperature=temperature, **{name: OFF[name]}))
    assert sorted(off.token_ids.tolist()) == np.flatnonzero(np.isfinite(z)).tolist()
    assert np.exp(off.log_probs).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("knobs", [{"top_k": V}, {"top_k": V + 1}, {"min_p": 1e-300}], ids=repr)
@given(number=numbers)
def test_a_cut_as_wide_as_the_vocabulary_changes_nothing(
    knobs: dict[str, float], number: int
) -> None:
    z = row_of(number)
    assert kept(z, asked(**knobs)) == kept(z, asked())


@pytest.mark.parametrize(
    "knobs", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}, {"top_n_sigma": 1e-9}], ids=repr
)
@given(number=numbers)
def test_the_narrowest_cuts_are_greedy(knobs: dict[str, float], number: int) -> None:
    z = row_of(number)
    assert kept(z, asked(**knobs)) == [int(z.argmax())]


@given(number=numbers, position=st.integers(0, 10**6), seed=numbers)
def test_the_limit_of_temperature_zero_is_greedy(number: int, position: int, seed: int) -> None:
    """At 1e-4 a gap of one hundredth is a hundred nats: no noise of 32 bits bridges it."""
    z = np.round(row_of(number), 2)
    z[int(z.argmax())] += np.float32(0.01)
    for temperature in (0.0, 9e-6, 1.1e-5, 1e-4):
        row = truncate(z, asked(temperature=temperature))
        token = draw(row.token_ids, row.log_probs, seed=seed, position=position)
        assert token == int(z.argmax())


@given(number=numbers)
def test_the_limit_of_a_high_temperature_is_even(number: int) -> None:
    z = row_of(number) * np.float32(1e-6)
    row = truncate(z, asked(temperature=10.0))
    assert row.log_probs == pytest.approx(-np.log(len(row.token_ids)), abs=1e-5)


# --- order has no meaning ----------------------------------------------------------------------


@given(
    number=numbers,
    temperature=temperatures,
    names=st.lists(st.sampled_from(sorted(CUTS)), min_size=2, unique=True),
)
def test_cuts_together_keep_what_each_keeps_alone(
    number: int, temperature: float, names: list[str]
) -> None:
    z = row_of(number)
    alone = [set(kept(z, asked(temperature=temperature, **{name: CUTS[name]}))) for name in names]
    together = kept(z, asked(temperature=temperature, **{name: CUTS[name] for name in names}))
    assert together == (sorted(set.intersection(*alone)) or [int(z.argmax())])


@given(number=numbers, order=st.permutations(range(4)), temperature=st.sampled_from([0.0, 1.0]))
def test_lists_of_a_request_have_no_order(
    number: int, order: list[int], temperature: float
) -> None:
    def drawn(order: list[int]) -> list[int]:
        def listed(items: list[object]) -> tuple[object, ...]:
            return tuple(items[i] for i in order)

        params = SamplingParams(
            temperature=temperature,
            logit_bias=listed([(3, 1.5), (7, -2.0), (11, 0.5), (2, -100.0)]),  # type: ignore[arg-type]
            banned_token_ids=listed([1, 4, 9, 16]),  # type: ignore[arg-type]
            allowed_token_ids=tuple(v for i in order for v in range(9 * i, 9 * i + 9)),
            banned_strings=listed(["<3", "7><", "0>", "<11><3"]),  # type: ignore[arg-type]
        )
        pipeline = toy_pipeline(numbered(V))
        row = pipeline.join(params, number, [1, 2, 3])
        tokens = []
        for step in range(4):
            z = np.abs(row_of(number + step))
            z[~np.isfinite(z)] = 0
            tokens.append(int(pipeline.draw(z[None].copy(), [row]).token_ids[0]))
            row.take(tokens[-1])
        return tokens

    assert drawn(order) == drawn([0, 1, 2, 3])


# --- the law of the draws ----------------------------------------------------------------------


def drawn_by_the_twin(params: SamplingParams) -> Int64[np.ndarray, " n"]:
    """Draw for many positions at once by the formula of `draw`; some are compared with it."""
    row = truncate(np.log(P).astype(np.float32), params)
    ids = row.token_ids
    counters = np.zeros((NUM_DRAWS, len(ids), 4), np.uint32)
    counters[:, :, 0] = ids >> 2
    counters[:, :, 1] = np.arange(NUM_DRAWS)[:, None]
    words = philox(counters.reshape(-1, 4), (11, 0)).reshape(NUM_DRAWS, len(ids), 4)
    u = (words[:, np.arange(len(ids)), ids & 3].astype(np.float64) + 0.5) * 2.0**-32
    tokens: Int64[np.ndarray, " n"] = ids[
        (row.log_probs - log(-log(u.ravel())).reshape(u.shape)).argmax(axis=1)
    ]
    for position in range(0, NUM_DRAWS, NUM_DRAWS // 100):
        one = draw(ids, row.log_probs, seed=11, position=position)
        assert one == tokens[position]
    return tokens


def drawn_by_compiled_code(params: SamplingParams) -> Int64[np.ndarray, " n"]:
    one = SamplingRows()
    one.join(params, seed=11, position=0)
    rows = one.at([0] * NUM_DRAWS)
    rows.positions[:] = np.arange(NUM_DRAWS)
    z = np.broadcast_to(np.log(P).astype(np.float32), (NUM_DRAWS, len(P)))
    return BatchSampler(load_library()).draw(z, rows)


@pytest.mark.parametrize(
    "sample",
    [drawn_by_the_twin, pytest.param(drawn_by_compiled_code, marks=pytest.mark.kernels)],
)
@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"temperature": 0.6},
        {"temperature": 2.0, "top_k": 4},
        {"top_p": 0.8, "min_p": 0.05},
    ],
    ids=repr,
)
def test_a_hundred_thousand_draws_follow_the_distribution(
    sample: Callable[[SamplingParams], Int64[np.ndarray, " n"]], knobs: dict[str, float]
) -> None:
    params = asked(**knobs)
    counts = np.bincount(sample(params), minlength=len(P))
    survivors = np.sort(truncate(np.log(P).astype(np.float32), params).token_ids)
    assert counts.sum() == counts[survivors].sum() == NUM_DRAWS
    expected = P[survivors] ** (1 / params.temperature)
    expected *= NUM_DRAWS / expected.sum()
    assert stats.chisquare(counts[survivors], expected).pvalue > 1e-4


def test_draws_of_neighbouring_positions_seeds_and_streams_are_independent() -> None:
    """The correlation of what is drawn there is that of chance: below 4 / sqrt(n)."""
    n = 20_000
    base = np.arange(n)

    def uniform(seed: int, position: int, stream: int) -> Int64[np.ndarray, " n"]:
        counters = np.zeros((n, 4), np.uint32)
        counters[:, 1] = base + position
        counters[:, 2] = stream
        return philox(counters, (seed, 0))[:, 0].astype(np.int64)

    here = uniform(5, 0, 0)
    for other in (uniform(5, 1, 0), uniform(6, 0, 0), uniform(5, 0, 1)):
        assert abs(np.corrcoef(here, other)[0, 1]) < 4 / np.sqrt(n)
