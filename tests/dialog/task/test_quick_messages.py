"""Messages in quick succession, and messages while a call is running."""

import threading
from collections.abc import Callable

import pytest

from dialog.bot.definition import BotDefinition
from dialog.task.acts import ActName
from dialog.task.agent import TaskAgent
from dialog.task.commands import Affirm, Cancel, Set, Start
from dialog.task.event_log import MemoryTaskLog, reply_to
from dialog.task.events import ToolStarted, UserUttered
from dialog.task.merging import MergeWindow
from dialog.task.messages import Reply, UserMessage
from dialog.task.testing import NOW, agent_of, turn
from dialog.tracker.rule import RuleTracker
from dialog.turn_queue import TurnQueue

MakeBot = Callable[..., BotDefinition]

BOT = """\
bot: Corner Table
conversation: {merge_window: 20s, greet: false}
tasks:
  book_table:
    about: book a table
    slots:
      date: date
      people: {type: integer, min: 1, max: 12}
    call: reserve
    done: "Code {result.code}."
    on_cancel: {call: release}
"""
TOOLS = """\
def reserve(date, people):
    return {"code": "A1"}


def release(result):
    return {}
"""


class Arrivals:
    """Stands for the passing of the window: it ends when all messages have arrived."""

    def __init__(self, agent: TaskAgent, log: MemoryTaskLog) -> None:
        self.agent, self.log = agent, log
        self.window = threading.Event()
        self.waited: list[float] = []
        agent._window = MergeWindow(20.0, wait=self._wait)
        self.replies: dict[str, Reply] = {}
        self.threads: list[threading.Thread] = []

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        assert self.window.wait(10)

    def arrive(self, name: str, text: str) -> None:
        def answered() -> None:
            message = UserMessage(id=name, text=text, now=NOW.isoformat())
            self.replies[name] = self.agent.respond("c", message)

        thread = threading.Thread(target=answered)
        thread.start()
        self.threads.append(thread)
        gathered = self.agent._window._open
        while not any(m.id == name for g in gathered.values() for m in g.messages):
            pass

    def end(self) -> None:
        self.window.set()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def arrivals(make_bot: MakeBot) -> Arrivals:
    log = MemoryTaskLog()
    return Arrivals(agent_of(make_bot(BOT, TOOLS), log=log, tracker=RuleTracker()), log)


def test_messages_within_the_window_are_one_turn_and_each_is_answered(arrivals: Arrivals) -> None:
    arrivals.arrive("a", "I want to book a table")
    arrivals.arrive("b", "for 4 people")
    arrivals.end()
    assert arrivals.waited == [20.0]  # as the file says
    heard = [e for e in arrivals.log.read("c")[1] if isinstance(e, UserUttered)]
    assert [(e.message_id, e.merged) for e in heard] == [("a", ("b",))]
    assert arrivals.replies["a"].slots == {"people": 4}
    assert arrivals.replies["a"].text == arrivals.replies["b"].text
    assert arrivals.replies["b"].is_replayed
    recorded = reply_to(arrivals.log.read("c")[1], "b")
    assert recorded is not None
    assert recorded.text == arrivals.replies["a"].text


def test_a_message_that_was_merged_is_known_after_a_restart(arrivals: Arrivals) -> None:
    arrivals.arrive("a", "I want to book a table")
    arrivals.arrive("b", "for 4 people")
    arrivals.end()
    arrivals.agent._sessions.drop("c")
    again = arrivals.agent.respond("c", UserMessage(id="b", text="for 4 people"))
    assert again.is_replayed
    assert len([e for e in arrivals.log.read("c")[1] if isinstance(e, UserUttered)]) == 1


def test_without_a_window_messages_are_turns_of_their_own(make_bot: MakeBot) -> None:
    bot = make_bot(BOT.replace("merge_window: 20s, ", ""), TOOLS)
    agent = agent_of(bot, tracker=RuleTracker())
    turn(agent, text="I want to book a table")
    assert turn(agent, text="for 4 people").slots == {"people": 4}
    assert agent.state("c").counters.turns == 2


def test_cancel_while_the_call_runs_undoes_it_when_it_is_done(make_bot: MakeBot) -> None:
    """The message is accepted at once and taken up behind the call; nobody is asked again."""
    log, begun, may_end = MemoryTaskLog(), threading.Event(), threading.Event()

    def slow(date: str, people: int) -> dict[str, str]:
        begun.set()
        assert may_end.wait(10)
        return {"code": "A1"}

    agent = agent_of(make_bot(BOT, TOOLS), log=log, stubs={"reserve": slow})
    values = (Set(slot="date", value="2025-03-07"), Set(slot="people", value=2))
    turn(agent, Start(task="book_table"), *values)
    replies: dict[str, Reply] = {}

    def run(name: str, command: Affirm | Cancel) -> threading.Thread:
        message = UserMessage(id=name, now=NOW.isoformat(), commands=(command,))
        thread = threading.Thread(
            target=lambda: replies.update({name: agent.respond("c", message)})
        )
        thread.start()
        return thread

    first = run("yes", Affirm())
    assert begun.wait(10)
    second = run("stop", Cancel())
    while len(agent._sessions._queue._tickets["c"]) < 2:
        pass
    may_end.set()
    first.join(10)
    second.join(10)
    assert "Code A1." in replies["yes"].text
    calls = [e.tool for e in log.read("c")[1] if isinstance(e, ToolStarted)]
    assert calls == ["reserve", "release"]
    assert ActName.CONFIRM not in [act.name for act in replies["stop"].acts]


def test_cancel_after_the_call_asks_first(make_bot: MakeBot) -> None:
    log = MemoryTaskLog()
    agent = agent_of(make_bot(BOT, TOOLS), log=log)
    values = (Set(slot="date", value="2025-03-07"), Set(slot="people", value=2))
    turn(agent, Start(task="book_table"), *values)
    turn(agent, Affirm())
    assert turn(agent, Cancel()).acts[-1].name is ActName.CONFIRM
    assert [e.tool for e in log.read("c")[1] if isinstance(e, ToolStarted)] == ["reserve"]


def test_messages_are_taken_up_in_the_order_of_their_arrival() -> None:
    queue, order, threads = TurnQueue(), [], []

    def take(number: int) -> None:
        with queue.turn("c", threading.Event()):
            order.append(number)

    with queue.turn("c", threading.Event()):
        for number in range(20):
            threads.append(threading.Thread(target=take, args=[number]))
            threads[-1].start()
            while len(queue._tickets["c"]) < number + 2:
                pass
    for thread in threads:
        thread.join(10)
    assert order == list(range(20))
