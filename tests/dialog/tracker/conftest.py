"""A travel bot of a few lines and a reader of single turns in a given state of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.task.commands import Command
from dialog.task.messages import Reply
from dialog.task.testing import agent_of, turn
from dialog.tracker.rule import RuleTracker

_BOT = """\
bot: Harbour Travel
locales: {default: en, also: [de]}
tables:
  hotels: {from: hotels.csv, key: id, show: name, search: [name, area]}
glossary:
  half board: Breakfast and dinner.
tasks:
  find_hotel:
    about: search for a hotel
    examples: [I need a room, somewhere to sleep]
    slots:
      area: {type: choice, values: {harbour: [port], centre: [center, middle of town]}}
      food: {type: choice, values: [italian, indian, thai], required: false}
      check_in: {type: date, about: day of arrival}
      nights: {type: integer, min: 1, max: 30}
      people: {type: integer, min: 1, max: 9}
    find: hotels(area)
    offer: {show: 3, as: "{name}"}
    into: hotel
  book_flight:
    about: book a flight
    slots:
      origin: {type: text, about: where from}
      day: {type: date, about: day of the flight}
      time: time
      window: {type: bool, about: a window seat}
      extras: {type: choice, many: true, values: [bag, meal, seat], required: false}
      traveller: person
    confirm: explicit
    call: fly
    done: Booked.
"""
_TOOLS = '''\
def fly(origin, day, time, window, extras, traveller):
    """Book a flight."""
    return {"code": "F1"}
'''
_HOTELS = """\
id,name,area,price,parking
h1,Hotel Adler,harbour,90,yes
h2,Pension Rose,harbour,60,no
h3,Grand Plaza,centre,200,yes
"""

Read = Callable[..., list[Command]]


@pytest.fixture
def travel(tmp_path: Path) -> BotDefinition:
    """Return a bot of two tasks, with a table and a glossary."""
    (tmp_path / "bot.yaml").write_text(_BOT, encoding="utf-8")
    (tmp_path / "tools.py").write_text(_TOOLS, encoding="utf-8")
    (tmp_path / "hotels.csv").write_text(_HOTELS, encoding="utf-8")
    return load_bot(tmp_path)


class Talk:
    """A conversation in which commands may be given first and words read afterwards."""

    def __init__(self, bot: BotDefinition) -> None:
        self._tracker = _Kept()
        self._agent = agent_of(bot, tracker=self._tracker)

    def after(self, *commands: Command) -> "Talk":
        """Bring the conversation to a state by commands."""
        turn(self._agent, *commands)
        return self

    def say(self, text: str) -> Reply:
        """Say something and return the reply."""
        return turn(self._agent, text=text)

    def read(self, text: str) -> list[Command]:
        """Say something and return what it was understood to ask."""
        self.say(text)
        return list(self._tracker.last)


class _Kept(RuleTracker):
    """A tracker that keeps what it made of the last message."""

    last: tuple[Command, ...] = ()

    def read(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Read as ever."""
        understanding = super().read(*args, **kwargs)
        self.last = understanding.commands
        return understanding


@pytest.fixture
def talk(travel: BotDefinition) -> Talk:
    """Return a fresh conversation with the travel bot."""
    return Talk(travel)
