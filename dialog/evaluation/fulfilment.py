"""What came of a dialogue of MultiWOZ: which entity was offered, what was told, what was booked.

The replies are the corpus's own, as their acts say; what the system knows of the user is a state,
the tracker's or the corpus's. Where a reply names an entity, books one, or tells something of the
one that the user named, the table is searched with the state: the row that is named is offered if
the search finds it, else the first row found, else nothing. So a wrong state offers the wrong
entity and books the wrong day, whatever the annotated words are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dialog.evaluation.corpus import Corpus, CorpusAct, CorpusDialogue, DomainGoal, Row
from dialog.evaluation.task_metrics import (
    DialogueOutcome,
    book_rate,
    inform,
    meets,
    success,
)
from dialog.evaluation.tracking_metrics import State

_TELLING = frozenset({"INFORM", "RECOMMEND", "SELECT", "OFFERBOOK", "OFFERBOOKED", "BOOK"})
_BOOKED = frozenset({"BOOK", "OFFERBOOKED"})
_NAMING = {"name": "name", "id": "trainID", "leave": "leaveAt", "arrive": "arriveBy"}
"""Slots of acts that say which row is meant, and the columns that they stand in."""
_ATTRIBUTES = {
    "addr": "address", "post": "postcode", "fee": "entrance fee", "price": "pricerange",
    "ticket": "price", "time": "duration", "leave": "leaveAt", "arrive": "arriveBy",
    "id": "trainID", "car": "car type", "ref": "reference", "open": "openhours",
}  # fmt: skip
_BOOKING = "book "

States = Sequence[Mapping[str, State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfilled:
    """Whether a dialogue informed and succeeded, and the share of its bookings that were right."""

    informs: bool
    succeeds: bool
    book: float | None


@dataclass(slots=True)
class _Course:
    """What was offered, told and booked so far."""

    offered: dict[str, Row] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    booked: dict[str, Mapping[str, str]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)  # domains, the one whose state changed last


class Fulfilment:
    """Judges dialogues of one corpus by its tables."""

    def __init__(self, corpus: Corpus) -> None:
        self._tables = corpus.tables
        self._bookable = [
            name
            for name, service in corpus.services.items()
            if any(slot.name.startswith(_BOOKING) for slot in service.slots)
        ]

    def judge(self, dialogue: CorpusDialogue, states: States) -> Fulfilled | None:
        """Judge a dialogue by the states after its user turns; None if it has no goal.

        Only domains with a table have venues; the others' constraints bind nothing.
        """
        goal = {
            domain: wanted if domain in self._tables else replace(wanted, constraints={})
            for domain, wanted in dialogue.goal.items()
        }
        if not goal:
            return None
        course = self._course(dialogue, states)
        outcome = DialogueOutcome(
            offered=course.offered, told={d: frozenset(a) for d, a in course.told.items()}
        )
        return Fulfilled(
            informs=inform(goal, outcome),
            succeeds=success(goal, outcome),
            book=book_rate(_bookings(goal), course.booked),
        )

    def _course(self, dialogue: CorpusDialogue, states: States) -> _Course:
        course = _Course()
        before: Mapping[str, State] = {}
        for state, acts in zip(states, _replies(dialogue), strict=True):
            for domain in self._bookable:
                if state.get(domain, {}) != before.get(domain, {}):
                    course.changed.append(domain)
            before = state
            self._offer(course, state, acts)
            for act in acts:
                if act.act in _TELLING and act.slot:
                    attribute = _ATTRIBUTES.get(act.slot.lower(), act.slot.lower())
                    course.told.setdefault(act.service, set()).add(attribute)
                if act.act in _BOOKED:
                    self._book(course, state, act)
        return course

    def _offer(
        self, course: _Course, state: Mapping[str, State], acts: Sequence[CorpusAct]
    ) -> None:
        named: dict[str, list[tuple[str, str]]] = {}
        for act in acts:
            if act.act not in _TELLING:
                continue
            domain, column = self._domain(course, act), _NAMING.get(act.slot.lower())
            if column is not None:
                named.setdefault(domain, []).extend((column, value) for value in act.values)
            elif act.act in _BOOKED or "name" in state.get(domain, {}):
                named.setdefault(domain, [])  # it is clear which one is spoken of
        for domain, wanted in named.items():
            rows = self._found(domain, state.get(domain, {}))
            meant = (r for r in rows if any(meets(r, {c: v}, is_exact=True) for c, v in wanted))
            row = next(meant, rows[0] if rows else None)
            if row is not None:
                course.offered[domain] = row

    def _found(self, domain: str, state: State) -> list[Row]:
        return [
            row
            for row in self._tables.get(domain, ())
            if all(
                any(meets(row, {column: value}) for value in values)
                for column, values in state.items()
                if not column.startswith(_BOOKING)
            )
        ]

    def _book(self, course: _Course, state: Mapping[str, State], act: CorpusAct) -> None:
        domain = self._domain(course, act)
        slots = state.get(domain, {})
        course.booked[domain] = {
            slot.removeprefix(_BOOKING): values[0]
            for slot, values in slots.items()
            if slot.startswith(_BOOKING)
        }

    def _domain(self, course: _Course, act: CorpusAct) -> str:
        """Return whose act it is; one of "booking" belongs to what was last spoken of."""
        if act.service != "booking":
            return act.service
        others = [domain for domain in course.changed if domain != "train"]
        return others[-1] if others else ""


def reference_states(dialogue: CorpusDialogue) -> list[Mapping[str, State]]:
    """Return the states that the corpus gives."""
    return [{frame.service: frame.state for frame in turn.frames} for turn in dialogue.turns]


def _replies(dialogue: CorpusDialogue) -> Iterator[Sequence[CorpusAct]]:
    """Yield the acts that answer each user turn."""
    for turn in dialogue.turns[1:]:
        yield turn.system_acts
    yield dialogue.closing_acts


def _bookings(goal: Mapping[str, DomainGoal]) -> dict[str, Mapping[str, str]]:
    return {domain: wanted.booking for domain, wanted in goal.items()}
