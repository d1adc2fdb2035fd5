"""The expressions of a bot file: typed, three-valued, without `eval` and in linear time.

`when`, `if`, `needs`, `valid`, `check`, `handoff.when`, bounds, defaults and `{…}` in texts are
expressions. How one is read is `dialog.bot.expression_parser`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dialog.bot.source import SourceLine
from dialog.bot.value_types import UNKNOWN, Unknown, Value, ValueType, to_json
from dialog.slot_types.base import JsonValue

__all__ = ["UNKNOWN", "Expression", "Node", "Scope", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the names in an expression stand for; a name that is missing or None is unknown.

    Slots, user facts and `result` stand under their own names. `now` is aware, in the user's zone.
    """

    values: Mapping[str, JsonValue] = field(default_factory=dict)
    now: datetime
    locale: str = "en"


class Node(Protocol):
    """A part of an expression."""

    @property
    def type(self) -> ValueType:
        """The static type."""

    def value(self, scope: Scope) -> Value:
        """Return the value, UNKNOWN if a part of it that matters is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A parsed expression with its source.

    `names` are the names it mentions, attributes not counted: `hotel` of `hotel.stars > 3`.
    """

    text: str
    source: SourceLine
    root: Node
    names: frozenset[str]

    @property
    def type(self) -> ValueType:
        """The type of the value."""
        return self.root.type

    def evaluate(self, scope: Scope) -> JsonValue | Unknown:
        """Return the canonical value, or UNKNOWN."""
        return to_json(self.root.value(scope))

    def holds(self, scope: Scope) -> bool:
        """Return whether the value is true; an unknown one is not."""
        return self.root.value(scope) is True
