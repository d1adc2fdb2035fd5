"""Conversations survive: killed processes, several writers, timers, erasure, secrets."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.errors import ConcurrentTurnError, UnknownConversationError
from dialog.task import sql_log
from dialog.task.agent import AgentParts
from dialog.task.commands import Affirm, Hold, Set, Start
from dialog.task.event_log import MemoryTaskLog, TaskConversation, TaskEventLog
from dialog.task.events import BotUttered, Opened, OperatorActed, ToolReturned, ToolStarted
from dialog.task.fold import fold
from dialog.task.messages import UserMessage
from dialog.task.sql_log import SQLTaskLog
from dialog.task.testing import NOW, agent_of, turn
from index.database import open_database, reading, writing
from tests.dialog.task.killed_turn import agent_on, say
from tools import audit

ROOT = Path(__file__).parents[3]
BOT = """\
bot: Book
conversation: {idle: 30m}
tasks:
  book:
    about: book a table
    slots:
      people: integer
      card: {type: card, fill: when_asked, required: false}
    call: reserve
    done: "Code {result.code}."
"""
TOOLS = """\
from pathlib import Path

from tools.base import tool
from tools.call_context import CallContext

@tool(effect="write"IDEMPOTENT)
def reserve(people: int, context: CallContext):
    deeds = Path(__file__).with_name("deeds.txt")
    done = deeds.read_text().split() if deeds.exists() else []
    key = context.idempotency_key or "none"
    if key == "none" or key not in done:
        deeds.write_text(" ".join([*done, key]))
    return {"code": "A1"}
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    with writing(engine) as connection:
        sql_log.metadata.create_all(connection)
        audit.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture(params=["memory", "sql"])
def log(request: pytest.FixtureRequest, database: Engine) -> TaskEventLog:
    return MemoryTaskLog() if request.param == "memory" else SQLTaskLog(database)


def bot_in(folder: Path, *, idempotent: bool) -> BotDefinition:
    mark = ', idempotent_by=("people",)' if idempotent else ""
    (folder / "bot.yaml").write_text(BOT.replace("      card:", "      # card:"), encoding="utf-8")
    (folder / "tools.py").write_text(TOOLS.replace("IDEMPOTENT", mark), encoding="utf-8")
    return load_bot(folder)


