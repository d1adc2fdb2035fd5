"""Replies reworded by the default model: whatever it writes, no value of what is sent is wrong."""

import re
from collections.abc import Iterator

import pytest

from api.bootstrap import build_engine
from api.settings import load_settings
from dialog.bot.definition import BotDefinition
from dialog.task.agent import AgentParts
from dialog.task.commands import Affirm, Change, Set, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import BotUttered
from dialog.task.rephrasing import RephraseParams, RephrasingNLG
from dialog.task.testing import NOW, agent_of, turn
from llm.async_engine import AsyncEngine
from llm.model_store import ModelStore

pytestmark = [pytest.mark.weights, pytest.mark.slow]

WORDS = {
    "date": "Friday, 7 March 2025",
    "time": "7:00 pm",
    "people": "4",
    "name": "Ana Lind",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[AsyncEngine]:
    settings = load_settings()
    engine = AsyncEngine(
        build_engine(settings, ModelStore(settings.home).path(settings.chat_model))
    )
    yield engine
    engine.close()


def test_no_value_is_lost_added_or_changed_in_what_is_sent(
    corner: BotDefinition, engine: AsyncEngine
) -> None:
    """Slot error rate 0: missing, added and wrong values over all values of the acts."""
    log = MemoryTaskLog()
    nlg = RephrasingNLG(engine, params=RephraseParams(deadline_s=3600))  # busy machines are slow
    agent = agent_of(corner, log=log, parts=AgentParts(nlg=nlg, clock=lambda: NOW))
    turn(agent, Start(task="book_table"))
    turn(agent, Set(slot="date", value="2025-03-07"), Set(slot="time", value="19:00"))
    turn(agent, Set(slot="people", value=5))
    turn(agent, Set(slot="name", value="Ana Lind"))
    turn(agent, Change(slot="people", value=4))
    turn(agent, Affirm())
    sent = [event for event in log.read("c")[1] if isinstance(event, BotUttered)]
    num_values = errors = 0
    for event in sent:
        values = {n: WORDS[n] for act in event.acts for n, v in act.values.items() if v != 5}
        template = event.rephrased_from or event.text
        num_values += len(values)
        errors += sum(words not in event.text for words in values.values())
        numbers = re.findall(r"\d+", event.text)
        errors += sum(number not in re.findall(r"\d+", template) for number in numbers)
        errors += event.text.count("?") != template.count("?")
    assert num_values >= 5
    assert errors == 0, [event.text for event in sent]
