"""What a model may reword, and what is sent when it does not keep to the facts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.bot.definition import BotDefinition
from dialog.builder.replay import check_replay
from dialog.task.agent import AgentParts
from dialog.task.commands import Affirm, Chitchat, Set, Start
from dialog.task.event_log import MemoryTaskLog
from dialog.task.nlg import Utterance
from dialog.task.rephrasing import ModelChatter, RephrasingNLG, must_include, pattern_of
from dialog.task.testing import NOW, agent_of, turn
from llm.decoding.grammar_spec import Regex
from llm.testing import ScriptedChatModel
from tests.dialog.task.conftest import CORNER, RESERVE, MakeBot

FILLED = (
    Set(slot="date", value="2025-03-07"),
    Set(slot="time", value="19:00"),
    Set(slot="people", value=4),
    Set(slot="name", value="Ana Lind"),
)


def confirmation(bot: BotDefinition, *replies: str) -> tuple[str, ScriptedChatModel, MemoryTaskLog]:
    """Return what the bot says before the booking if the model says that."""
    model, log = ScriptedChatModel(["What brings you here?", *replies]), MemoryTaskLog()
    parts = AgentParts(nlg=RephrasingNLG(model), clock=lambda: NOW)
    agent = agent_of(bot, log=log, parts=parts)
    agent.greet("c")
    return turn(agent, Start(task="book_table"), *FILLED).text, model, log


def test_a_rewording_with_all_values_is_sent_and_replayed(corner: BotDefinition) -> None:
    good = "Ana Lind, a table for people 4 on Friday, 7 March 2025 at 7:00 pm. Is that so?"
    text, model, log = confirmation(corner, good)
    assert text == good
    grammar = model.specs[-1].grammar
    assert isinstance(grammar, Regex)
    assert re.fullmatch(grammar.pattern, model.prompts[-1][-1].content)
    check_replay(corner, log.read("c")[1])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "Shall I book it?",
        "Ana Lind, people 4, Friday, 7 March 2025, 7:00 pm, table 9. Is that so?",
        "Ana Lind, people 4, Friday, 7 March 2025, 7:00 pm.",
        "Ana Lind, people 4, Friday, 7 March 2025, 7:00 pm. Good? Really?",
        "Ana Lind, people 4, Friday, 7 March 2025, 7:00 pm. Is that so? " + "Well, well. " * 12,
    ],
)
def test_what_lacks_or_adds_a_fact_gives_way_to_the_template(
    corner: BotDefinition, bad: str
) -> None:
    text, _, _ = confirmation(corner, bad)
    assert text.startswith("So date Friday, 7 March 2025, time 7:00 pm, people 4")


def test_topics_that_the_bot_never_speaks_of_are_not_sent(make_bot: MakeBot) -> None:
    bot = make_bot(CORNER + "behaviour:\n  never: [a discount]\n", RESERVE)
    bad = "Ana Lind, people 4, Friday, 7 March 2025, 7:00 pm, with a discount. Yes?"
    assert "discount" not in confirmation(bot, bad)[0]


def test_a_bot_that_wants_its_own_words_is_left_alone(make_bot: MakeBot) -> None:
    bot = make_bot(CORNER + "say:\n  rephrase: off\n", RESERVE)
    _, model, _ = confirmation(bot, "never asked")
    assert model.prompts == []


def test_a_code_in_a_text_of_the_bot_is_kept(corner: BotDefinition) -> None:
    model = ScriptedChatModel(["Hello, what is it?", "All of it is right?", "Your booking is A7!"])
    agent = agent_of(corner, parts=AgentParts(nlg=RephrasingNLG(model), clock=lambda: NOW))
    turn(agent, Start(task="book_table"), *FILLED)
    assert "A1" in turn(agent, Affirm()).text


@given(
    values=st.lists(
        st.from_regex(r"[A-Z][a-z]{4} \d{3}", fullmatch=True), min_size=1, max_size=4, unique=True
    ),
    is_question=st.booleans(),
)
def test_a_template_is_itself_a_text_that_the_decoder_may_write(
    values: list[str], is_question: bool
) -> None:
    text = "So " + ", then ".join(values) + ("?" if is_question else ".")
    said = Utterance(text=text, values=tuple(values))
    assert re.fullmatch(pattern_of(said), text)
    assert all(any(v in kept for kept in must_include(said)) for v in values)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("It is lovely weather indeed.", "It is lovely weather indeed."),
        ("And you?", ""),
        ("It is 30 degrees.", ""),
        ("It goes on and", ""),
        ("Never mind. " * 20, ""),
    ],
)
def test_small_talk_is_bounded_and_returns_to_the_open_question(
    corner: BotDefinition, said: str, sent: str
) -> None:
    model = ScriptedChatModel([said])
    parts = AgentParts(chatter=ModelChatter(model), clock=lambda: NOW)
    agent = agent_of(corner, parts=parts)
    turn(agent, Start(task="book_table"))
    reply = turn(agent, Chitchat(), text="nice weather")
    assert reply.acts[-1].slot == "date"
    assert (said in reply.text) is bool(sent)