POINTS = [
    *("before:user_uttered", "after:user_uttered", "after:commands_parsed"),
    *("after:tool_started", "before:tool_returned", "after:tool_returned", "after:bot_uttered"),
]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_turn_repeats_no_write_and_is_answered_in_the_end(
    tmp_path: Path, database: Engine, point: str
) -> None:
    del database  # only its tables are needed here
    bot = bot_in(tmp_path, idempotent=True)
    agent, log = agent_on(tmp_path / "state.sqlite", bot)
    agent.open("c", opened=Opened(locale="en", timezone="UTC", now=NOW.isoformat()))
    assert say(agent, "m1", "a table for four").acts[-1].name.value == "CONFIRM"
    killed = subprocess.run(
        [
            *(sys.executable, "-m", "tests.dialog.task.killed_turn"),
            *(str(tmp_path / "state.sqlite"), str(tmp_path), point),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    again, _ = agent_on(tmp_path / "state.sqlite", bot)
    assert "Code A1" in say(again, "m2", "yes").text
    assert len((tmp_path / "deeds.txt").read_text().split()) == 1
    events = log.read("c")[1]
    answered = [e for e in events if isinstance(e, BotUttered) and e.message_id == "m2"]
    assert len(answered) == 1


def test_a_call_in_doubt_that_cannot_be_repeated_goes_to_a_person(
    tmp_path: Path, database: Engine
) -> None:
    bot = bot_in(tmp_path, idempotent=False)
    agent, _ = agent_on(tmp_path / "state.sqlite", bot)
    agent.open("c", opened=Opened(locale="en", timezone="UTC", now=NOW.isoformat()))
    say(agent, "m1", "a table for four")
    subprocess.run(
        [
            *(sys.executable, "-m", "tests.dialog.task.killed_turn"),
            *(str(tmp_path / "state.sqlite"), str(tmp_path), "before:tool_returned"),
        ],
        cwd=ROOT,
        check=False,
    )
    again, _ = agent_on(tmp_path / "state.sqlite", bot)
    reply = say(again, "m2", "yes")
    assert [act.name.value for act in reply.acts] == ["NOTIFY_FAILURE", "HANDOFF"]
    assert len((tmp_path / "deeds.txt").read_text().split()) == 1
    assert SQLTaskLog(database).handoffs()[0].summary["reason"] == "in_doubt"


def test_the_loser_of_two_writers_folds_anew_and_loses_nothing(
    tmp_path: Path, log: TaskEventLog
) -> None:
    bot = bot_in(tmp_path, idempotent=True)
    first = agent_of(bot, log=log)
    turn(first, Start(task="book"))
    second = agent_of(bot, log=_Existing(log))
    turn(second, Set(slot="people", value=3))
    reply = turn(first, Hold())
    assert reply.slots == {"people": 3}
    with pytest.raises(ConcurrentTurnError):
        log.append("c", 1, Opened(locale="en", timezone="UTC", now=NOW.isoformat()))


class _Existing:
    """A log whose conversation is there already."""

    def __init__(self, log: TaskEventLog) -> None:
        self._log = log
        self.read, self.append, self.delete = log.read, log.append, log.delete

    def create(self, conversation: TaskConversation, *events: object) -> None:
        del conversation, events


def test_a_log_gives_back_what_was_written(tmp_path: Path, log: TaskEventLog) -> None:
    bot = bot_in(tmp_path, idempotent=True)
    agent = agent_of(bot, log=log)
    turn(agent, Start(task="book"), Set(slot="people", value=4))
    turn(agent, Affirm())
    head, events = log.read("c")
    assert head.bot_hash == bot.hash
    assert fold(bot, events).to_json() == agent.state("c").to_json()
    assert [type(e) for e in log.read("c", start=len(events) - 1)[1]] == [BotUttered]


def test_erasing_a_conversation_leaves_nothing(tmp_path: Path, database: Engine) -> None:
    log = SQLTaskLog(database)
    agent = agent_of(bot_in(tmp_path, idempotent=True), log=log)
    turn(agent, Start(task="book"))
    agent.delete("c")
    with pytest.raises(UnknownConversationError):
        agent.state("c")
    with reading(database) as connection:
        for table in ("task_conversations", "task_events", "task_timers", "task_handoffs"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_an_idle_timer_fires_once_whoever_sweeps(tmp_path: Path, database: Engine) -> None:
    log = SQLTaskLog(database)
    bot = bot_in(tmp_path, idempotent=True)
    moment = [NOW]
    parts = AgentParts(clock=lambda: moment[0])
    agent = agent_of(bot, log=log, parts=parts)
    turn(agent, Start(task="book"))
    assert log.due_timers(moment[0] + timedelta(minutes=29)) == []
    moment[0] += timedelta(minutes=31)
    other = agent_of(bot, log=_Existing(log), parts=parts)
    (due,) = log.due_timers(moment[0])
    fired = [agent.fire(due), other.fire(due)]
    assert [reply is not None for reply in fired].count(True) == 1
    assert log.due_timers(moment[0] + timedelta(days=1)) == []
    said = [e.text for e in log.read("c")[1] if isinstance(e, BotUttered)]
    assert said[-1].startswith("I am still here.")


CARD = "4242 4242 4242 4242"


def test_the_digits_of_a_card_are_stored_nowhere_and_reach_the_tool(
    tmp_path: Path, database: Engine
) -> None:
    paid: list[object] = []
    (tmp_path / "bot.yaml").write_text(
        "bot: Pay\ntasks:\n  pay:\n    about: pay\n    slots:\n      card: card\n"
        "      pin: {type: integer, sensitive: true}\n    call: charge\n",
        encoding="utf-8",
    )
    (tmp_path / "tools.py").write_text("def charge(card, pin):\n    return {}\n", encoding="utf-8")
    log = SQLTaskLog(database)
    agent = agent_of(
        load_bot(tmp_path),
        log=log,
        audit=audit.AuditLog(database),
        stubs={"charge": lambda card, pin: paid.append((card, pin))},
    )
    turn(agent, Start(task="pay"))
    assert turn(agent, text=f"it is {CARD}").slots == {"card": "⟨card:4242⟩"}
    reply = turn(agent, text="9876")
    assert "4242" in reply.text
    assert "9876" not in reply.text
    turn(agent, Affirm())
    assert paid == [("4242424242424242", 9876)]
    database.dispose()
    stored = (tmp_path / "state.sqlite").read_bytes()
    for wal in tmp_path.glob("state.sqlite-*"):
        stored += wal.read_bytes()
    for secret in (CARD, CARD.replace(" ", ""), "9876"):
        assert secret.encode() not in stored


def test_what_a_restart_has_forgotten_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text(
        "bot: Pay\ntasks:\n  pay:\n    about: pay\n    slots:\n      card: card\n"
        "    call: charge\n",
        encoding="utf-8",
    )
    (tmp_path / "tools.py").write_text("def charge(card):\n    return {}\n", encoding="utf-8")
    bot, log = load_bot(tmp_path), MemoryTaskLog()
    turn(agent_of(bot, log=log), Start(task="pay"))
    agent = agent_of(bot, log=_Existing(log))
    turn(agent, text=CARD)
    restarted = agent_of(bot, log=_Existing(log))
    reply = turn(restarted, Affirm())
    assert "once more" in reply.text
    assert reply.acts[-1].slot == "card"


def test_a_person_takes_over_edits_and_gives_back(tmp_path: Path, log: TaskEventLog) -> None:
    agent = agent_of(bot_in(tmp_path, idempotent=True), log=log)
    turn(agent, Start(task="book"))
    agent.operate("c", OperatorActed(action="take", operator="kim"))
    assert turn(agent, Hold()).text == ""
    assert log.handoffs("taken")[0].operator == "kim"  # type: ignore[attr-defined]
    agent.operate("c", OperatorActed(action="say", operator="kim", text="Hello, Kim here."))
    back = agent.operate("c", OperatorActed(action="return", operator="kim", edits={"people": 6}))
    assert back is not None
    assert back.slots == {"people": 6}
    assert back.acts[-1].name.value == "CONFIRM"
    with pytest.raises(ValueError, match="take it first"):
        agent.operate("c", OperatorActed(action="say"))
    with pytest.raises(ValueError, match="got 'fly'"):
        agent.operate("c", OperatorActed(action="fly"))


def test_a_started_call_stands_in_the_log_before_it_is_made(tmp_path: Path) -> None:
    log = MemoryTaskLog()
    seen: list[str] = []

    def reserve(people: int, context: object = None) -> object:
        del people, context
        seen.extend(e.kind for e in log.read("c")[1] if isinstance(e, ToolStarted | ToolReturned))
        return {"code": "A1"}

    agent = agent_of(bot_in(tmp_path, idempotent=True), log=log, stubs={"reserve": reserve})
    turn(agent, Start(task="book"), Set(slot="people", value=4))
    turn(agent, Affirm())
    assert seen == ["tool_started.1"]
    assert datetime.fromisoformat(agent.state("c").now) == NOW
    assert UserMessage(id="x").text == ""
