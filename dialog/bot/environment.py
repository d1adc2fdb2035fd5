"""What the expressions of a bot file may mention, and of which types."""

from collections.abc import Mapping

from dialog.bot.expression_operations import (
    ANY,
    BOOL,
    DATE,
    DATETIME,
    DURATION,
    MONEY,
    NUMBER,
    TEXT,
    TIME,
    column_type,
)
from dialog.bot.tables import EntityTable
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.base import SlotType
from dialog.slot_types.choice import ChoiceType

_KINDS = {
    "integer": NUMBER, "number": NUMBER, "percent": NUMBER, "money": MONEY, "date": DATE,
    "time": TIME, "datetime": DATETIME, "duration": DURATION, "bool": BOOL,
    "daterange": ValueType(kind=Kind.DATERANGE),
}  # fmt: skip

HANDOFF_NAMES: dict[str, ValueType] = {
    "user_asks": BOOL,
    "tries": NUMBER,
    "tool_failed": NUMBER,
    "unclear": NUMBER,
    "out_of_scope": NUMBER,
    "abstained": NUMBER,
    "turns": NUMBER,
}
"""What `handoff.when` may count beside the user's facts."""

RESULT = ValueType(kind=Kind.RECORD)  # of the last call; its fields are not declared


def value_type(
    slot_type: SlotType, tables: Mapping[str, EntityTable], *, many: bool = False
) -> ValueType:
    """Return the type of a slot's value in expressions."""
    name, _, table = slot_type.name.partition(":")
    if name == "entity" and table in tables:
        one = ValueType(kind=Kind.ENTITY, table=tables[table], slot_type=slot_type.name)
    elif isinstance(slot_type, ChoiceType):
        one = ValueType(kind=Kind.TEXT, choices=tuple(slot_type.values), slot_type="choice")
    else:
        kind = _KINDS.get(name, TEXT)
        one = ValueType(kind=kind.kind, slot_type=name)
    return ValueType(kind=Kind.LIST, element=one) if many else one


def task_names(
    slots: Mapping[str, ValueType], facts: Mapping[str, ValueType]
) -> dict[str, ValueType]:
    """Return what the expressions of a task may mention: facts, slots and the last result."""
    user = ValueType(kind=Kind.RECORD, fields={**facts, "id": TEXT})
    return {"user": user, "result": RESULT, "num_found": NUMBER, **facts, **slots}


def columns_as_names(table: EntityTable) -> dict[str, ValueType]:
    """Return the columns of a table as names, for the text of an offer."""
    return {column: column_type(held) for column, held in table.columns.items()}


def merged(environments: list[Mapping[str, ValueType]]) -> dict[str, ValueType]:
    """Return all names of several environments; one that differs between them is of any type."""
    names: dict[str, ValueType] = {}
    for environment in environments:
        for name, kind in environment.items():
            names[name] = kind if names.get(name, kind) == kind else ANY
    return names
