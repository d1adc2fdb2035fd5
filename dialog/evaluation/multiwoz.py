"""MultiWOZ 2.1 (Eric et al., 2019): thirty slots of five domains, states in the next entry.

The state after a user turn stands in the `metadata` of the system entry that follows, under `semi`
and `book`; "" and "not mentioned" are empty, and `|` separates spellings that are all right. Slots
of `book` are named `book people`, `book day`, ... here, since a hotel has both kinds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialog.errors import CorpusError
from dialog.evaluation.corpus import (
    Corpus,
    CorpusAct,
    CorpusDialogue,
    CorpusFrame,
    CorpusTurn,
    DomainGoal,
    Row,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.json_files import json_files, json_values

_EMPTY = frozenset({"", "not mentioned"})
_DONTCARE = frozenset({"dontcare", "dont care", "don't care", "do n't care", "does not care"})

_SLOTS: Mapping[str, tuple[str, ...]] = {
    "attraction": ("area", "name", "type"),
    "hotel": (
        "area", "internet", "name", "parking", "pricerange", "stars", "type",
        "book day", "book people", "book stay",
    ),
    "restaurant": (
        "area", "food", "name", "pricerange", "book day", "book people", "book time",
    ),
    "taxi": ("arriveBy", "departure", "destination", "leaveAt"),
    "train": ("arriveBy", "day", "departure", "destination", "leaveAt", "book people"),
}  # fmt: skip
_CLOSED: Mapping[str, tuple[str, ...]] = {
    "area": ("centre", "east", "north", "south", "west"),
    "pricerange": ("cheap", "expensive", "moderate"),
    "internet": ("free", "no", "yes"),
    "parking": ("free", "no", "yes"),
    "stars": ("0", "1", "2", "3", "4", "5"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "book day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "book people": ("1", "2", "3", "4", "5", "6", "7", "8"),
    "book stay": ("1", "2", "3", "4", "5", "6", "7", "8"),
}


def read_multiwoz(path: Path) -> Corpus:
    """Read the dialogues of a file, or of a folder with its ontology and database.

    Raises:
        CorpusError: a file is not what it should be.
    """
    dialogues: list[CorpusDialogue] = []
    ontology: Mapping[str, Sequence[str]] = {}
    tables: dict[str, tuple[Row, ...]] = {}
    found = list(json_files(path))
    beside = sorted(path.parent.rglob("*.json")) if path.is_file() else []
    for file in [*found, *(f for f in beside if f not in found)]:
        values = json_values(file)
        first = values[0] if values else None
        if not isinstance(first, dict):
            continue
        if _is_ontology(first):
            ontology = first
        elif len(values) == 1 and _are_dialogues(first):
            if file in found:
                dialogues += [_dialogue(file, name, value) for name, value in first.items()]
        elif (domain := _domain_of(file, first)) is not None:
            tables[domain] = tuple(
                {k: str(v) for k, v in row.items() if isinstance(v, str | int)} for row in values
            )
    if not dialogues:
        raise CorpusError(
            f"{path} holds no MultiWOZ dialogue (an object with 'goal' and 'log' by its id);"
            " give data.json or a split of it, or choose another --format"
        )
    return Corpus(
        format="multiwoz",
        services={domain: _service(domain, ontology) for domain in _SLOTS},
        dialogues=tuple(dialogues),
        tables=tables,
    )


def _is_ontology(value: Mapping[str, Any]) -> bool:
    return any(key.startswith("hotel-") for key in value)


def _are_dialogues(value: Mapping[str, Any]) -> bool:
    first = next(iter(value.values()), None)
    return isinstance(first, dict) and {"goal", "log"} <= set(first)


def _domain_of(file: Path, row: Mapping[str, Any]) -> str | None:
    """Tell whose table a file of rows is by the domain in its name."""
    named = next((domain for domain in _SLOTS if file.stem.startswith(domain)), None)
    return named if named is not None and ({"name", "trainID", "id"} & set(row)) else None


def _service(domain: str, ontology: Mapping[str, Sequence[str]]) -> ServiceSchema:
    return ServiceSchema(
        name=domain,
        description=f"the {domain} domain",
        slots=tuple(
            SlotSchema(
                name=slot,
                description=_words(slot),
                is_categorical=slot in _CLOSED or (domain, slot) == ("hotel", "type"),
                values=_values(domain, slot, ontology),
            )
            for slot in _SLOTS[domain]
        ),
    )


def _values(domain: str, slot: str, ontology: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if (domain, slot) == ("hotel", "type"):
        return ("guesthouse", "hotel")
    if slot in _CLOSED:
        return _CLOSED[slot]
    listed = ontology.get(f"{domain}-{_words(slot)}", ())
    kept = {v for value in listed for v in value.lower().split("|")} - _EMPTY - _DONTCARE
    return tuple(sorted(kept))


def _words(slot: str) -> str:
    words = {"pricerange": "price range", "arriveBy": "arrive by", "leaveAt": "leave at"}
    return words.get(slot, slot)


def _dialogue(file: Path, name: str, value: Mapping[str, Any]) -> CorpusDialogue:
    try:
        return _read_dialogue(name, value)
    except (KeyError, TypeError, AttributeError) as error:
        raise CorpusError(
            f"{file}: dialogue {name!r} is not as MultiWOZ 2.1 writes it: {error!r}"
        ) from error


def _read_dialogue(name: str, value: Mapping[str, Any]) -> CorpusDialogue:
    log = value["log"]
    turns = []
    for i in range(0, len(log) - 1, 2):
        before: Mapping[str, Any] = log[i - 1] if i else {"text": "", "dialog_act": {}}
        turns.append(
            CorpusTurn(
                user=log[i]["text"],
                system=before["text"],
                system_acts=_acts(before.get("dialog_act", {})),
                frames=_frames(log[i + 1]["metadata"]),
            )
        )
    goal = _goal(value["goal"])
    return CorpusDialogue(
        id=name,
        services=tuple(domain for domain in _SLOTS if domain in goal),
        turns=tuple(turns),
        goal=goal,
        closing=log[-1]["text"] if log else "",
        closing_acts=_acts(log[-1].get("dialog_act", {})) if log else (),
    )


def _frames(metadata: Mapping[str, Any]) -> tuple[CorpusFrame, ...]:
    frames = []
    for domain, slots in _SLOTS.items():
        state: dict[str, tuple[str, ...]] = {}
        for slot in slots:
            part, key = ("book", slot[5:]) if slot.startswith("book ") else ("semi", slot)
            held = metadata[domain][part].get(key, "")
            if values := alternatives(held if isinstance(held, str) else ""):
                state[slot] = values
        frames.append(CorpusFrame(service=domain, state=state))
    return tuple(frames)


def alternatives(value: str) -> tuple[str, ...]:
    """Return the spellings that an annotated value stands for; none if it is empty."""
    parts = [part.strip().lower() for part in value.split("|")]
    return tuple("dontcare" if p in _DONTCARE else p for p in parts if p not in _EMPTY)


def _acts(acts: Any) -> tuple[CorpusAct, ...]:
    if not isinstance(acts, dict):  # "No Annotation"
        return ()
    read = []
    for name, pairs in acts.items():
        domain, _, act = name.partition("-")
        for slot, value in pairs:
            held = () if value in ("?", "none", "") else (str(value),)
            named = "" if slot == "none" else slot
            read.append(CorpusAct(service=domain.lower(), act=act.upper(), slot=named, values=held))
    return tuple(read)


def _goal(goal: Mapping[str, Any]) -> Mapping[str, DomainGoal]:
    return {
        domain: DomainGoal(
            constraints={k: str(v) for k, v in goal[domain].get("info", {}).items()},
            requests=tuple(goal[domain].get("reqt", ())),
            booking={
                k: str(v) for k, v in goal[domain].get("book", {}).items() if isinstance(v, str)
            },
        )
        for domain in _SLOTS
        if goal.get(domain)
    }
