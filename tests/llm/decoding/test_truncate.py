import numpy as np
import pytest

from llm.decoding.truncate import truncate
from llm.sampling_params import SamplingParams

P = np.array([0.4, 0.3, 0.15, 0.1, 0.05])


def kept(**knobs: float) -> set[int]:
    params = SamplingParams(**{"temperature": 1.0, **knobs})  # type: ignore[arg-type]
    return set(truncate(np.log(P).astype(np.float32), params).token_ids.tolist())


def test_temperature_zero_keeps_the_arg_max_and_the_lowest_id_among_equals() -> None:
    tied = np.array([0.1, 2.0, 2.0, -1.0], dtype=np.float32)
    assert truncate(tied, SamplingParams()).token_ids.tolist() == [1]


def test_top_k_keeps_exactly_k_also_among_ties() -> None:
    tied = np.zeros(7, dtype=np.float32)
    params = SamplingParams(temperature=1.0, top_k=3)
    assert truncate(tied, params).token_ids.tolist() == [0, 1, 2]


def test_top_p_keeps_the_smallest_prefix_that_reaches_the_mass() -> None:
    assert kept(top_p=0.39) == {0}
    assert kept(top_p=0.6) == {0, 1}
    assert kept(top_p=0.84) == {0, 1, 2}
    assert kept(top_p=1.0) == {0, 1, 2, 3, 4}


def test_min_p_compares_with_the_most_probable_token() -> None:
    assert kept(min_p=0.5) == {0, 1}
    assert kept(min_p=1.0) == {0}


def test_cuts_are_intersected() -> None:
    assert kept(top_k=4, top_p=0.84, min_p=0.1) == {0, 1, 2}


def test_temperature_acts_before_the_cuts() -> None:
    assert kept(temperature=0.5, min_p=0.5) == {0, 1}
    assert kept(temperature=0.3, min_p=0.5) == {0}
    assert kept(temperature=2.0, min_p=0.49) == {0, 1, 2, 3}


def test_impossible_tokens_never_survive() -> None:
    logits = np.array([0.0, -np.inf, 1.0], dtype=np.float32)
    assert set(truncate(logits, SamplingParams(temperature=1.0)).token_ids.tolist()) == {0, 2}


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [1.0, np.inf], [-np.inf, -np.inf]])
def test_logits_that_are_not_finite_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        truncate(np.array(bad, dtype=np.float32), SamplingParams())


def test_log_probabilities_are_those_before_the_cuts() -> None:
    row = truncate(np.log(P), SamplingParams(temperature=1.0, top_k=2))
    assert np.exp(row.log_probs) == pytest.approx([0.4, 0.3], abs=1e-7)


def test_both_zeros_are_one_value() -> None:
    zeros = np.array([-0.0, 0.0, -0.0, 0.0], dtype=np.float32)
    params = SamplingParams(temperature=1.0, top_k=3)
    assert truncate(zeros, params).token_ids.tolist() == [0, 1, 2]


def test_a_top_p_just_below_one_keeps_every_token_that_weighs_anything() -> None:
    logits = np.array([0.0, -30.0, -32.0, -40.0], dtype=np.float32)
    params = SamplingParams(temperature=1.0, top_p=float(np.nextafter(1, 0)))
    assert truncate(logits, params).token_ids.tolist() == [0, 1]
