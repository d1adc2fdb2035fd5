"""Temperature and isotonic regression against cases computed by hand, and on drawn decisions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.evaluation.calibration_metrics import expected_calibration_error
from dialog.tracker.calibration import ENOUGH, Calibration, Outcome, fit, fit_temperature, isotonic


def test_adjacent_violators_are_pooled() -> None:
    """(1,0) (2,1) (3,0) (4,1): the middle two become one step of a half."""
    assert isotonic([(1, 0), (2, 1), (3, 0), (4, 1)]) == ([1, 2, 4], [0.0, 0.5, 1.0])
    assert isotonic([(1, 1), (1, 0)]) == ([1], [0.5])


def _drawn(num: int, seed: int, *, overconfident: float) -> list[Outcome]:
    rng = random.Random(seed)
    found = []
    for _ in range(num):
        true = rng.random()
        odds = (true / (1 - true)) ** overconfident if true < 1 else 1e6
        found.append(Outcome(p=odds / (1 + odds), is_right=rng.random() < true))
    return found


def test_an_overconfident_tracker_is_cooled() -> None:
    """Log-odds that are three times too large are divided by about three."""
    assert fit_temperature(_drawn(3000, 1, overconfident=3.0)) == pytest.approx(3.0, rel=0.15)


def test_calibration_holds_on_other_decisions() -> None:
    """Fitted on some, the error on others falls from far above to below .05."""
    calibrate = fit(_drawn(3000, 2, overconfident=4.0))
    others = _drawn(3000, 3, overconfident=4.0)
    right = [o.is_right for o in others]
    assert expected_calibration_error([o.p for o in others], right) > 0.1
    assert expected_calibration_error([calibrate(o.p) for o in others], right) < 0.05


def test_a_kind_of_evidence_has_its_own_odds() -> None:
    """A source that is right in four of five says .8, whatever it claims."""
    some = [Outcome(p=0.99, is_right=i % 5 > 0, evidence="copy") for i in range(200)]
    more = [Outcome(p=0.99, is_right=True, evidence="span") for _ in range(200)]
    calibrate = fit([*some, *more])
    assert calibrate(0.99, "copy") == pytest.approx(0.8, abs=0.02)
    assert calibrate(0.99, "span") > 0.98


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_map_is_monotone_and_stays_a_probability(pairs: list[tuple[float, bool]]) -> None:
    """Whatever it was fitted on, with and without isotonic steps."""
    outcomes = [Outcome(p=p, is_right=r) for p, r in pairs]
    for many in (outcomes, outcomes * (ENOUGH // len(outcomes) + 1)):
        calibrate = fit(many)
        values = [calibrate(i / 50) for i in range(51)]
        assert all(0 <= v <= 1 for v in values)
        assert values == sorted(values)


def test_bad_maps_and_nothing_to_learn_from_are_named() -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match="at least one decision"):
        fit([])
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        Calibration(temperature=0)
    with pytest.raises(ValueError, match="as many values as edges"):
        Calibration(edges=(0.1,), values=())
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got 2"):
        Outcome(p=2, is_right=True)
