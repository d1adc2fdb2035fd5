"""A bot with `model:` on the real models: it understands more, and invents nothing."""

import random
from pathlib import Path

import pytest

from api.bot_bootstrap import agent_maker
from api.own_trackers import own_trackers
from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.task.canonical import canonical_json
from dialog.task.commands import SlotEdit
from dialog.task.event_log import MemoryTaskLog
from dialog.task.messages import UserMessage
from dialog.task.state import DialogState
from dialog.tracker.admissible import situation_of
from dialog.tracker.options import options_of
from dialog.tracker.rule import RuleTracker
from tests.api.test_bot_trackers import _STATE, _folder

_TURN = "looking for lodging"
_WORDS = ("two", "harbour", "friday", "no", "bike", "hotel", "3", "centre", "sleep", "paris", "yes")


def _admitted(bot: BotDefinition, state: DialogState, text: str) -> dict[tuple[str, str], set[str]]:
    situation = situation_of(bot, state, text)
    found = {
        slot.place: {option.key for option in options_of(situation, slot)}
        for slot in situation.slots
    }
    for read in RuleTracker().read(bot, state, text).commands:
        if isinstance(read, SlotEdit):
            found[read.task, read.slot].add(canonical_json(read.value))
    return found


@pytest.mark.weights
@pytest.mark.slow
def test_a_bot_with_a_model_understands_more_and_stores_nothing_of_its_own(tmp_path: Path) -> None:
    """No word of the turn is one of a task; afterwards random turns store admitted values only."""
    bot = load_bot(_folder(tmp_path, "model: {tracker: constrained}"))
    assert "start" not in [c.head for c in RuleTracker().read(bot, _STATE, _TURN).commands]
    rng = random.Random(0)
    with own_trackers() as trackers:
        agent = agent_maker(MemoryTaskLog(), trackers=trackers)(bot)
        agent.open("c")
        agent.respond("c", UserMessage(id="0", text=_TURN))
        assert agent.state("c").frames[-1].task == "find_room"
        tracker = trackers.of(bot)
        for _ in range(4):
            text = " ".join(rng.choices(_WORDS, k=4))
            state = agent.state("c")
            admitted = _admitted(bot, state, text)
            for command in tracker.read(bot, state, text).commands:
                if isinstance(command, SlotEdit):
                    assert canonical_json(command.value) in admitted[command.task, command.slot]
