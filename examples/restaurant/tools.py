"""What the restaurant guide can do: look for a free table, book one, move it, give it back.

Bookings are rows of a SQLite database: the file that `CORNER_BOOKINGS` names, else one in memory.
"""

import csv
import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from tools.base import tool
from tools.errors import ConflictError, NotFoundError

_HERE = Path(__file__).parent
with (_HERE / "data/restaurants.csv").open(encoding="utf-8") as _file:
    _RESTAURANTS = {row["id"]: row for row in csv.DictReader(_file)}
_LAST_ORDERS_MIN = 60  # the last table is given an hour before a restaurant closes

_database = sqlite3.connect(os.environ.get("CORNER_BOOKINGS", ":memory:"), check_same_thread=False)
_database.execute(
    "CREATE TABLE IF NOT EXISTS bookings (code TEXT PRIMARY KEY, restaurant TEXT, day TEXT,"
    " at TEXT, people INTEGER, guest TEXT, phone TEXT)"
)


def _minutes(clock: str) -> int:
    hours, minutes = clock[:5].split(":")
    return 60 * int(hours) + int(minutes)


@tool(effect="read")
def is_open(restaurant: str, time: str) -> bool:
    """Whether the restaurant seats guests at this time of the day."""
    row = _RESTAURANTS[restaurant]
    return _minutes(row["opens"]) <= _minutes(time) <= _minutes(row["closes"]) - _LAST_ORDERS_MIN


@tool(effect="read")
def seats_enough(restaurant: str, people: int) -> bool:
    """Whether a table of the restaurant is large enough."""
    return people <= int(_RESTAURANTS[restaurant]["seats"])


@tool(effect="read")
def is_free(restaurant: str, date: str, time: str) -> bool:
    """Whether fewer than four tables are taken within the two hours around this time."""
    taken = _database.execute(
        "SELECT at FROM bookings WHERE restaurant = ? AND day = ?", (restaurant, date)
    ).fetchall()
    return sum(abs(_minutes(at) - _minutes(time)) < 120 for (at,) in taken) < 4


@tool(effect="write", idempotent_by=("restaurant", "date", "time", "name"))
def reserve(restaurant: str, date: str, time: str, people: int, name: str, phone: str) -> Any:
    """Book a table; the code is the same for the same guest, place and time."""
    deed = "|".join((restaurant, date, time, name.casefold()))
    code = "T" + hashlib.sha256(deed.encode()).hexdigest()[:5].upper()
    with _database:
        _database.execute(
            "INSERT OR REPLACE INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?)",
            (code, restaurant, date, time, people, name, phone),
        )
    deposit = 5 * people if people >= 9 else 0
    return {"code": code, "deposit": deposit}


@tool(effect="read")
def booking_exists(code: str) -> bool:
    """Whether a booking has this code."""
    return _booking(code) is not None


@tool(effect="read")
def is_open_for(code: str, new_time: str) -> bool:
    """Whether the restaurant of a booking seats guests at this time of the day."""
    row = _booking(code)
    return row is not None and bool(is_open(row[1], new_time))


@tool(effect="write", idempotent_by=("code",))
def give_back(code: str) -> Any:
    """Cancel a booking."""
    row = _booking(code)
    if row is None:
        raise NotFoundError(f"no booking has the code {code}")
    with _database:
        _database.execute("DELETE FROM bookings WHERE code = ?", (code,))
    return {"code": code, "restaurant": _RESTAURANTS[row[1]]["name"]}


@tool(effect="write", idempotent_by=("code", "new_date", "new_time"))
def move_booking(code: str, new_date: str, new_time: str) -> Any:
    """Move a booking to another day or time at the same restaurant."""
    row = _booking(code)
    if row is None:
        raise NotFoundError(f"no booking has the code {code}")
    if not is_open(row[1], new_time):
        raise ConflictError(f"{_RESTAURANTS[row[1]]['name']} is closed at {new_time}")
    with _database:
        _database.execute(
            "UPDATE bookings SET day = ?, at = ? WHERE code = ?", (new_date, new_time, code)
        )
    return {"code": code, "restaurant": _RESTAURANTS[row[1]]["name"]}


def _booking(code: str) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = _database.execute(
        "SELECT * FROM bookings WHERE code = ?", (code.upper(),)
    ).fetchone()
    return row


def _seed() -> None:
    """One booking that is always there, so that there is something to cancel or move."""
    with _database:
        _database.execute(
            "INSERT OR IGNORE INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?)",
            ("TA1B2C", "casa_lucia", "2025-03-14", "19:30", 2, "Ines Duarte", "+441632960999"),
        )


_seed()
