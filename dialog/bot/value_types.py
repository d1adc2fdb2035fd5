"""The types of expressions, and the way between canonical JSON and the values that are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TypeAlias

from dialog.bot.tables import EntityTable
from dialog.slot_types.base import JsonValue
from dialog.slot_types.moments import (
    Duration,
    Money,
    number_to_json,
    read_date,
    read_datetime,
    read_time,
    write_datetime,
    write_time,
)


class Unknown(Enum):
    """The third truth value: what cannot be said yet, because something is not known."""

    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        """An unknown is not true, so that gates stay closed."""
        return False


UNKNOWN = Unknown.UNKNOWN


class Kind(StrEnum):
    """What sort of value an expression has."""

    ANY = "any"  # of a tool's result, whose type nobody declared
    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    DURATION = "duration"
    MONEY = "money"
    DATERANGE = "daterange"
    ENTITY = "entity"
    LIST = "list"
    RECORD = "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """The static type of an expression.

    `choices` are the keys of a choice: they may stand without quotes beside it. `fields` of a
    RECORD: None where any name may be asked for.
    """

    kind: Kind
    table: EntityTable | None = None
    element: "ValueType | None" = None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, "ValueType"] | None = field(default=None)
    slot_type: str = ""  # the slot type that says it

    def __str__(self) -> str:
        if self.kind is Kind.ENTITY and self.table is not None:
            return f"entity:{self.table.name}"
        if self.kind is Kind.LIST and self.element is not None:
            return f"list of {self.element}"
        return str(self.kind)


@dataclass(frozen=True, slots=True)
class Row:
    """An entity: the row of a table by its key."""

    table: EntityTable
    key: str


Value: TypeAlias = (
    str
    | bool
    | Decimal
    | date
    | time
    | Duration
    | Money
    | Row
    | tuple["Value", ...]
    | Mapping[str, JsonValue]
    | Unknown
)


def from_json(value: JsonValue, kind: ValueType) -> Value:  # noqa: PLR0911 - one return per kind
    """Return the value behind a canonical form; UNKNOWN where it does not fit its type."""
    if value is None:
        return UNKNOWN
    if isinstance(value, Sequence) and not isinstance(value, str):
        element = kind.element or ValueType(kind=Kind.ANY)
        return tuple(from_json(one, element) for one in value)
    try:
        match kind.kind:
            case Kind.DATE:
                return read_date(value)
            case Kind.TIME:
                return read_time(value)
            case Kind.DATETIME:
                return read_datetime(value)
            case Kind.DURATION:
                return Duration.read(str(value))
            case Kind.MONEY:
                return Money.read(value)
            case Kind.ENTITY if kind.table is not None:
                return Row(kind.table, str(value))
            case _:
                return _plain(value)
    except ValueError:
        return UNKNOWN


def _plain(value: JsonValue) -> Value:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if isinstance(value, Mapping) else UNKNOWN


def to_json(value: Value) -> JsonValue | Unknown:  # noqa: PLR0911 - one return per kind
    """Return the canonical form of a value."""
    match value:
        case bool() | str() | Unknown():
            return value
        case Decimal():
            return number_to_json(value)
        case datetime():
            return write_datetime(value)
        case date():
            return value.isoformat()
        case time():
            return write_time(value)
        case Duration():
            return str(value)
        case Money():
            return value.to_json()
        case Row():
            return value.key
        case tuple():
            parts = [to_json(part) for part in value]
            return UNKNOWN if UNKNOWN in parts else [p for p in parts if p is not UNKNOWN]
        case _:
            return value
