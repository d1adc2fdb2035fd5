"""Whole bot files: what they become, and all that can be wrong with them."""

import sys
from pathlib import Path

import pytest

from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from tests.dialog.bot.conftest import MakeBot, MakeErrors
from tools.base import Effect

CORNER_TABLE = """
bot: Corner Table
tasks:
  book_table:
    about: book a table at the restaurant
    slots:
      date: date
      time: time
      people: {type: integer, min: 1, max: 12}
      name: person
    call: reserve                 # a function in tools.py, arguments matched by name
    done: "Booked for {people} on {date} at {time}. Your code is {result.code}."
"""
RESERVE = """
def reserve(date, time, people, name):
    '''Book a table.'''
    return {"code": f"A{people}"}
"""


def test_the_smallest_bot_of_eleven_lines_loads_with_three_lines_of_python(
    make_bot: MakeBot,
) -> None:
    bot = make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    assert len(CORNER_TABLE.strip().splitlines()) == 11
    task = bot.task("book_table")
    assert [slot.type.name for slot in task.slots.values()] == ["date", "time", "integer", "person"]
    assert str(task.slots["people"].source) == "bot.yaml:8:7"
    assert bot.tools["reserve"].effect is Effect.WRITE
    assert bot.tools["reserve"]("d", "t", 4, "n") == {"code": "A4"}


def test_the_folder_of_a_bot_never_hides_the_package_tools(
    make_bot: MakeBot, tmp_path: Path
) -> None:
    make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    assert str(tmp_path) not in sys.path
    assert not (tmp_path / "__pycache__").exists()


def test_equal_files_have_equal_hashes_and_tests_do_not_count(
    make_bot: MakeBot, tmp_path: Path
) -> None:
    first = make_bot(CORNER_TABLE, tools_dot_py=RESERVE)
    (tmp_path / "tests.yaml").write_text("tests:\n  - {test: greets}\n", encoding="utf-8")
    second = load_bot(tmp_path)
    assert first.hash == second.hash
    assert second.tests == ({"test": "greets", "source": "tests.yaml:2:5"},)
    changed = make_bot(CORNER_TABLE.replace("12", "13"), tools_dot_py=RESERVE)
    assert changed.hash != first.hash


def test_a_missing_file_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BotFileErrors, match=r"bot.yaml:1:1: there is no file"):
        load_bot(tmp_path / "bot.yaml")


def test_an_unknown_key_names_the_nearest_of_its_level(errors_of: MakeErrors) -> None:
    text = errors_of(CORNER_TABLE.replace("max: 12", "requird: true"), tools_dot_py=RESERVE)
    assert "bot.yaml:8:39: unknown key 'requird'; did you mean 'required'?" in text
    assert "example: required: false" in text
