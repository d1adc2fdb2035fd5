"""What the travel agency can do: rooms, seats and taxis, kept in a SQLite database.

The file that `TRAVEL_BOOKINGS` names, else a database in memory.
"""

import csv
import hashlib
import os
import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tools.base import tool
from tools.errors import ConflictError, NotFoundError

_DATA = Path(__file__).parent / "data"


def _read(name: str) -> dict[str, dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


_HOTELS = _read("hotels.csv")
_TRAINS = _read("trains.csv")
_SEATS_PER_TRAIN = 40

_database = sqlite3.connect(os.environ.get("TRAVEL_BOOKINGS", ":memory:"), check_same_thread=False)
_database.executescript(
    """
    CREATE TABLE IF NOT EXISTS nights (code TEXT, hotel TEXT, day TEXT, PRIMARY KEY (code, day));
    CREATE TABLE IF NOT EXISTS stays (code TEXT PRIMARY KEY, hotel TEXT, guest TEXT, email TEXT);
    CREATE TABLE IF NOT EXISTS seats (code TEXT PRIMARY KEY, train TEXT, day TEXT, people INTEGER);
    CREATE TABLE IF NOT EXISTS taxis (
        code TEXT PRIMARY KEY, city TEXT, pickup TEXT, day TEXT, at TEXT);
    """
)


def _code(letter: str, *parts: object) -> str:
    deed = "|".join(str(part).casefold() for part in parts)
    return letter + hashlib.sha256(deed.encode()).hexdigest()[:6].upper()


def _days(check_in: str, nights: int) -> list[str]:
    first = date.fromisoformat(check_in)
    return [(first + timedelta(days=n)).isoformat() for n in range(nights)]


@tool(effect="read")
def has_room(hotel: str, check_in: str, nights: int) -> bool:
    """Whether the hotel has a room in each of the nights."""
    rooms = int(_HOTELS[hotel]["rooms"])
    for day in _days(check_in, nights):
        taken = _database.execute(
            "SELECT count(*) FROM nights WHERE hotel = ? AND day = ?", (hotel, day)
        ).fetchone()[0]
        if taken >= rooms:
            return False
    return True


@tool(effect="write", timeout=5, idempotent_by=("hotel", "check_in", "nights", "guest"))
def reserve_room(hotel: str, check_in: str, nights: int, guest: str, email: str) -> Any:
    """Book a room for some nights."""
    if not has_room(hotel, check_in, nights):
        raise ConflictError(f"{_HOTELS[hotel]['name']} is full")
    code = _code("H", hotel, check_in, nights, guest)
    with _database:
        _database.execute(
            "INSERT OR REPLACE INTO stays VALUES (?, ?, ?, ?)", (code, hotel, guest, email)
        )
        _database.executemany(
            "INSERT OR REPLACE INTO nights VALUES (?, ?, ?)",
            [(code, hotel, day) for day in _days(check_in, nights)],
        )
    price = nights * int(_HOTELS[hotel]["price"])
    return {"code": code, "price": price, "late_arrival": nights >= 7}


@tool(effect="write", idempotent_by=("code",))
def cancel_stay(code: str) -> Any:
    """Cancel the booking of a room."""
    row = _database.execute("SELECT hotel FROM stays WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise NotFoundError(f"no stay has the code {code}")
    with _database:
        _database.execute("DELETE FROM stays WHERE code = ?", (code,))
        _database.execute("DELETE FROM nights WHERE code = ?", (code,))
    return {"code": code, "hotel": _HOTELS[row[0]]["name"]}


@tool(effect="read")
def stay_exists(code: str) -> bool:
    """Whether a stay has this code."""
    return bool(
        _database.execute("SELECT count(*) FROM stays WHERE code = ?", (code,)).fetchone()[0]
    )


@tool(effect="read")
def has_seats(train: str, day: str, people: int) -> bool:
    """Whether the train has as many seats left on that day."""
    taken = _database.execute(
        "SELECT coalesce(sum(people), 0) FROM seats WHERE train = ? AND day = ?", (train, day)
    ).fetchone()[0]
    return taken + people <= _SEATS_PER_TRAIN


@tool(effect="write", idempotent_by=("train", "day", "guest"))
def buy_tickets(train: str, day: str, people: int, guest: str, email: str) -> Any:
    """Book seats on a train."""
    code = _code("R", train, day, guest)
    with _database:
        _database.execute(
            "INSERT OR REPLACE INTO seats VALUES (?, ?, ?, ?)", (code, train, day, people)
        )
    return {"code": code, "total": people * int(_TRAINS[train]["fare"]), "email": email}


@tool(effect="write", idempotent_by=("city", "pickup", "day", "at"))
def order_taxi(city: str, pickup: str, day: str, at: str) -> Any:
    """Order a taxi."""
    code = _code("X", city, pickup, day, at)
    with _database:
        _database.execute(
            "INSERT OR REPLACE INTO taxis VALUES (?, ?, ?, ?, ?)", (code, city, pickup, day, at)
        )
    return {"code": code}


with _database:  # a stay that is always there, so that there is something to cancel
    _database.execute(
        "INSERT OR IGNORE INTO stays VALUES ('HA1B2C3', 'kapell', 'Ana Lind', 'ana@example.org')"
    )
