import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.elementary import MASS_BITS, log, log_of, masses
from llm.native.sampling import MAX_VOCABULARY

UNIT = 2.0**-MASS_BITS


def test_masses_are_the_exponential_rounded_to_their_unit() -> None:
    x = -np.linspace(0, 80, 100_003)
    assert np.abs(masses(x) * UNIT - np.exp(x)).max() < 0.51 * UNIT + 1e-14


def test_the_most_probable_weighs_one_and_the_impossible_nothing() -> None:
    assert masses(np.array([0.0, -0.0, -40.0, -1e300, -np.inf])).tolist() == [
        2**MASS_BITS, 2**MASS_BITS, 0, 0, 0,
    ]  # fmt: skip


def test_masses_never_grow_as_the_logit_falls() -> None:
    fine = -np.arange(200_000) * 2.0**-40
    for start in (0.0, -0.34657, -0.34658, -1.0, -7.5):
        assert (np.diff(masses(start + fine)) <= 0).all()


def test_the_masses_of_the_largest_vocabulary_fit_into_an_integer() -> None:
    assert MAX_VOCABULARY * 2**MASS_BITS < 2**63


@given(st.floats(min_value=2.3e-308, max_value=1.7e308))
def test_the_logarithm_is_right_to_a_few_units_in_the_last_place(x: float) -> None:
    assert log_of(x) == pytest.approx(math.log(x), rel=4e-16, abs=1e-300)


def test_the_logarithm_of_one_is_zero() -> None:
    assert log(np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_bits_are_pinned() -> None:
    """The same on every machine, so a seed draws the same tokens there."""
    x = np.array([0.1, 0.7, 1.3, 22.75, 2.0**-33])
    assert masses(-x).tolist() == [
        15918068198038, 8736021051221, 4794430006073, 2318, 17592186042368,
    ]  # fmt: skip
    assert [value.hex() for value in log(x).tolist()] == [
        "-0x1.26bb1bbb55515p+1", "-0x1.6d3c324e13f50p-2", "0x1.0ca937be1b9dcp-2",
        "0x1.8ff1c02cd9c85p+1", "-0x1.6dfb516f20bbfp+4",
    ]  # fmt: skip
