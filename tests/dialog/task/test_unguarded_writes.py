"""A write that nobody agreed to is not made, whatever the file or a policy says."""

from collections.abc import Callable

import pytest

from dialog.bot.definition import BotDefinition
from dialog.builder.properties import violations
from dialog.simulation.judgement import unconfirmed_writes
from dialog.task.acts import ActName, CallTool, Decision
from dialog.task.agent import AgentParts
from dialog.task.commands import Affirm, Deny, Set, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.events import ToolReturned, ToolStarted
from dialog.task.policy import decide
from dialog.task.state import DialogState
from dialog.task.testing import NOW, agent_of, turn

MakeBot = Callable[..., BotDefinition]

WRITES = """\
DONE = []


def act(n):
    DONE.append(n)
    return {"n": n}


def wipe():
    DONE.append("all")
"""
NEVER = """\
bot: Never
tasks:
  t:
    about: do it
    slots: {n: integer}
    confirm: never
    call: act
    done: "Done {n}."
"""
OWN_QUESTION = NEVER.replace(
    "    call: act\n", '    do: [{ask: "Shall I do {n}?", yes: {call: act}}]\n'
)
NO_VALUES = """\
bot: Bare
tasks:
  t:
    about: wipe everything
    confirm: WAY
    call: wipe
    done: Wiped.
"""
BY_DEFAULT = NEVER.replace("n: integer", "n: {type: integer, default: 3}").replace("never", "WAY")
IN_A_CHECK = """\
bot: Early
tasks:
  t:
    about: do it
    slots: {n: integer}
    check: [{call: act(n)}]
    do: [{say: Fine.}]
"""


def deeds(log: MemoryTaskLog) -> list[ToolStarted]:
    return [e for e in log.read("c")[1] if isinstance(e, ToolStarted)]


@pytest.mark.parametrize("text", [NEVER, BY_DEFAULT.replace("WAY", "auto")])
def test_a_write_is_asked_about_though_the_file_says_never(text: str, make_bot: MakeBot) -> None:
    """Nor does a default spare the question: nobody has heard of its value."""
    log = MemoryTaskLog()
    agent = agent_of(make_bot(text, WRITES), log=log)
    value = () if "default" in text else (Set(slot="n", value=3),)
    reply = turn(agent, Start(task="t"), *value)
    assert reply.acts[-1].name is ActName.CONFIRM
    assert "3" in reply.text
    assert deeds(log) == []
    assert "Done 3." in turn(agent, Affirm()).text
    events = log.read("c")[1]
    assert violations(agent.bot, events, ["unconfirmed_write"]) == []
    assert unconfirmed_writes(agent.bot, events) == []


def test_a_default_is_told_before_an_implicit_write(make_bot: MakeBot) -> None:
    agent = agent_of(make_bot(BY_DEFAULT.replace("WAY", "implicit"), WRITES))
    assert "3" in turn(agent, Start(task="t")).text
    assert "Done 3." in turn(agent, Affirm()).text


def test_a_question_of_the_task_itself_is_enough_where_the_file_says_never(
    make_bot: MakeBot,
) -> None:
    log = MemoryTaskLog()
    agent = agent_of(make_bot(OWN_QUESTION, WRITES), log=log)
    assert "Shall I do 7?" in turn(agent, Start(task="t"), Set(slot="n", value=7)).text
    assert deeds(log) == []
    assert "Done 7." in turn(agent, Affirm()).text
    events = log.read("c")[1]
    assert violations(agent.bot, events, ["unconfirmed_write"]) == []
    assert unconfirmed_writes(agent.bot, events) == []


@pytest.mark.parametrize("way", ["never", "auto", "implicit", "explicit"])
def test_a_deed_without_values_is_agreed_to_as_well(way: str, make_bot: MakeBot) -> None:
    log = MemoryTaskLog()
    agent = agent_of(make_bot(NO_VALUES.replace("WAY", way), WRITES), log=log)
    reply = turn(agent, Start(task="t"))
    assert reply.acts[-1].name is ActName.CONFIRM
    assert "wipe everything" in reply.text.casefold()
    turn(agent, Deny())
    assert deeds(log) == []
    turn(agent, Start(task="t"))
    assert "Wiped." in turn(agent, Affirm()).text


def test_a_check_that_writes_is_not_called(make_bot: MakeBot) -> None:
    """`bot check` tells why; what the user hears is that it failed."""
    log = MemoryTaskLog()
    bot = make_bot(IN_A_CHECK, WRITES)
    agent = agent_of(bot, log=log, stubs={"act": _must_not_run})
    reply = turn(agent, Start(task="t"), Set(slot="n", value=3))
    assert ActName.NOTIFY_FAILURE in [act.name for act in reply.acts]
    (returned,) = [e for e in log.read("c")[1] if isinstance(e, ToolReturned)]
    assert returned.error == "needs_confirmation"


class Eager:
    """A policy that calls as soon as it has the values."""

    def decide(self, bot: BotDefinition, state: DialogState) -> Decision:
        top = state.top
        if top is None or not top.cell("n").has_value or top.failure:
            return decide(bot, state)
        call = CallTool(
            tool="act",
            arguments={"n": top.cell("n").value},
            frame=top.id,
            task="t",
            purpose="call",
            place="do:0",
        )
        return Decision(step=call, rule="eager")


def test_no_policy_writes_what_was_not_agreed_to(make_bot: MakeBot) -> None:
    bot = make_bot(NEVER.replace("never", "auto"), WRITES)
    parts = AgentParts(policy=Eager(), clock=lambda: NOW)
    agent = agent_of(bot, stubs={"act": _must_not_run}, parts=parts)
    reply = turn(agent, Start(task="t"), Set(slot="n", value=3))
    assert ActName.NOTIFY_FAILURE in [act.name for act in reply.acts]


def _must_not_run(n: int) -> dict[str, object]:
    raise AssertionError(f"the write was made with {n}")
