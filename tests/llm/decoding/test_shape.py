from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32

from llm.decoding.phases import FeasibleLogits
from llm.decoding.shape import MOST_DRY, Shape
from llm.sampling_params import Dry, SamplingParams
from tests.llm.decoding.test_repeats import naive as naive_matches

V = 11
NO_BREAKERS = np.zeros(V, np.bool_)
texts = st.lists(st.integers(0, V - 1), max_size=20)


def shaped(shape: Shape, z: Float32[np.ndarray, " v"]) -> list[float]:
    row: list[float] = shape.shape(FeasibleLogits(z.copy())).tolist()
    return row


def made(params: SamplingParams, prompt: list[int], output: list[int]) -> Shape:
    shape = Shape(params, prompt, breakers=NO_BREAKERS)
    for token in output:
        shape.take(token)
    return shape


def recounted(
    z: Float32[np.ndarray, " v"], params: SamplingParams, prompt: list[int], output: list[int]
) -> list[float]:
    """The definitions, from the whole history."""
    counts = Counter(output)
    scope = prompt + output if params.repetition_scope == "all" else output
    matches = naive_matches(prompt + output, set(), params.dry.allowed_length if params.dry else 1)
    row = z.astype(np.float64)
    for v in range(V):
        if v in scope:
            r = params.repetition_penalty
            row[v] = row[v] / r if row[v] > 0 else row[v] * r
        row[v] -= params.presence_penalty * (counts[v] > 0) + params.frequency_penalty * counts[v]
        if params.dry is not None and v in matches:
            over = matches[v] - params.dry.allowed_length
            row[v] -= min(params.dry.multiplier * params.dry.base**over, MOST_DRY)
        row[v] += dict(params.logit_bias).get(v, 0.0)
    return row.tolist()  # type: ignore[no-any-return]


CASES = (
    SamplingParams(repetition_penalty=1.3),
    SamplingParams(repetition_penalty=0.7, repetition_scope="output"),
    SamplingParams(presence_penalty=0.7),
    SamplingParams(frequency_penalty=-1.1),
    SamplingParams(presence_penalty=-0.3, frequency_penalty=0.4),
    SamplingParams(dry=Dry(multiplier=0.8)),
    SamplingParams(dry=Dry(multiplier=2.0, base=3.0, allowed_length=1)),
    SamplingParams(logit_bias=((3, 2.5), (7, -40.0), (2, 100.0), (1, -100.0))),
    SamplingParams(
        repetition_penalty=1.2,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        dry=Dry(multiplier=1.5),
        logit_bias=((0, -1.0), (10, 3.0)),
    ),
)


@pytest.mark.parametrize("params", CASES, ids=repr)
@given(prompt=texts, output=texts, seed=st.integers(0, 2**32))
def test_penalties_are_those_of_a_recount(
    params: SamplingParams, prompt: list[int], output: list[int], seed: int
) -> None:
    z = np.random.default_rng(seed).normal(size=V).astype(np.float32) * 4
    finite = SamplingParams(logit_bias=params.finite_bias) if params.logit_bias else params
    expected = recounted(z, params if len(params.logit_bias) < 3 else finite, prompt, output)
    assert shaped(made(params, prompt, output), z) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(prompt=texts, output=texts, more=texts)
def test_counting_on_counting_anew_and_counting_in_a_copy_are_the_same(
    prompt: list[int], output: list[int], more: list[int]
) -> None:
    z = np.linspace(-3, 4, V).astype(np.float32)
    went_on = made(CASES[-1], prompt, output)
    copy = went_on.fork()
    for token in more:
        went_on.take(token)
    assert shaped(went_on, z) == shaped(made(CASES[-1], prompt, output + more), z)
    assert shaped(copy, z) == shaped(made(CASES[-1], prompt, output), z)


def test_the_sign_of_a_logit_decides_what_repetition_does_to_it() -> None:
    z = np.array([2.0, -2.0, 2.0, -2.0, 0.0] + [0.0] * 6, np.float32)
    row = shaped(made(SamplingParams(repetition_penalty=2.0), [0, 1, 4, 0], []), z)
    assert row[:5] == [1.0, -4.0, 2.0, -2.0, 0.0]


def test_what_is_impossible_stays_so_and_nothing_becomes_impossible() -> None:
    z = np.array([-np.inf, -3e38, 3e38] + [0.0] * (V - 3), np.float32)
    params = SamplingParams(repetition_penalty=100.0, logit_bias=((0, 99.0), (1, -99.0), (2, 99.0)))
    row = shaped(made(params, [0, 1, 2], []), z)
    assert row[0] == -np.inf
    assert np.isfinite(row[1:]).all()


def test_a_long_match_costs_no_more_than_the_most() -> None:
    params = SamplingParams(dry=Dry(multiplier=1.0, base=10.0))
    row = shaped(made(params, [1] * 500, []), np.zeros(V, np.float32))
    assert row[1] == -MOST_DRY


def test_what_is_switched_off_is_not_needed() -> None:
    assert not Shape(SamplingParams(temperature=0.7, top_p=0.9), [1, 2]).is_needed
    assert not Shape(SamplingParams(dry=Dry(multiplier=0.0)), [1, 2]).is_needed
    assert not Shape(SamplingParams(logit_bias=((1, 100.0),)), [1, 2]).is_needed
