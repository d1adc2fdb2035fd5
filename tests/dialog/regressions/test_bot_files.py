"""Regressions 6, 8, 9: contradictory files, two dates and midnight, two languages."""

from pathlib import Path
from textwrap import dedent

import pytest

from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from dialog.builder.check import check_bot
from dialog.builder.stories import run_stories
from dialog.task.commands import Language, Set, Start
from dialog.task.events import ToolStarted
from dialog.task.testing import agent_of, turn
from dialog.tracker.rule import RuleTracker
from tests.dialog.regressions.bots import bot_in, table_bot, trip_bot


def test_09_a_switch_of_language_in_the_middle_keeps_the_slots(tmp_path: Path) -> None:
    """rasa#2353: one bot, two languages."""
    agent = agent_of(table_bot(tmp_path))
    turn(agent, Start(task="book_table"), Set(slot="date", value="2025-03-07"))
    reply = turn(agent, Language(locale="de"))
    assert reply.text.startswith("Wir machen auf Deutsch weiter.")
    assert reply.acts[-1].slot == "time"
    assert reply.slots == {"date": "2025-03-07"}
    reply = turn(agent, Set(slot="time", value="19:00"), Set(slot="people", value=4))
    reply = turn(agent, Set(slot="name", value="Ana"))
    assert "Freitag, 7. März 2025" in reply.text


def test_08_a_date_near_midnight_is_of_the_users_zone(tmp_path: Path) -> None:
    """rasa#1597, #2801: "today" was the server's. At 23:30 UTC it is tomorrow in Zurich."""
    agent = agent_of(trip_bot(tmp_path), timezone="Europe/Zurich")
    late = "2025-03-03T23:30:00+00:00"
    turn(agent, Start(task="book_hotel"), now=late)
    turn(agent, Start(task="find_hotel"), now=late)
    reply = turn(agent, Set(slot="check_in", value="2025-03-03"), now=late)
    assert "is too early" in reply.text
    reply = turn(agent, Set(slot="check_in", value="2025-03-04"), now=late)
    assert reply.slots["check_in"] == "2025-03-04"


STAY = """\
bot: Stay
tasks:
  stay:
    about: book a stay
    slots:
      arrival: {type: date, after: today}
      departure: {type: date, after: arrival}
    call: book
"""


@pytest.mark.parametrize(
    "words",
    [
        "I want to book a stay from Friday to Sunday",
        "book a stay until March 9th, arriving on March 7th",
    ],
)
def test_08_two_dates_of_one_sentence_fill_two_slots(tmp_path: Path, words: str) -> None:
    """Which is which, the words before them tell, not their order."""
    bot = bot_in(tmp_path, STAY, "def book(arrival, departure):\n    return {}\n")
    reply = turn(agent_of(bot, tracker=RuleTracker()), text=words)
    assert reply.slots == {"arrival": "2025-03-07", "departure": "2025-03-09"}


CONTRADICTION = """\
bot: Rent
locales: {default: en, timezone: UTC}
tasks:
  rent:
    about: rent a car
    slots:
      age: {type: integer, min: 1, max: 99}
      days: {type: integer, min: 1}
    check:
      - {if: age >= 18, else: {say: Too young., reask: age}}
      - {if: age < 18, else: {say: Too old., reask: age}}
    call: hire
    done: Rented.
"""


def test_06_a_contradiction_names_both_lines_and_shows_the_dialogue(tmp_path: Path) -> None:
    """rasa#10217, #6973: found at training time, with neither line named. Here the check finds it
    without a single talk, and what it shows comes to no end in the engine either."""
    bot = bot_in(tmp_path, CONTRADICTION, "def hire(age, days):\n    return {}\n")
    report = check_bot(bot)
    (dead,) = [p for p in report.problems if p.rule == "dead_end"]
    assert str(dead.source) == "bot.yaml:11:14"
    assert "once 'age >= 18' at bot.yaml:10:14 is true" in dead.message
    assert "'age < 18' at bot.yaml:11:14 does not hold" in dead.message
    assert report.exit_code() == 2
    (tmp_path / "tests.yaml").write_text("tests:\n" + dedent(dead.example.lstrip("\n")))
    (result,) = run_stories(load_bot(tmp_path), {"recogniser": RuleTracker()})
    assert "Too old." in result.transcript()
    assert not any(isinstance(event, ToolStarted) for event in result.events)


def test_06_a_key_that_stands_twice_names_both_lines(tmp_path: Path) -> None:
    text = "bot: Two\ntasks:\n  one:\n    about: a\n    slots: {x: date}\n    about: b\n"
    with pytest.raises(BotFileErrors, match=r"bot\.yaml:6.*(\n.*)*4"):
        bot_in(tmp_path, text)
