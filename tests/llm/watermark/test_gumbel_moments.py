"""The table of moments beside the polygamma functions that it was made with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.watermark.gumbel import Gumbel
from llm.watermark.gumbel_moments import read_moments


@given(
    size=st.integers(1, 600),
    concentration=st.sampled_from([0.02, 0.1, 0.5, 2.0]),
    shift=st.floats(-50, 50),
    seed=st.integers(0, 2**32),
)
def test_the_table_tells_what_the_functions_tell(
    size: int, concentration: float, shift: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    probs = np.maximum(rng.dirichlet(np.full(size, concentration)), 1e-90)
    probs /= probs.sum()
    exact, read = Gumbel().expect(probs), read_moments(np.log(probs) + shift)
    assert read.mean == pytest.approx(exact.mean, rel=1e-5)
    assert read.variance == pytest.approx(exact.variance, rel=2e-5)
    assert read.third == pytest.approx(exact.third, rel=1e-4, abs=1e-4)


def test_a_forced_token_is_told_to_have_what_chance_gives() -> None:
    read = read_moments(np.array([-3.0]))
    assert (read.mean, read.variance, read.third) == pytest.approx((1.0, 1.0, 2.0))
    far = read_moments(np.array([0.0, -200.0]))
    assert far.mean == pytest.approx(1.0)
