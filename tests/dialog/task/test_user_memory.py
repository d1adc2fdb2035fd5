"""`keep: user`: what a bot remembers of somebody in the next conversation, and of nobody else."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.task import sql_log
from dialog.task.acts import ActName
from dialog.task.agent import AgentParts, TaskAgent
from dialog.task.commands import Affirm, Change, Command, Restart, Set, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import Opened
from dialog.task.fold import fold
from dialog.task.messages import Reply, UserMessage
from dialog.task.sql_log import SQLTaskLog
from dialog.task.state import Evidence
from dialog.task.testing import NOW, agent_of
from index.database import open_database, writing

MakeBot = Callable[..., BotDefinition]
Log = MemoryTaskLog | SQLTaskLog

BOT = """\
bot: Book
tasks:
  book:
    about: book a table
    slots:
      people: {type: integer, min: 1}
      guest: {type: person, keep: user}
      pin: {type: regex, pattern: "[0-9]{4}", examples: ["1234"], keep: user, sensitive: true}
    call: reserve
    done: "Booked for {guest}."
"""
TOOLS = "def reserve(people, guest, pin):\n    return {}\n"
ALL = (
    Start(task="book"),
    Set(slot="people", value=2),
    Set(slot="guest", value="Ana Lind"),
    Set(slot="pin", value="1234"),
)


@pytest.fixture(params=["memory", "sql"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "memory":
        yield MemoryTaskLog()
        return
    engine = open_database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    with writing(engine) as connection:
        sql_log.metadata.create_all(connection)
    yield SQLTaskLog(engine)
    engine.dispose()


class Talks:
    """Conversations with one bot, each of somebody; their ids are counted."""

    def __init__(self, bot: BotDefinition, log: Log) -> None:
        self.log, self._said = log, 0
        self.agent: TaskAgent = agent_of(
            bot, log=log, parts=AgentParts(memory=log, clock=lambda: NOW)
        )

    def open(self, name: str, person: str, *, owner: str = "") -> "Talks":
        begin = Opened(locale="en", timezone="UTC", now=NOW.isoformat(), person=person)
        self.agent.open(name, owner=owner, opened=begin)
        return self

    def turn(self, name: str, *commands: Command) -> Reply:
        self._said += 1
        message = UserMessage(id=f"m{self._said}", now=NOW.isoformat(), commands=commands)
        return self.agent.respond(name, message)


@pytest.fixture
def talks(make_bot: MakeBot, log: Log) -> Talks:
    found = Talks(make_bot(BOT, TOOLS), log)
    found.open("first", "u1")
    found.turn("first", *ALL)
    found.turn("first", Affirm())
    return found


def test_the_next_conversation_knows_what_was_told_and_says_it_before_it_writes(
    talks: Talks,
) -> None:
    reply = talks.open("second", "u1").turn("second", *ALL[:2])
    assert reply.slots == {"people": 2, "guest": "Ana Lind"}
    assert reply.acts[-1].slot == "pin"  # what is sensitive is asked for again
    top = talks.agent.state("second").top
    assert top is not None
    assert top.cell("guest").evidence is Evidence.CARRIED_OVER
    reply = talks.turn("second", ALL[3])
    assert reply.acts[-1].name is ActName.CONFIRM
    assert "Ana Lind" in reply.text


@pytest.mark.parametrize(("person", "owner"), [("u2", ""), ("", ""), ("u1", "another key")])
def test_nobody_else_is_taken_for_that_user(talks: Talks, person: str, owner: str) -> None:
    """Another user, a stranger, the user of that name of another application."""
    reply = talks.open("second", person, owner=owner).turn("second", *ALL[:2])
    assert reply.slots == {"people": 2}


def test_a_correction_is_remembered_in_its_place(talks: Talks) -> None:
    talks.open("second", "u1").turn("second", *ALL[:2], Change(slot="guest", value="Bo Ek"))
    assert talks.open("third", "u1").turn("third", *ALL[:2]).slots["guest"] == "Bo Ek"
    assert talks.log.recall("", "Book", "u1") == {"guest": "Bo Ek"}


def test_erasing_a_conversation_erases_what_was_learned_in_it(talks: Talks) -> None:
    """Also where a later one knew of it: it had it from there."""
    talks.open("second", "u1").turn("second", *ALL)
    talks.agent.delete("first")
    assert talks.log.recall("", "Book", "u1") == {}


def test_a_restart_forgets_the_task_and_not_the_user(talks: Talks) -> None:
    talks.turn("first", Restart())
    assert talks.turn("first", *ALL[:2]).slots == {"people": 2, "guest": "Ana Lind"}


def test_a_log_with_a_memory_folds_to_the_same_state_without_it(talks: Talks) -> None:
    """What was known is in the first event, so that a replay needs no memory."""
    talks.open("second", "u1").turn("second", *ALL)
    state = talks.agent.state("second")
    talks.agent.delete("first")
    begin, *rest = talks.log.read("second")[1]
    assert isinstance(begin, Opened)
    assert fold(talks.agent.bot, [begin, *rest]).to_json() == state.to_json()
    odd = replace(begin, remembered={"guest": ["no", "name"], "people": 9, "x": 1})
    assert fold(talks.agent.bot, [odd]).memory == {}  # what the file does not allow is forgotten
