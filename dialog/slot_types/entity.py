"""The row of a table, by its key."""

from dataclasses import dataclass
from typing import Protocol

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.choice import candidates_of
from dialog.slot_types.linking import Link


class Rows(Protocol):
    """What the type must know of a table."""

    @property
    def name(self) -> str:
        """The table's name."""

    def __contains__(self, key: object) -> bool:
        """Return whether there is a row of this key."""

    def link(self, text: str) -> list[Link]:
        """Return the rows that the text may name."""

    def nearest(self, text: str, k: int) -> list[str]:
        """Return the keys of the rows most like a text."""

    def show_name(self, key: str) -> str:
        """Return what people call a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """A row; what no row is called has no key, however near it is."""

    table: Rows

    @property
    def name(self) -> str:
        """Return "entity:TABLE"."""
        return f"entity:{self.table.name}"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:  # noqa: ARG002 - of the port
        """Return the rows named; several rows of one name are further readings of one span."""
        return candidates_of(text, self.table.link(text))

    def say(self, value: JsonValue, locale: str) -> str:  # noqa: ARG002 - names are not translated
        """Return the row's name."""
        return self.table.show_name(str(value))

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the key; a text that names no row is a violation with the nearest keys.

        Raises:
            ValueError: it is no text and no number.
        """
        del context
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is no key of {self.table.name!r}")  # noqa: TRY004
        key = str(value)
        if key in self.table:
            return key, None
        links = [link for link in self.table.link(key) if link.p > 0.9]
        if len({link.key for link in links}) == 1:
            return links[0].key, None
        nearest = tuple(self.table.nearest(key, 3))
        return key, Violation(kind=ViolationKind.NO_SUCH_ROW, nearest=nearest)
