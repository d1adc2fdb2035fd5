"""Walking through all dialogues of a task: what holds, and what is shown where it does not."""

from pathlib import Path
from textwrap import dedent

from dialog.bot.loading import load_bot
from dialog.builder.check import check_bot
from dialog.builder.model_checker import TaskVerdict, check_model
from dialog.builder.stories import StoryResult, run_stories
from dialog.builder.story import story_of
from dialog.task.acts import ActName
from dialog.task.events import ToolStarted
from dialog.tracker.rule import RuleTracker
from tests.dialog.bot.conftest import MakeBot, write_bot
from tests.dialog.bot.harbour import harbour_in
from tests.dialog.bot.test_loading import CORNER_TABLE, RESERVE
from tests.dialog.builder.conftest import Check

TWICE = """
bot: Twice
tasks:
  order:
    about: order a parcel
    examples: [I want to order]
    slots: {item: text, code: text}
    do:
      - call: reserve
      - {call: pay, failed: {say: That code did not work., reask: code}}
    done: Ordered.
"""
RENT = """
bot: Rent
tasks:
  rent:
    about: rent a car
    slots:
      age: {type: integer, min: 18, max: 99}
      young: {type: bool, when: age < 25}
    check: [{if: age > 30, else: {say: Too young., reask: young}}]
    done: Rented.
"""
PAY = "def reserve(item): return {'id': 1}\ndef pay(code): return {'ok': True}\n"


def only(verdicts: tuple[TaskVerdict, ...]) -> TaskVerdict:
    (verdict,) = verdicts
    return verdict


def test_the_smallest_bot_holds(make_bot: MakeBot) -> None:
    verdict = only(check_model(make_bot(CORNER_TABLE, tools_dot_py=RESERVE)))
    assert (verdict.problems, verdict.is_complete) == ((), True)
    assert str(verdict).startswith("book_table: holds (")


def test_the_travel_bot_holds(tmp_path: Path) -> None:
    verdicts = check_model(load_bot(harbour_in(tmp_path / "harbour")))
    assert [(v.task, v.problems) for v in verdicts] == [("find_hotel", ()), ("book_hotel", ())]


def test_a_bound_says_how_far_it_looked(make_bot: MakeBot) -> None:
    verdict = only(check_model(make_bot(CORNER_TABLE, tools_dot_py=RESERVE), depth=2))
    assert not verdict.is_complete
    assert str(verdict).startswith("book_table: no counterexample to depth 2 (")


def test_contradictory_conditions_name_both_lines_and_show_a_dialogue(check: Check) -> None:
    """rasa#10217, #6973 and #7691: found before anybody talks, not at training time."""
    report = check(RENT)
    (dead,) = [p for p in report.problems if p.rule == "dead_end"]
    assert dead.message.startswith(
        "rent: once 'age < 25' at bot.yaml:7:33 is true, 'age > 30' at bot.yaml:8:18 does not hold"
    )
    assert str(dead.source) == "bot.yaml:8:18"
    assert '- user: "I want to rent a car"' in dead.example
    assert report.exit_code() == 2


def test_guards_that_exclude_each_other_leave_parts_unreached(make_bot: MakeBot) -> None:
    bot = make_bot(
        """
        bot: Parts
        user: {vip: bool}
        tasks:
          stay:
            needs: vip
            slots:
              nights: {type: integer, min: 1, max: 30}
              reason: {type: text, when: nights > 7 and not vip}
            do:
              - {if: nights > 20, say: Long., stop: true}
              - {if: nights > 25, say: Very long.}
            done: Booked.
        """
    )
    messages = [f"{p.source.line}: {p.message}" for p in only(check_model(bot)).problems]
    assert messages == ["8: stay: no dialogue asks for reason"]


def test_a_task_that_never_starts_is_found(make_bot: MakeBot) -> None:
    bot = make_bot(
        """
        bot: Never
        user: {age: integer}
        tasks: {a: {needs: age > 5 and age < 3, slots: {day: date}, done: Done.}}
        """
    )
    assert [p.message for p in only(check_model(bot)).problems] == ["a never starts"]


def test_an_unconfirmed_write_is_shown_as_a_dialogue(check: Check) -> None:
    report = check(CORNER_TABLE + "    confirm: never\n", tools_dot_py=RESERVE)
    (found,) = [p for p in report.problems if p.rule == "unconfirmed_write"]
    assert "never: [unconfirmed_write]" in found.example
    assert found.example.count("- user:") == 5


def test_a_failed_step_is_taken_up_where_it_failed(make_bot: MakeBot) -> None:
    """What was done before it is not done again, so that there is no second reservation."""
    bot = make_bot(TWICE, tools_dot_py=PAY)
    assert only(check_model(bot)).problems == ()
    story = {
        "test": "the code is wrong once",
        "given": {
            "now": "2025-03-03T09:00",
            "tools": {"reserve": {}, "pay": {"then": [{"error": "fatal"}, {}]}},
        },
        "talk": [
            *({"user": text} for text in ("I want to order", "blue roses", "A1", "yes", "B2")),
            {"user": "yes", "status": "done"},
        ],
        "never": ["repeated_write", "unconfirmed_write"],
    }
    (result,) = run_stories(bot, {"recogniser": RuleTracker()}, [story_of(story)])
    assert result.failures == ()


def _run(folder: Path, text: str, rule: str) -> StoryResult:
    """Check a bot, write the dialogue of a finding into its tests, and run it for real."""
    bot = load_bot(write_bot(folder, text, {"tools.py": RESERVE}))
    (problem,) = [p for p in check_bot(bot).problems if p.rule == rule]
    (folder / "tests.yaml").write_text("tests:\n" + dedent(problem.example.lstrip("\n")))
    (result,) = run_stories(load_bot(folder), {"recogniser": RuleTracker()})
    return result


def test_the_dialogue_of_a_dead_end_ends_nowhere_in_the_real_engine(tmp_path: Path) -> None:
    transcript = _run(tmp_path, RENT, "dead_end").transcript()
    assert "Too young." in transcript
    assert "Rented." not in transcript


def test_the_dialogue_of_an_unconfirmed_write_ends_with_a_question_in_the_real_engine(
    tmp_path: Path,
) -> None:
    """The file would let it through; the engine asks all the same, and nothing is written."""
    result = _run(tmp_path, CORNER_TABLE + "    confirm: never\n", "unconfirmed_write")
    assert [e.tool for e in result.events if isinstance(e, ToolStarted)] == []
    assert [act.name for act in result.replies[-1].acts] == [ActName.CONFIRM]
