"""Hashing by hyperplanes: the contract, and the order in which buckets are visited."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.backend_contract import AnnBackendContract
from index.lsh import LshBuilder, _cheapest_flips


class TestLsh(AnnBackendContract):
    builder = LshBuilder()
    most_effort = 512
    recall = 0.95


@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_every_bucket_comes_once_and_the_cheapest_first(t: int, p: int, seed: int) -> None:
    """Against all sets of planes, sorted."""
    heights = np.random.default_rng(seed).normal(size=(t, p)).astype(np.float32)
    found = list(_cheapest_flips(heights))
    costs = [
        sum(float(heights[table, i]) ** 2 for i in range(p) if mask >> i & 1)
        for table, mask in found
    ]
    everything = set(itertools.product(range(t), range(1, 1 << p)))
    assert len(found) == len(everything)
    assert set(found) == everything
    assert costs == pytest.approx(sorted(costs), abs=1e-5)


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match="num_tables must be >= 1, got 0"):
        LshBuilder(num_tables=0)
    with pytest.raises(ValueError, match="num_bits must be 0 to 24, got 25"):
        LshBuilder(num_bits=25)
