"""WOZ 2.0 and CamRest in ConvLab's unified form: one restaurant domain, states after user turns.

A slot is scored if the corpus ever gives it a value that is not empty or a reference has it among
its informable ones: `food`, `area` and the price range. Attributes that can only be asked for
(phone, address, post code, name) are never constraints in these states and stand in the schema.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialog.errors import CorpusError
from dialog.evaluation.corpus import (
    Corpus,
    CorpusAct,
    CorpusDialogue,
    CorpusFormat,
    CorpusFrame,
    CorpusTurn,
    Row,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.json_files import json_files, json_values


def read_unified(path: Path, *, format: CorpusFormat, split: str | None = None) -> Corpus:  # noqa: A002
    """Read a file or a folder; `split` keeps the dialogues whose `data_split` it is.

    The ontology is found among the files beside the dialogues, rows of a table too.

    Raises:
        CorpusError: a file is not what it should be, or there is no ontology.
    """
    dialogues: list[CorpusDialogue] = []
    services: Mapping[str, ServiceSchema] = {}
    tables: dict[str, tuple[Row, ...]] = {}
    found = list(json_files(path))
    beside = sorted(path.parent.glob("*.json")) if path.is_file() else []
    for file in [*found, *(f for f in beside if f not in found)]:
        values = json_values(file)
        first = values[0] if values else None
        if not isinstance(first, dict):
            continue
        if "domains" in first and "intents" in first:
            services = _services(file, first)
        elif "dialogue_id" in first and "turns" in first:
            if file in found:
                dialogues += _dialogues(file, values, format, split)
        elif "name" in first and all(isinstance(row, dict) for row in values):
            rows = tuple({k: str(v) for k, v in row.items()} for row in values)
            tables[str(first.get("type", "restaurant"))] = rows
    if not dialogues:
        raise CorpusError(
            f"{path} holds no {format} dialogue{f' of split {split!r}' if split else ''}; give the"
            " file in ConvLab's unified form, or choose another --format or --split"
        )
    if not services:
        raise CorpusError(f"there is no ontology with 'domains' at {path}; put it beside the data")
    return Corpus(format=format, services=services, dialogues=tuple(dialogues), tables=tables)


def _services(file: Path, ontology: Mapping[str, Any]) -> Mapping[str, ServiceSchema]:
    try:
        return {
            name: ServiceSchema(
                name=name,
                description=domain["description"],
                slots=tuple(
                    SlotSchema(
                        name=slot,
                        description=facts["description"],
                        is_categorical=facts["is_categorical"],
                        values=tuple(facts["possible_values"]),
                    )
                    for slot, facts in domain["slots"].items()
                ),
            )
            for name, domain in ontology["domains"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{file} is no ontology in the unified form: {error!r}") from error


def _dialogues(
    file: Path, values: Sequence[Any], name: CorpusFormat, split: str | None
) -> list[CorpusDialogue]:
    read = []
    for value in values:
        try:
            if value.get("dataset", name) != name or (split and value.get("data_split") != split):
                continue
            read.append(_dialogue(value))
        except (KeyError, TypeError, AttributeError) as error:
            raise CorpusError(
                f"{file}: a dialogue is not in ConvLab's unified form: {error!r}"
            ) from error
    return read


def _dialogue(value: Mapping[str, Any]) -> CorpusDialogue:
    turns: list[CorpusTurn] = []
    said, acts = "", ()  # type: tuple[str, tuple[CorpusAct, ...]]
    for turn in value["turns"]:
        if turn["speaker"] == "system":
            said, acts = turn["utterance"], _acts(turn)
            continue
        turns.append(
            CorpusTurn(
                user=turn["utterance"],
                system=said,
                system_acts=acts,
                frames=tuple(
                    CorpusFrame(
                        service=domain,
                        state={slot: _alternatives(v) for slot, v in state.items() if v},
                        requested_slots=_requested(turn, domain),
                    )
                    for domain, state in turn["state"].items()
                ),
            )
        )
        said, acts = "", ()
    return CorpusDialogue(
        id=value["dialogue_id"],
        services=tuple(value["domains"]),
        turns=tuple(turns),
        closing=said,
        closing_acts=acts,
    )


def _alternatives(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split("|"))


def _every_act(turn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [act for group in turn["dialogue_act"].values() for act in group]


def _requested(turn: Mapping[str, Any], domain: str) -> tuple[str, ...]:
    return tuple(
        act["slot"]
        for act in _every_act(turn)
        if act["intent"] == "request" and act["domain"] == domain
    )


def _acts(turn: Mapping[str, Any]) -> tuple[CorpusAct, ...]:
    return tuple(
        CorpusAct(
            service=act["domain"],
            act=act["intent"].upper(),
            slot=act["slot"],
            values=(act["value"],) if act.get("value") else (),
        )
        for act in _every_act(turn)
    )
