"""The turn from end to end, on the bot of 11 lines."""

import pytest

from dialog.bot.definition import BotDefinition
from dialog.errors import UnknownConversationError
from dialog.task.acts import ActName
from dialog.task.commands import Affirm, Change, Deny, Done, Repeat, Set, Start, Unclear
from dialog.task.messages import UserMessage
from dialog.task.testing import agent_of, turn
from tools.call_counts import CallCounts
from tools.result import ResultKind

FILLED = (
    Set(slot="date", value="2025-03-07"),
    Set(slot="time", value="19:00"),
    Set(slot="people", value=4),
    Set(slot="name", value="Ana Lind"),
)


def names(reply: object) -> list[str]:
    return [act.name.value for act in reply.acts]  # type: ignore[attr-defined]


def test_the_bot_of_eleven_lines_asks_confirms_books_and_says_goodbye(
    corner: BotDefinition,
) -> None:
    agent = agent_of(corner)
    assert agent.greet("c").text == "Hello! What can I do for you?"
    assert turn(agent, Start(task="book_table")).text == "Which day?"
    assert turn(agent, FILLED[0]).text == "At what time?"
    assert turn(agent, FILLED[1]).text == "How many people?"
    assert turn(agent, FILLED[2]).text == "What name, please?"
    reply = turn(agent, FILLED[3])
    assert names(reply) == ["CONFIRM"]
    assert all(word in reply.text for word in ("Friday", "7:00", "4", "Ana Lind"))
    assert turn(agent, Affirm()).text == (
        "Booked for 4 on Friday, 7 March 2025 at 7:00 pm. Your code is A1. Anything else?"
    )
    reply = turn(agent, Done())
    assert reply.is_closed
    assert names(reply) == ["GOODBYE"]


def test_all_slots_in_one_turn_lead_to_the_summary_at_once(corner: BotDefinition) -> None:
    agent = agent_of(corner)
    assert names(turn(agent, Start(task="book_table"), *FILLED)) == ["CONFIRM"]


def test_nothing_is_called_before_a_yes_to_exactly_these_values(corner: BotDefinition) -> None:
    calls: list[dict[str, object]] = []

    def reserve(**values: object) -> object:
        calls.append(values)
        return {"code": "B2"}

    agent = agent_of(corner, stubs={"reserve": reserve})
    turn(agent, Start(task="book_table"), *FILLED)
    reply = turn(agent, Affirm(), Change(slot="people", value=5))
    assert names(reply) == ["ACK", "CONFIRM"]
    assert calls == []
    turn(agent, Affirm())
    assert [call["people"] for call in calls] == [5]


def test_a_call_is_counted_by_how_it_ended(corner: BotDefinition) -> None:
    counts = CallCounts()
    agent = agent_of(corner, counts=counts)
    turn(agent, Start(task="book_table"), *FILLED)
    assert counts.counted() == {}
    turn(agent, Affirm())
    assert counts.counted() == {("reserve", ResultKind.OK): 1}


def test_a_refused_summary_asks_what_to_change(corner: BotDefinition) -> None:
    agent = agent_of(corner)
    turn(agent, Start(task="book_table"), *FILLED)
    reply = turn(agent, Deny())
    assert [act.key for act in reply.acts] == ["change_what"]
    reply = turn(agent, Deny(), Change(slot="date", value="2025-03-08"))
    assert names(reply) == ["ACK", "CONFIRM"]
    assert "Saturday" in reply.text


def test_a_known_message_id_is_answered_from_the_log(corner: BotDefinition) -> None:
    agent = agent_of(corner)
    message = UserMessage(id="same", commands=(Start(task="book_table"),))
    first, second = agent.respond("c", message), agent.respond("c", message)
    assert second.text == first.text
    assert (first.is_replayed, second.is_replayed) == (False, True)
    assert len(agent.state("c").frames) == 1


def test_repeat_says_the_same_and_nothing_else_does(corner: BotDefinition) -> None:
    agent = agent_of(corner)
    first = turn(agent, Start(task="book_table")).text
    assert turn(agent, Repeat()).text == first
    said = {first}
    for _ in range(9):
        text = turn(agent, Unclear()).text
        assert text not in said
        said.add(text)
    assert agent.state("c").counters.exact_repeats == 0


def test_a_conversation_that_was_never_opened_is_refused_by_its_id(corner: BotDefinition) -> None:
    with pytest.raises(UnknownConversationError, match="'nowhere'"):
        agent_of(corner).respond("nowhere", UserMessage(id="1", text="hello"))


def test_every_turn_asks_at_most_one_question(corner: BotDefinition) -> None:
    agent = agent_of(corner)
    questions = {ActName.REQUEST, ActName.CONFIRM, ActName.OFFER, ActName.REQ_MORE}
    for commands in ((Start(task="book_table"),), FILLED, (Unclear(),), (Deny(),), (Affirm(),)):
        reply = turn(agent, *commands)
        assert sum(act.name in questions for act in reply.acts) <= 1
