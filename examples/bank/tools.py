"""What the bank's assistant can do: move money, block cards, arrange calls.

Accounts live in a SQLite database: the file that `BANK_LEDGER` names, else one in memory that
begins with the balances of `data/accounts.csv`.
"""

import csv
import hashlib
import os
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.base import tool
from tools.errors import ConflictError, DeniedError

_DATA = Path(__file__).parent / "data"
_DAILY_LIMIT = Decimal(5000)


def _read(name: str) -> dict[str, dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


_PAYEES = _read("payees.csv")
_CARDS = _read("cards.csv")

_ledger = sqlite3.connect(os.environ.get("BANK_LEDGER", ":memory:"), check_same_thread=False)
_ledger.executescript(
    """
    CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, pence INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS transfers (
        number TEXT PRIMARY KEY, account TEXT, payee TEXT, pence INTEGER, note TEXT);
    CREATE TABLE IF NOT EXISTS blocked (card TEXT PRIMARY KEY, why TEXT);
    CREATE TABLE IF NOT EXISTS callbacks (number TEXT PRIMARY KEY, day TEXT, at TEXT, phone TEXT);
    """
)
with _ledger:
    _ledger.executemany(
        "INSERT OR IGNORE INTO accounts VALUES (?, ?)",
        [(key, int(Decimal(row["balance"]) * 100)) for key, row in _read("accounts.csv").items()],
    )


def _pence(amount: dict[str, str]) -> int:
    return int(Decimal(amount["amount"]) * 100)


def _balance(account: str) -> int:
    return int(_ledger.execute("SELECT pence FROM accounts WHERE id = ?", (account,)).fetchone()[0])


def _number(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:8].upper()


@tool(effect="read")
def enough_funds(account: str, amount: dict[str, str]) -> bool:
    """Whether the account holds the amount."""
    return _pence(amount) <= _balance(account)


@tool(effect="read")
def within_limit(amount: dict[str, str]) -> bool:
    """Whether the assistant may send this much."""
    return Decimal(amount["amount"]) <= _DAILY_LIMIT


@tool(effect="read")
def balance_of(account: str) -> Any:
    """The balance of an account."""
    pence = _balance(account)
    return {"amount": f"{pence // 100}.{pence % 100:02}", "currency": "GBP"}


@tool(effect="write", timeout=5, idempotent_by=("account", "payee", "amount", "note"))
def send_money(account: str, payee: str, amount: dict[str, str], note: str = "") -> Any:
    """Send money to a payee."""
    pence = _pence(amount)
    if amount["currency"] != "GBP":
        raise DeniedError("only pounds can be sent here")
    number = _number(account, payee, pence, note)
    with _ledger:
        if _balance(account) < pence:
            raise ConflictError("the account does not hold that much")
        _ledger.execute("UPDATE accounts SET pence = pence - ? WHERE id = ?", (pence, account))
        _ledger.execute(
            "INSERT OR REPLACE INTO transfers VALUES (?, ?, ?, ?, ?)",
            (number, account, payee, pence, note),
        )
    return {"number": number, "payee": _PAYEES[payee]["name"]}


@tool(effect="read")
def is_usable(card: str) -> bool:
    """Whether the card is not blocked yet."""
    return not _ledger.execute("SELECT count(*) FROM blocked WHERE card = ?", (card,)).fetchone()[0]


@tool(effect="write", idempotent_by=("card",))
def block_card(card: str, reason: str) -> Any:
    """Block a card for good."""
    with _ledger:
        _ledger.execute("INSERT OR REPLACE INTO blocked VALUES (?, ?)", (card, reason))
    return {"last_four": _CARDS[card]["last_four"]}


@tool(effect="write", idempotent_by=("card",))
def send_new_card(card: str) -> Any:
    """Send a new card in place of one."""
    return {"days": 5, "fee": 0 if not is_usable(card) else 7}


@tool(effect="write", idempotent_by=("day", "at", "phone"))
def arrange_callback(day: str, at: str, phone: str, topic: str = "") -> Any:
    """Have an adviser call back."""
    number = _number(day, at, phone)
    with _ledger:
        _ledger.execute(
            "INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?, ?)", (number, day, at, phone)
        )
    return {"number": number, "topic": topic}
