"""A corpus of annotated dialogues, whatever format it came in.

A turn is what the system said before, what the user answered, and the state after that. Knows no
file format and no tracker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DONTCARE = "dontcare"

CorpusFormat = Literal["sgd", "multiwoz", "woz", "camrest"]
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSchema:
    """A slot of a service; `values` are all it can have if `is_categorical`, else examples."""

    name: str
    description: str = ""
    is_categorical: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSchema:
    """Something a service can do, with the slots it needs and those it can do without."""

    name: str
    description: str = ""
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    is_transactional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSchema:
    """A service (MultiWOZ calls it a domain): its slots and intents."""

    name: str
    description: str = ""
    slots: tuple[SlotSchema, ...] = ()
    intents: tuple[IntentSchema, ...] = ()

    def slot(self, name: str) -> SlotSchema | None:
        """Return the slot of this name, None if there is none."""
        return next((slot for slot in self.slots if slot.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusAct:
    """One act of a system turn as annotated; values as they were said."""

    service: str
    act: str
    slot: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFrame:
    """The reference for one service after a user turn.

    `state` gives for each filled slot the spellings that count as right, the annotated one first.
    `active_intent` is None where the corpus does not say.
    """

    service: str
    state: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    active_intent: str | None = None
    requested_slots: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusTurn:
    """A user's turn and the system's before it; `results` are rows that came with that one."""

    user: str
    system: str = ""
    system_acts: tuple[CorpusAct, ...] = ()
    frames: tuple[CorpusFrame, ...] = ()
    results: tuple[tuple[str, Row], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainGoal:
    """What a user wants of one domain: constraints, attributes to be told, a booking."""

    constraints: Mapping[str, str] = field(default_factory=dict)
    requests: tuple[str, ...] = ()
    booking: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusDialogue:
    """One dialogue, its last system turn too, where that ends it."""

    id: str
    services: tuple[str, ...]
    turns: tuple[CorpusTurn, ...]
    goal: Mapping[str, DomainGoal] = field(default_factory=dict)
    closing: str = ""
    closing_acts: tuple[CorpusAct, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Dialogues with the schema and the tables that they are about.

    `tables` are the rows of a service's database, where one comes with the corpus.
    """

    format: CorpusFormat
    services: Mapping[str, ServiceSchema]
    dialogues: tuple[CorpusDialogue, ...]
    tables: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    def only(self, ids: frozenset[str]) -> "Corpus":
        """Return the corpus cut to the dialogues of these ids, in its own order.

        Raises:
            ValueError: an id is not there.
        """
        kept = tuple(d for d in self.dialogues if d.id in ids)
        if missing := sorted(ids - {d.id for d in kept}):
            raise ValueError(
                f"the corpus has no dialogue {missing[0]!r}, nor {len(missing) - 1} others of the"
                " ids; give ids of this corpus"
            )
        return Corpus(
            format=self.format, services=self.services, dialogues=kept, tables=self.tables
        )
