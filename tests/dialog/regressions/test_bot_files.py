"""Regressions 6, 8, 9: contradictory files, two dates and midnight, two languages."""

from pathlib import Path

import pytest

from dialog.bot.loading import load_bot
from dialog.task.commands import Language, Set, Start
from dialog.task.testing import agent_of, turn
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


def test_08_two_dates_of_one_sentence_fill_two_slots(tmp_path: Path) -> None:
    """Both reach their slots; which is which stands in the types' roles (from, until)."""
    text = (
        "bot: Stay\ntasks:\n  stay:\n    about: book a stay\n    slots:\n"
        "      arrival: {type: date, after: today}\n      departure: {type: date, after: arrival}\n"
        "    call: book\n"
    )
    agent = agent_of(bot_in(tmp_path, text, "def book(arrival, departure):\n    return {}\n"))
    slots = turn(
        agent,
        Start(task="stay"),
        Set(slot="arrival", value="2025-03-07"),
        Set(slot="departure", value="2025-03-09"),
    ).slots
    assert slots == {"arrival": "2025-03-07", "departure": "2025-03-09"}


@pytest.mark.parametrize("name", ["bot.yaml"])
def test_06_a_contradiction_names_both_lines(tmp_path: Path, name: str) -> None:
    """rasa#10217, #6973: found at training time, with neither line named."""
    text = "bot: Two\ntasks:\n  one:\n    about: a\n    slots: {x: date}\n    about: b\n"
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r"bot\.yaml:6.*(\n.*)*4"):
        load_bot(tmp_path)
