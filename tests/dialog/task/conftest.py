"""Bots of a few lines, written to a folder of the test."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot

MakeBot = Callable[..., BotDefinition]

CORNER = """\
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
RESERVE = '''\
def reserve(date, time, people, name):
    """Reserve a table."""
    return {"code": "A1"}
'''


@pytest.fixture
def make_bot(tmp_path: Path) -> MakeBot:
    """Return what writes a bot's files and loads it: the YAML, the Python, further files."""

    def made(text: str, tools: str = "", **files: str) -> BotDefinition:
        (tmp_path / "bot.yaml").write_text(text, encoding="utf-8")
        if tools:
            (tmp_path / "tools.py").write_text(tools, encoding="utf-8")
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return load_bot(tmp_path)

    return made


@pytest.fixture
def corner(make_bot: MakeBot) -> BotDefinition:
    """Return the smallest bot of the documentation: 11 lines and 3 of Python."""
    return make_bot(CORNER, RESERVE)
