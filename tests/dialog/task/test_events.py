"""Commands, acts and events survive their own JSON."""

import json

import pytest

from dialog.errors import CommandError, UnreadableEventError
from dialog.task import commands as c
from dialog.task.acts import Act, ActName
from dialog.task.events import BotUttered, CommandsParsed, event_payload, task_event

EXAMPLES: tuple[c.Command, ...] = (
    c.Start(task="book_table"),
    c.Set(slot="date", value="2025-03-07", span=c.Span(start=3, end=9), raw="Friday", p=0.9),
    c.Change(slot="people", value=5, alternatives=(c.Alternative(value=6, p=0.1),)),
    c.Add(slot="extras", value="wifi", source=c.ValueSource.SPAN),
    c.Knowledge(query="are dogs allowed"),
    c.Unclear(guesses=("book_table", "cancel_table")),
    c.Choose(n=2),
    c.Language(locale="de"),
)


def test_there_are_28_commands() -> None:
    assert len(c.COMMANDS) == 28
    assert all(head == kind.head for head, kind in c.COMMANDS.items())


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: command.head)
def test_a_command_survives_its_json(command: c.Command) -> None:
    payload = json.loads(json.dumps(command.to_payload()))
    assert c.command_from_payload(payload) == command


def test_an_unknown_command_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(CommandError, match="no command is called 'fly'; there are"):
        c.command_from_payload({"head": "fly"})
    with pytest.raises(CommandError, match="start cannot be read"):
        c.command_from_payload({"head": "start", "city": "Bern"})


def test_events_survive_their_json() -> None:
    act = Act(name=ActName.REQUEST, slot="date", values={"people": 4}, options=("a", "b"))
    posteriors = {"date": (c.Alternative(value="2025-03-07", p=0.9),)}
    for event in (
        CommandsParsed(commands=EXAMPLES, posteriors=posteriors, tracker="rule"),
        BotUttered(message_id="m1", text="When?", acts=(act,), templates=("ask.date",)),
    ):
        assert task_event(event.kind, json.loads(json.dumps(event_payload(event)))) == event


def test_a_stored_event_of_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnreadableEventError, match=r"unknown kind 'flown\.1'"):
        task_event("flown.1", {})
    with pytest.raises(UnreadableEventError, match="cannot be read"):
        task_event("timer_fired.1", {"colour": 1})
