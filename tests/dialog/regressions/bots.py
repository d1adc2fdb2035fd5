"""The bots that the regressions talk to, and how they are loaded."""

from collections.abc import Mapping
from pathlib import Path

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot

TABLE = """\
bot: Corner Table
locales: {default: en, also: [de], timezone: UTC}
tasks:
  book_table:
    about: book a table
    slots:
      date: {type: date, after: today}
      time: time
      people: {type: integer, min: 1, max: 12}
      name: person
    call: reserve
    done: "Booked for {people}. Code {result.code}."
    resume: auto
  opening_hours:
    about: tell when we are open
    slots:
      weekday: {type: choice, values: [weekday, weekend]}
    do:
      - say: "We are open from 11 to 23."
"""
TABLE_TOOLS = """\
def reserve(date, time, people, name):
    return {"code": "A1"}
"""
TRIP = """\
bot: Trips
locales: {default: en, timezone: Europe/Zurich}
tables:
  hotels: {from: hotels.csv, key: id, show: name}
tasks:
  find_hotel:
    about: find a hotel
    slots:
      area: {type: choice, values: [north, south]}
      check_in: {type: date, after: today}
    find: hotels(area)
    into: hotel
    next: book_hotel
  book_hotel:
    about: book a hotel
    slots:
      hotel: {type: entity:hotels, from: find_hotel}
      check_in: {type: date, after: tomorrow_, from: find_hotel}
      nights: {type: integer, min: 1, max: 30}
      guests: {type: integer, min: 1, max: 6}
    call: reserve
    done: "Code {result.code}."
""".replace("after: tomorrow_, ", "")
TRIP_TOOLS = """\
def reserve(hotel, check_in, nights, guests):
    return {"code": "H1"}
"""
HOTELS = "id,name,area\na,Adler,north\nb,Baer,north\n"


def bot_in(
    folder: Path, text: str, tools: str = "", files: Mapping[str, str] | None = None
) -> BotDefinition:
    """Write a bot's files and load it."""
    (folder / "bot.yaml").write_text(text, encoding="utf-8")
    if tools:
        (folder / "tools.py").write_text(tools, encoding="utf-8")
    for name, content in (files or {}).items():
        (folder / name).write_text(content, encoding="utf-8")
    return load_bot(folder)


def table_bot(folder: Path) -> BotDefinition:
    """Return a bot that books tables and tells when it is open."""
    return bot_in(folder, TABLE, TABLE_TOOLS)


def trip_bot(folder: Path) -> BotDefinition:
    """Return a bot that finds and books hotels."""
    return bot_in(folder, TRIP, TRIP_TOOLS, {"hotels.csv": HOTELS})
