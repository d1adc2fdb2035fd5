"""Tables to look things up in, CSV files and SQLite databases; nothing is ever written.

A look-up is a structure and not SQL: names are compared with those that exist, values are bound.
The file of a database is opened read-only, and what SQLite does there is limited in time.
"""

import csv
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from tools.argument_types import Range, Size
from tools.base import Effect, Tool
from tools.errors import FatalError, InvalidArgumentError, RetryableError, ToolDeclarationError

MAX_ROWS = 100
MAX_CSV_BYTES = 64 * 1024 * 1024
MAX_TIME_S = 3.0

_CHECK_EVERY = 10_000  # of SQLite's steps
_READ_ONLY = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})
_OPERATORS = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "contains": "LIKE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a row must fulfil: a column, a comparison and a value; case does not count in texts."""

    column: str
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "contains"]
    value: str | float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a table is, what it is called there, and its columns."""

    path: Path
    table: str
    columns: tuple[str, ...]


def table_lookup(files: Mapping[str, Path]) -> Tool:
    """Return the tool `look_up` over CSV files and SQLite databases, by the names they shall have.

    A database's tables are called `NAME.TABLE`. CSV files need a header; they are read again at
    each call.

    Raises:
        ToolDeclarationError: a file is missing, of another kind, damaged or too large.
    """
    places: dict[str, _Place] = {}
    for name, path in files.items():
        places.update(_places(name, path))
    if not places:
        raise ToolDeclarationError("no table to look anything up in; give a CSV or SQLite file")

    def look_up(
        table: str,
        where: Annotated[list[Condition], Size(most=8)],
        columns: Annotated[list[str], Size(most=50)] | None = None,
        order_by: str | None = None,
        is_descending: bool = False,
        limit: Annotated[int, Range(least=1, most=MAX_ROWS)] = 10,
    ) -> dict[str, Any]:
        place = places[_known(table, places, "table")]
        return _look_up(
            place, where, columns or list(place.columns), order_by, is_descending, limit
        )

    told = "; ".join(f"{name}({', '.join(place.columns)})" for name, place in places.items())
    return Tool.from_function(
        look_up,
        effect=Effect.READ,
        description=f"Look up rows that fulfil all conditions. Tables and columns: {told}",
    )


def _places(name: str, path: Path) -> Iterator[tuple[str, _Place]]:
    if not path.is_file():
        raise ToolDeclarationError(f"table {name!r}: there is no file {path}")
    if path.suffix.lower() in (".csv", ".tsv"):
        with closing(_csv(path)) as database:
            yield name, _Place(path, "rows", _columns(database, "rows"))
        return
    try:
        with closing(_opened(path)) as database:
            found = database.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            ).fetchall()
            for (table,) in found:
                yield f"{name}.{table}", _Place(path, table, _columns(database, table))
    except sqlite3.DatabaseError as error:
        raise ToolDeclarationError(f"table {name!r}: {path} is no SQLite database") from error


def _columns(database: sqlite3.Connection, table: str) -> tuple[str, ...]:
    cursor = database.execute(f"SELECT * FROM {_quoted(table)} LIMIT 0")  # noqa: S608 - quoted
    return tuple(column[0] for column in cursor.description)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _csv(path: Path) -> sqlite3.Connection:
    """Return a database in memory with the table `rows`; numbers become numbers."""
    if path.stat().st_size > MAX_CSV_BYTES:
        raise ToolDeclarationError(f"{path} has more than {MAX_CSV_BYTES} bytes; use SQLite")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            header = next(rows, [])
            if not all(header) or not header or len(set(map(str.casefold, header))) < len(header):
                raise ToolDeclarationError(f"{path} needs a first line with different names")
            database = sqlite3.connect(":memory:")
            database.execute(f"CREATE TABLE rows ({', '.join(map(_quoted, header))})")
            marks = ", ".join("?" * len(header))
            database.executemany(
                f"INSERT INTO rows VALUES ({marks})",  # noqa: S608 - marks alone
                (_full(row, len(header)) for row in rows if row),
            )
    except (UnicodeDecodeError, csv.Error) as error:
        raise ToolDeclarationError(f"{path} is no CSV file in UTF-8: {error}") from error
    return database


def _full(row: list[str], width: int) -> list[str | int | float | None]:
    cells = [_cell(text) for text in row[:width]]
    return cells + [None] * (width - len(cells))


def _cell(text: str) -> str | int | float | None:
    plain = text.strip()
    if not plain:
        return None
    # "007" and "+49" are names, not numbers.
    if plain.lstrip("-")[:1].isdigit() and not (plain[0] == "0" and plain[1:2].isdigit()):
        for kind in (int, float):
            try:
                number = kind(plain)
            except ValueError:
                continue
            return number if "_" not in plain and abs(number) < 2**63 else plain
    return plain


def _look_up(
    place: _Place,
    where: list[Condition],
    columns: list[str],
    order_by: str | None,
    is_descending: bool,
    limit: int,
) -> dict[str, Any]:
    shown = [_known(column, place.columns, "columns") for column in columns]
    query = f"SELECT {', '.join(map(_quoted, shown))} FROM {_quoted(place.table)}"  # noqa: S608
    values: list[Any] = []
    tests = []
    for condition in where:
        column = _quoted(_known(condition.column, place.columns, "where"))
        operator = _OPERATORS[condition.operator]
        tests.append(f"{column} {operator} ? " + _collation(condition))
        values.append(_bound(condition))
    if tests:
        query += f" WHERE {' AND '.join(tests)}"
    if order_by is not None:
        column = _quoted(_known(order_by, place.columns, "order_by"))
        query += f" ORDER BY {column}{' DESC' if is_descending else ''}"
    rows = _rows(place, f"{query} LIMIT {limit + 1}", values)
    return {
        "columns": shown,
        "rows": [[_plain(cell) for cell in row] for row in rows[:limit]],
        "has_more": len(rows) > limit,
    }


def _collation(condition: Condition) -> str:
    if condition.operator == "contains":
        return "ESCAPE '\\'"
    return "COLLATE NOCASE" if isinstance(condition.value, str) else ""


def _bound(condition: Condition) -> str | float:
    if condition.operator != "contains":
        return condition.value
    text = str(condition.value)
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def _rows(place: _Place, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
    is_csv = place.path.suffix.lower() in (".csv", ".tsv")
    until = time.monotonic() + MAX_TIME_S
    try:
        with closing(_csv(place.path) if is_csv else _opened(place.path)) as database:
            database.set_authorizer(_authorised)
            database.set_progress_handler(lambda: int(time.monotonic() > until), _CHECK_EVERY)
            return database.execute(query, values).fetchall()
    except (sqlite3.Error, OSError, ToolDeclarationError) as error:
        if "interrupted" in str(error):
            raise FatalError(f"the look-up took more than {MAX_TIME_S:g} s") from error
        if "locked" in str(error):
            raise RetryableError("the table is being written at the moment") from error
        raise FatalError("the table cannot be read any more") from error


def _authorised(action: int, first: str | None, second: str | None, *_: object) -> int:
    is_file = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension"
    del first
    return sqlite3.SQLITE_OK if action in _READ_ONLY and not is_file else sqlite3.SQLITE_DENY


def _known(name: str, names: Any, argument: str) -> str:
    found = {known.casefold(): known for known in names}
    if (same := found.get(name.casefold())) is not None:
        return str(same)
    near = get_close_matches(name.casefold()[:80], found, n=1)
    hint = f"did you mean {found[near[0]]!r}?" if near else f"there are {', '.join(names)}"
    raise InvalidArgumentError(argument, f"nothing is called {name[:80]!r}; {hint}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(cell: Any) -> Any:
    return f"[{len(cell)} bytes]" if isinstance(cell, bytes) else cell
