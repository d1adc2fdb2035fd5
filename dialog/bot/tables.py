"""Tables of entities: rows by key, what their columns hold, search by column.

How a row is found by what a user calls it is `dialog.bot.linking`; how files become rows is
`dialog.bot.table_files`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from dialog.bot.source import SourceLine
from dialog.slot_types.base import JsonValue
from dialog.slot_types.linking import Link, Linker, normalised

Row = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityTable:
    """Rows with a unique key; `show` is the column with the name that people use.

    `columns` maps a column to what it holds: text, number, bool, date, time or list.
    """

    name: str
    key: str
    show: str
    search: tuple[str, ...]
    columns: Mapping[str, str]
    rows: Mapping[str, Row]
    source: SourceLine
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    linker: Linker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shown = {key: normalised(self.show_name(key)) for key in self.rows}
        holders: dict[str, set[str]] = defaultdict(set)
        for key, name in shown.items():
            for word in name.split():
                holders[word].add(key)
        names = {key: self._names(key, row, holders) for key, row in self.rows.items()}
        object.__setattr__(self, "linker", Linker(names))

    def _names(self, key: str, row: Row, holders: Mapping[str, set[str]]) -> tuple[str, ...]:
        """Return what a row may be called: its name, its synonyms, and its key.

        A key such as "adler" is no name where other rows have the word in theirs: "the Adler" would
        otherwise be this one, and nobody would be asked which.
        """
        is_shared = bool(holders.get(normalised(key), set()) - {key})
        own = () if is_shared else (key,)
        return (str(row.get(self.show) or key), *own, *self.synonyms.get(key, ()))

    def __contains__(self, key: object) -> bool:
        return key in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, key: str) -> Row | None:
        """Return the row of a key."""
        return self.rows.get(key)

    def show_name(self, key: str) -> str:
        """Return what people call the row; the key itself if there is none."""
        row = self.rows.get(key)
        return key if row is None else str(row.get(self.show) or key)

    def link(self, text: str) -> list[Link]:
        """Return the rows that spans of the text may name, the best first."""
        return self.linker.link(text)

    def nearest(self, text: str, k: int = 3) -> list[str]:
        """Return the keys of the rows whose names are most like the text."""
        return self.linker.nearest(text, k)

    def select(
        self,
        allowed: Mapping[str, Sequence[JsonValue]],
        *,
        refused: Mapping[str, Sequence[JsonValue]] | None = None,
    ) -> list[str]:
        """Return the keys of the rows that have one of the allowed values in each column named.

        A list column must hold *each* of the values. `refused` values exclude a row.

        Raises:
            ValueError: the table has no such column.
        """
        for column in (*allowed, *(refused or {})):
            if column not in self.columns:
                raise ValueError(
                    f"table {self.name!r} has no column {column!r}; it has {sorted(self.columns)}"
                )
        return [
            key
            for key, row in self.rows.items()
            if all(_fits(row.get(column), values) for column, values in allowed.items())
            and not any(_touches(row.get(c), values) for c, values in (refused or {}).items())
        ]

    def column_of_value(self, text: str) -> list[tuple[str, JsonValue]]:
        """Return the (column, value) pairs of the searched columns that the text names."""
        wanted = normalised(text)
        found = dict.fromkeys(
            (column, str(part))
            for column in self.search
            for row in self.rows.values()
            for part in _parts(row.get(column))
            if normalised(str(part)) == wanted
        )
        return [(column, value) for column, value in found]

    def groups(self, keys: Iterable[str], column: str) -> dict[str, list[str]]:
        """Return the keys by their value in a column; rows without one stand under ""."""
        grouped: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            value = self.rows[key].get(column)
            grouped["" if value is None else _shown(value)].append(key)
        return dict(grouped)

    def splitting_column(self, keys: Sequence[str], *, among: Sequence[str] = ()) -> str | None:
        """Return the column whose answer tells the most of which row is meant, if any tells at all.

        Information gain of a uniform choice of row: the entropy of the column's values among the
        rows. Columns with a value missing are passed over, ties go to the order of columns.
        """
        columns = [c for c in (among or self.columns) if c != self.key]
        best: tuple[float, str] | None = None
        for column in columns:
            groups = self.groups(keys, column)
            if "" in groups or len(groups) < 2:
                continue
            n = len(keys)
            gain = -sum(len(g) / n * log2(len(g) / n) for g in groups.values())
            if best is None or gain > best[0] + 1e-12:
                best = (gain, column)
        return None if best is None else best[1]


def _parts(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return () if value is None else (value,)


def _shown(value: JsonValue) -> str:
    return ", ".join(str(part) for part in _parts(value))


def _same(left: JsonValue, right: JsonValue) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return normalised(str(left)) == normalised(str(right))


def _fits(cell: JsonValue, values: Sequence[JsonValue]) -> bool:
    if isinstance(cell, Sequence) and not isinstance(cell, str):
        return all(any(_same(part, value) for part in cell) for value in values)
    return any(_same(cell, value) for value in values)


def _touches(cell: JsonValue, values: Sequence[JsonValue]) -> bool:
    return any(_same(part, value) for part in _parts(cell) for value in values)
