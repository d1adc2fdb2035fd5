"""Calibrated probabilities: what was said of a value is mapped, the rest shared as before."""

import math

import pytest

from dialog.bot.definition import BotDefinition
from dialog.task.commands import Alternative, Command, Deny, DontCare, Set, ValueSource
from dialog.task.state import DialogState
from dialog.task.understanding import Understanding
from dialog.tracker.calibrated import CalibratedTracker, evidence_in
from dialog.tracker.calibration import Calibration, calibration_of

_STATE = DialogState(now="2025-03-03T09:00:00+00:00")
_SET = Set(
    slot="nights",
    task="find_hotel",
    value=2,
    p=0.8,
    alternatives=(Alternative(value=12, p=0.1),),
)
_POSTERIOR = (
    Alternative(value=2, p=0.8),
    Alternative(value=12, p=0.1),
    Alternative(value=None, p=0.1),
)


class _Fixed:
    """A tracker that always reads the same."""

    name = "fixed"

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Read two nights, no matter what."""
        del bot, state, message
        commands: tuple[Command, ...] = (_SET, DontCare(slot="food", p=0.8), Deny(p=0.9))
        return Understanding(commands=commands, posteriors={"find_hotel.nights": _POSTERIOR})


def test_values_are_mapped_and_the_rest_shares_what_is_left(travel: BotDefinition) -> None:
    """.8 becomes .4, so the others share .6 as they shared .2; a "no" is no value."""
    halved = Calibration(edges=(0.0,), values=(0.4,))
    found = CalibratedTracker(_Fixed(), halved).read(travel, _STATE, "two")
    edit, any_will_do, deny = found.commands
    assert isinstance(edit, Set)
    assert (edit.p, any_will_do.p, deny.p) == (0.4, 0.4, 0.9)
    assert edit.alternatives[0].p == pytest.approx(0.3)
    posterior = found.posteriors["find_hotel.nights"]
    assert [part.p for part in posterior] == pytest.approx([0.4, 0.3, 0.3])
    assert math.fsum(part.p for part in posterior) == pytest.approx(1)


def test_the_kind_of_evidence_is_source_and_type(travel: BotDefinition) -> None:
    """So that shifts of the map are found again."""
    assert evidence_in(travel, _STATE, _SET) == "normaliser.integer"
    span = Set(slot="origin", task="book_flight", value="Bern", source=ValueSource.SPAN)
    assert evidence_in(travel, _STATE, span) == "span.text"
    shifted = Calibration(shift={"normaliser.integer": -2.0})
    found = CalibratedTracker(_Fixed(), shifted).read(travel, _STATE, "two")
    assert found.commands[0].p < 0.5


def test_a_map_survives_its_json() -> None:
    """And what is none is told."""
    fitted = Calibration(
        bot_hash="h", temperature=2.0, shift={"span.text": 0.5}, edges=(0.1, 0.6), values=(0.2, 0.9)
    )
    assert calibration_of(fitted.to_payload()) == fitted
    with pytest.raises(ValueError, match="this is no calibration"):
        calibration_of({"temperature": 1})
