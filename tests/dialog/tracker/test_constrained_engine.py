"""The constrained tracker on a decoder of random weights, through the engine's real cache."""

import math
import random

import pytest

from dialog.bot.definition import BotDefinition
from dialog.task.canonical import canonical_json
from dialog.task.commands import SlotEdit, command_from_payload
from dialog.task.state import DialogState
from dialog.tracker.admissible import situation_of
from dialog.tracker.constrained import ConstrainedTracker, Weights
from dialog.tracker.options import options_of
from llm.async_engine import AsyncEngine
from tests.llm.tiny_engine import tiny_engine

_TEXTS = ("a room in the port for 2", "to the centre on friday", "book a flight from Bern", "no")


@pytest.mark.slow
def test_random_weights_invent_nothing_and_all_of_it_parses(travel: BotDefinition) -> None:
    """Every value is one that the state admitted, every command survives its JSON, sums are 1."""
    engine = AsyncEngine(tiny_engine(context_size=1024, cache_tokens=4096))
    tracker = ConstrainedTracker(engine, Weights(prior=False))
    state = DialogState(now="2025-03-03T09:00:00+00:00")
    rng = random.Random(0)
    try:
        for _ in range(4):
            text = " ".join(rng.sample(_TEXTS, 2))
            situation = situation_of(travel, state, text)
            admitted = {
                slot.place: {option.key for option in options_of(situation, slot)}
                for slot in situation.slots
            }
            understanding = tracker.read(travel, state, text)
            for command in understanding.commands:
                assert command_from_payload(command.to_payload()) == command
                if isinstance(command, SlotEdit):
                    held = command.value[0] if isinstance(command.value, list) else command.value
                    assert canonical_json(held) in admitted[command.task, command.slot]
            assert understanding.tokens_computed > 0
            found = tracker.posteriors(situation, situation.slots, f"User: {text}\n")
            assert len(found) >= 5
            for each in found:
                assert math.fsum(p for _, p in each.options) == pytest.approx(1.0)
                assert {option.key for option, _ in each.options} <= admitted[each.slot.place]
        assert engine.state().used_blocks == 0
    finally:
        engine.close()
    assert tracker.name == "constrained"
