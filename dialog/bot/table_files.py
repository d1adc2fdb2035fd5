"""From csv, json lines, JSON and SQLite files to the rows of a table."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, time
from pathlib import Path

from dialog.slot_types.base import JsonValue

MAX_ROWS = 100_000
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,10})?")
_SQLITE = frozenset({".sqlite", ".sqlite3", ".db"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d(?::\d\d)?")
_LIST = "|"  # between the values of a list in one cell of a csv file

Row = Mapping[str, JsonValue]


class TableFileError(ValueError):
    """A file that holds no table; the message names file, row and remedy."""


def read_rows(path: Path, *, table: str = "") -> list[dict[str, JsonValue]]:
    """Return the rows of a file as JSON values; `table` names the one of a SQLite file.

    Raises:
        TableFileError: the file is missing, of another kind, or not what its ending says.
    """
    if not path.is_file():
        raise TableFileError(f"there is no file {path.name!r} in {path.parent.name!r}")
    suffix = path.suffix.lower()
    try:
        rows = _read(path, suffix, table)
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, sqlite3.Error) as error:
        raise TableFileError(f"{path.name}: {error}") from error
    if len(rows) > MAX_ROWS:
        raise TableFileError(f"{path.name} has {len(rows)} rows; a table has at most {MAX_ROWS}")
    return rows


def _read(path: Path, suffix: str, table: str) -> list[dict[str, JsonValue]]:
    if suffix == ".csv":
        return _csv(path, ",")
    if suffix == ".tsv":
        return _csv(path, "\t")
    if suffix in {".jsonl", ".json"}:
        text = path.read_text(encoding="utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip()]
        raw = json.loads(text) if suffix == ".json" else [json.loads(line) for line in lines]
        return checked_rows(raw, path.name)
    if suffix in _SQLITE:
        return _sqlite(path, table)
    raise TableFileError(
        f"{path.name}: a table comes from .csv, .tsv, .jsonl, .json or .sqlite, got {suffix!r}"
    )


def checked_rows(raw: object, name: str) -> list[dict[str, JsonValue]]:
    """Return a list of objects as rows.

    Raises:
        TableFileError: it is something else.
    """
    if not isinstance(raw, list):
        raise TableFileError(f"{name}: expected a list of objects")
    rows: list[dict[str, JsonValue]] = []
    for i, row in enumerate(raw, 1):
        if not isinstance(row, dict):
            raise TableFileError(f"{name}: row {i} is no object, got {row!r}")
        rows.append({str(key): value for key, value in row.items()})
    return rows


def _csv(path: Path, delimiter: str) -> list[dict[str, JsonValue]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        raw: list[dict[str, str]] = []
        for row in reader:
            if None in row or None in row.values():
                raise TableFileError(
                    f"{path.name}:{reader.line_num}: {len(reader.fieldnames or ())} columns are"
                    " named, this row has another number; quote cells that hold a comma"
                )
            raw.append({name.strip(): cell.strip() for name, cell in row.items()})
    columns = list(raw[0]) if raw else []
    readers = {column: _cell_reader([row[column] for row in raw]) for column in columns}
    return [{column: _cell(row[column], readers[column]) for column in columns} for row in raw]


def _cell_reader(cells: Sequence[str]) -> str:
    """Return what all cells of a column are; empty ones do not count."""
    full = [cell for cell in cells if cell]
    if full and all(_NUMBER.fullmatch(cell) for cell in full):
        return "number"
    if full and all(cell.lower() in {"true", "false"} for cell in full):
        return "bool"
    return "list" if any(_LIST in cell for cell in full) else "text"


def _cell(cell: str, held: str) -> JsonValue:
    if not cell:
        return [] if held == "list" else None
    match held:
        case "number":
            return float(cell) if "." in cell else int(cell)
        case "bool":
            return cell.lower() == "true"
        case "list":
            return [part.strip() for part in cell.split(_LIST) if part.strip()]
        case _:
            return cell


def _sqlite(path: Path, table: str) -> list[dict[str, JsonValue]]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        names = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            )
        ]
        wanted = table or (names[0] if len(names) == 1 else "")
        if wanted not in names:
            raise TableFileError(f"{path.name}: name one of its tables, as in table: {names}")
        quoted = wanted.replace('"', '""')
        found = database.execute(f'SELECT * FROM "{quoted}" LIMIT {MAX_ROWS + 1}')  # noqa: S608 - a known, quoted name
        columns = [column[0] for column in found.description]
        return [
            {c: v for c, v in zip(columns, row, strict=True) if not isinstance(v, bytes)}
            for row in found
        ]


def columns_of(rows: Iterable[Row]) -> dict[str, str]:
    """Return what each column holds: text, number, bool, date, time or list."""
    held: dict[str, set[str]] = {}
    for row in rows:
        for column, value in row.items():
            kinds = held.setdefault(column, set())
            if value is not None:
                kinds.add(_held(value))
    return {column: _one(kinds) for column, kinds in held.items()}


def _one(kinds: set[str]) -> str:
    if "list" in kinds:
        return "list"
    return kinds.pop() if len(kinds) == 1 else "text"


def _held(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return _moment(value)
    return "list" if isinstance(value, Sequence) else "text"


def _moment(text: str) -> str:
    for pattern, read, name in (
        (_DATE, date.fromisoformat, "date"),
        (_TIME, time.fromisoformat, "time"),
    ):
        if pattern.fullmatch(text):
            try:
                read(text)
            except ValueError:
                return "text"
            return name
    return "text"
