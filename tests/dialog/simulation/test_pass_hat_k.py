"""pass^k against hand-computed cases and its definition."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.simulation.pass_hat_k import pass_hat


def test_hand_computed_cases() -> None:
    assert pass_hat([5, 5], 5, 5) == 1
    assert pass_hat([5, 4], 5, 5) == 0.5
    assert pass_hat([3, 0], 5, 1) == pytest.approx(0.3)
    assert pass_hat([3], 5, 2) == pytest.approx(3 / 10)


@given(st.integers(1, 6), st.data())
def test_it_is_the_share_of_k_runs_drawn_without_return_that_all_succeed(
    n: int, data: st.DataObject
) -> None:
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    runs = [True] * c + [False] * (n - c)
    drawn = [all(some) for some in combinations(runs, k)]
    assert pass_hat([c], n, k) == pytest.approx(sum(drawn) / len(drawn))


def test_a_k_beyond_the_runs_is_refused_with_the_bound() -> None:
    with pytest.raises(ValueError, match="1 <= k <= 5, got k = 6"):
        pass_hat([5], 5, 6)
