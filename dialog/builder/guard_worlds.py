"""Which truths of guards can hold together: tried with all values that could matter.

Two guards over the same choice, number or row are not free of each other: `nights > 7` and
`nights < 3` are never both true. A set of truths is consistent if some values give all of them;
guards over other types (days, texts, results) are free.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product

from dialog.bot.definition import SlotDefinition
from dialog.bot.expression_nodes import Call
from dialog.bot.expressions import Expression, Scope
from dialog.bot.value_types import ValueType
from dialog.builder.guard_checks import domain_of, leaves_of, number_in
from dialog.slot_types.base import JsonValue

MAX_WORLDS = 20_000
_NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)

Truths = frozenset[tuple[str, bool]]


@dataclass(slots=True)
class GuardWorlds:
    """The guards of one task by name, and the values that its slots and facts may take."""

    guards: Mapping[str, Expression]
    types: Mapping[str, ValueType]
    slots: Mapping[str, SlotDefinition]
    _known: dict[Truths, Mapping[str, JsonValue] | None] = field(default_factory=dict)

    def world(self, truths: Truths) -> Mapping[str, JsonValue] | None:
        """Return values that give all these truths; None if there are none.

        Guards that cannot be tried are taken to be free, and name no values.
        """
        if truths not in self._known:
            self._known[truths] = self._search(truths)
        return self._known[truths]

    def _search(self, truths: Truths) -> Mapping[str, JsonValue] | None:
        tried = [(self.guards[n], truth) for n, truth in truths if n in self.guards]
        tried = [(guard, truth) for guard, truth in tried if self._is_finite(guard)]
        names = sorted(frozenset().union(*(guard.names for guard, _ in tried)))
        numbers = [
            number
            for guard, _ in tried
            for leaf in leaves_of(guard.root)
            if (number := number_in(leaf)) is not None
        ]
        domains = [domain_of(self.types.get(n), numbers, self.slots.get(n)) for n in names]
        for values in _worlds(domains):
            world = dict(zip(names, values, strict=True))
            scope = Scope(values=world, now=_NOW)
            if all((guard.root.value(scope) is True) is truth for guard, truth in tried):
                return world
        return None

    def _is_finite(self, guard: Expression) -> bool:
        is_timed = any(
            isinstance(leaf, Call) and leaf.name in {"today", "now"}
            for leaf in leaves_of(guard.root)
        )
        return not is_timed and all(
            domain_of(self.types.get(name), [], self.slots.get(name)) for name in guard.names
        )


def _worlds(domains: Sequence[Sequence[JsonValue]]) -> Iterator[tuple[JsonValue, ...]]:
    for i, values in enumerate(product(*domains)):
        if i >= MAX_WORLDS:
            return
        yield values
