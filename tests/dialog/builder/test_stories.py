"""The tests DSL: what passes, what fails with which words, what is refused."""

from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.builder.command_text import command_from_text, command_text
from dialog.builder.coverage import coverage_of
from dialog.builder.properties import violations
from dialog.builder.stories import run_stories, run_story
from dialog.builder.story import story_of
from dialog.errors import CommandError, StoryError
from dialog.task.commands import COMMANDS
from dialog.task.events import ToolStarted

BOT = """\
bot: Corner Table
tasks:
  book_table:
    about: book a table
    slots:
      date: date
      people: {type: integer, min: 1, max: 12}
    call: reserve
    done: "Code {result.code}."
tests:
  - test: books
    given: {parse: commands, now: "2025-03-03T09:00", tools: {reserve: {code: B7}}}
    talk:
      - {commands: "start(book_table); set(people, 4)", bot: [REQUEST], slots: {people: 4}}
      - {commands: "set(date, 2025-03-07)", bot: [CONFIRM], slots: {date: 2025-03-07}}
      - {button: "yes", called: {reserve: {people: 4}}, says: Code B7, status: done, stack: []}
    never: [unconfirmed_write, exact_repeat, re_ask, two_questions, repeated_write]
"""
TOOLS = """\
def reserve(date, people):
    raise RuntimeError("the stub must stand for it")
"""


@pytest.fixture
def bot(tmp_path: Path) -> BotDefinition:
    (tmp_path / "bot.yaml").write_text(BOT, encoding="utf-8")
    (tmp_path / "tools.py").write_text(TOOLS, encoding="utf-8")
    return load_bot(tmp_path)


def test_a_story_passes_and_touches_what_it_runs(bot: BotDefinition) -> None:
    (result,) = run_stories(bot, {})
    assert result.failures == ()
    covered = coverage_of(bot, [result.events])
    assert covered.share("task") == covered.share("slot") == covered.share("step") == 1.0
    assert covered.missed("text") == []


def test_a_story_gives_the_same_events_each_time(bot: BotDefinition) -> None:
    first, second = run_stories(bot, {})[0], run_stories(bot, {})[0]
    assert first.events == second.events


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"bot": ["OFFER"]}, "expected the acts ['OFFER'], got ['REQUEST']"),
        ({"says": "Which moon"}, "expected the words 'Which moon'"),
        ({"not_says": "/[Ww]hich/"}, "must not be said"),
        ({"slots": {"people": 4}}, "expected people to be 4, got null"),
        ({"slots": {"moon": 4}}, "no task is open that has the slots ['moon']"),
        ({"called": ["reserve"]}, "expected reserve to be called"),
        ({"stack": []}, "expected the tasks [], got ['book_table']"),
        ({"status": "done"}, "expected the status 'done'"),
    ],
)
def test_what_is_not_as_expected_is_told(
    bot: BotDefinition, step: dict[str, object], words: str
) -> None:
    written = {
        "test": "t",
        "given": {"parse": "commands"},
        "talk": [{"commands": "start(book_table)", **step}],
    }
    result = run_story(bot, {}, story_of(written))
    assert len(result.failures) == 1
    assert words in result.failures[0]


def test_what_must_never_be_is_found_in_the_events(bot: BotDefinition) -> None:
    """A confirmation by a button is one; a write that nobody agreed to is found."""
    unguarded = BOT.replace("    call: reserve\n", "    confirm: never\n    call: reserve\n")
    path = Path(bot.folder) / "bot.yaml"
    path.write_text(unguarded, encoding="utf-8")
    loose = load_bot(path)
    written = {
        "test": "t",
        "given": {"parse": "commands", "tools": {"reserve": {"error": "conflict"}}},
        "talk": [{"commands": "start(book_table); set(people, 4); set(date, 2025-03-07)"}],
        "never": ["unconfirmed_write"],
    }
    result = run_story(loose, {}, story_of(written))
    assert result.failures == ()  # the engine asks all the same
    assert "CONFIRM" in [act.name.value for act in result.replies[0].acts]
    unasked = ToolStarted(
        call_id="1", tool="reserve", arguments={}, frame=1, purpose="call", place="do:0"
    )
    found = violations(loose, [*result.events, unasked], ["unconfirmed_write"])
    assert found == [
        "unconfirmed_write: turn 1: reserve was called with {}, which nobody agreed to"
    ]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"test": "t", "talks": []}, "did you mean 'talk'"),
        ({"test": "t", "talk": [{"usr": "x"}]}, "did you mean 'user'"),
        ({"test": "t", "talk": ["x"], "never": ["reask"]}, "did you mean 're_ask'"),
        ({"test": "t", "talk": []}, "`talk:` holds the steps"),
        ({"name": "t"}, "a test begins with"),
    ],
)
def test_a_slip_in_a_test_is_named(written: dict[str, object], words: str) -> None:
    with pytest.raises(StoryError, match=words):
        story_of(written)


@pytest.mark.parametrize(
    ("given", "step", "words"),
    [
        ({"parse": "llm"}, {"user": "hi"}, "'llm' is not there; there are \\['commands'\\]"),
        ({"tools": {"fly": 1}}, {"user": "hi"}, "there is no tool 'fly'"),
        ({}, {"commands": "fly(x)"}, "is no command"),
        ({}, {"button": "maybe"}, "there is no button 'maybe'"),
        ({}, {"event": {"moon": 1}}, "an event is timer or operator"),
    ],
)
def test_what_a_test_names_must_be_there(
    bot: BotDefinition, given: dict[str, object], step: dict[str, object], words: str
) -> None:
    written = {"test": "t", "given": {"parse": "commands", **given}, "talk": [step]}
    with pytest.raises(StoryError, match=words):
        run_story(bot, {}, story_of(written))


def test_commands_survive_their_text() -> None:
    for text in ("set(people, 4)", "start(book)", "affirm()", "choose(2)", "choose(vento)"):
        assert command_text(command_from_text(text)) == text
    assert command_from_text("set(name, Ana, Lind)").to_payload()["value"] == "Ana, Lind"
    assert command_from_text('set(extras, ["wifi", "tea"])').to_payload()["value"] == [
        "wifi",
        "tea",
    ]
    assert command_from_text("set(book.people, 2)").to_payload()["task"] == "book"
    assert all(head in COMMANDS for head in COMMANDS)
    with pytest.raises(CommandError, match="lacks an argument"):
        command_from_text("start()")
