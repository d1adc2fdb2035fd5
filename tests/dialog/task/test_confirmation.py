"""The expected-cost table: its thresholds with the defaults, and its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.task.confirmation import Confirmation, ConfirmationCosts, weigh

ACCEPT, IMPLICIT, EXPLICIT = Confirmation.ACCEPT, Confirmation.IMPLICIT, Confirmation.EXPLICIT


@pytest.mark.parametrize(
    ("p", "is_write", "choice"),
    [
        (0.58, False, ACCEPT),
        (0.56, False, IMPLICIT),
        (0.18, False, IMPLICIT),
        (0.16, False, Confirmation.ASK_AGAIN),
        (0.985, True, ACCEPT),
        (0.975, True, IMPLICIT),
        (0.90, True, IMPLICIT),
        (0.88, True, EXPLICIT),
        (0.52, True, EXPLICIT),
        (0.50, True, Confirmation.ASK_AGAIN),
    ],
)
def test_the_thresholds_of_the_default_costs(
    p: float, is_write: bool, choice: Confirmation
) -> None:
    """Reads change at .57 and .17, writes at .98, .89 and .51."""
    assert weigh(p, is_write=is_write).choice is choice


@pytest.mark.parametrize(("second", "choice"), [(0.07, EXPLICIT), (0.09, Confirmation.CHOICE)])
def test_a_or_b_is_asked_from_eight_percent_of_a_second_value(
    second: float, choice: Confirmation
) -> None:
    """Instead of the explicit question of a write."""
    assert weigh(0.7, second, is_write=True).choice is choice


def test_a_or_b_costs_less_than_an_explicit_question_of_a_read_from_ten_percent() -> None:
    """Though a read never comes to either by the default costs."""
    for second, is_less in ((0.09, False), (0.11, True)):
        costs = weigh(0.3, second, is_write=False).costs
        assert (costs[Confirmation.CHOICE] < costs[EXPLICIT]) is is_less


def test_a_write_accepts_no_value_in_silence_that_nobody_said() -> None:
    """Whatever its probability."""
    assert weigh(1.0, is_write=True, may_be_silent=False).choice is IMPLICIT
    assert weigh(1.0, is_write=False, may_be_silent=False).choice is ACCEPT


def test_a_slot_sets_its_own_cost() -> None:
    """A wrong value that hardly matters is accepted, one that matters is asked about."""
    assert weigh(0.8, is_write=True, cost=0.5).choice is ACCEPT
    assert weigh(0.99, is_write=False, cost=500).choice is EXPLICIT


@given(
    p=st.floats(0, 1),
    share=st.floats(0, 1),
    is_write=st.booleans(),
    cost=st.none() | st.floats(0, 1000),
)
def test_nothing_costs_less_than_what_is_chosen(
    p: float, share: float, is_write: bool, cost: float | None
) -> None:
    """The choice is the least of all ways that are open."""
    weighed = weigh(p, (1 - p) * share, is_write=is_write, cost=cost)
    assert weighed.costs[weighed.choice] == min(weighed.costs.values())


@given(low=st.floats(0, 1), high=st.floats(0, 1), is_write=st.booleans())
def test_a_surer_value_is_never_confirmed_more(low: float, high: float, is_write: bool) -> None:
    """The order of the ways follows the probability."""
    order = list(Confirmation)
    low, high = sorted((low, high))
    ways = [order.index(weigh(p, is_write=is_write).choice) for p in (high, low)]
    assert ways[0] <= ways[1]


def test_bad_numbers_are_named() -> None:
    """The value and the bound."""
    with pytest.raises(ValueError, match=r"sum <= 1, got 0\.7 and 0\.5"):
        weigh(0.7, 0.5, is_write=True)
    with pytest.raises(ValueError, match=r"'repair' must be >= 0 turns, got -1"):
        ConfirmationCosts(repair=-1)
    with pytest.raises(ValueError, match=r"'careless' must be in \[0, 1\], got 2"):
        ConfirmationCosts(careless=2)
    with pytest.raises(ValueError, match="wrong value must be >= 0 turns, got -3"):
        weigh(0.5, is_write=True, cost=-3)
