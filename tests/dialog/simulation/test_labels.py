"""Values that simulated users meant, and values that a bad tracker made up."""

from dataclasses import replace
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.simulation.connection import AgentConnector
from dialog.simulation.goal import Persona
from dialog.simulation.labels import outcomes_of
from dialog.simulation.simulator import Simulator
from dialog.simulation.specification import SimulationSpec
from dialog.task.commands import SlotEdit
from dialog.task.state import DialogState
from dialog.task.understanding import Tracker, Understanding
from dialog.tracker.rule import RuleTracker
from tests.dialog.simulation.test_simulator import BOT, TOOLS

pytestmark = pytest.mark.slow  # runs conversations


class _Wrong(RuleTracker):
    """Reads a hundred persons more than there are."""

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Read by rules, then add."""
        found = super().read(bot, state, message)
        commands = tuple(
            replace(c, value=c.value + 100)
            if isinstance(c, SlotEdit) and isinstance(c.value, int)
            else c
            for c in found.commands
        )
        return replace(found, commands=commands)


def _labelled(folder: Path, tracker: Tracker) -> dict[str, list[bool]]:
    (folder / "bot.yaml").write_text(BOT, encoding="utf-8")
    (folder / "tools.py").write_text(TOOLS, encoding="utf-8")
    bot = load_bot(folder)
    spec = SimulationSpec(users={Persona.CORRECTS: 1}, dialogues=2, trials=1, max_turns=8)
    connect = AgentConnector(tracker=tracker)
    trials = Simulator(bot=bot, spec=spec, connect=connect).run("text").trials
    found: dict[str, list[bool]] = {}
    for outcome in outcomes_of(bot, trials):
        assert 0 < outcome.p <= 1
        kind = outcome.evidence.split(".")[1]
        found.setdefault(kind, []).append(outcome.is_right)
    return found


def test_what_the_user_meant_is_right_also_its_slips(tmp_path: Path) -> None:
    """By the rules days and names are; a number may be taken from what is said of the day."""
    found = _labelled(tmp_path, RuleTracker())
    assert {"date", "integer", "person"} <= found.keys()
    assert all(found["date"])
    assert all(found["person"])
    assert sum(found["integer"]) > len(found["integer"]) / 2


def test_what_it_did_not_mean_is_wrong(tmp_path: Path) -> None:
    """The number, and nothing else."""
    found = _labelled(tmp_path, _Wrong())
    assert not any(found["integer"])
    assert all(found["date"])
