"""Schema-Guided Dialogue (Rastogi et al., 2020): schemas and dialogues in its own JSON.

The schema that belongs to some dialogues is the smallest among the schema files given, or lying
beside them, that knows all their services.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dialog.errors import CorpusError
from dialog.evaluation.corpus import (
    Corpus,
    CorpusAct,
    CorpusDialogue,
    CorpusFrame,
    CorpusTurn,
    IntentSchema,
    ServiceSchema,
    SlotSchema,
)
from dialog.evaluation.json_files import json_files, json_values

Services = Mapping[str, ServiceSchema]


def read_sgd(path: Path, *, schema: Path | None = None) -> Corpus:
    """Read dialogues, from a file or all of a folder; `schema` is a schema file or a folder of it.

    Raises:
        CorpusError: a file is not what it should be, or no schema knows all services.
    """
    dialogues: list[CorpusDialogue] = []
    schemas: list[Services] = []
    for file in json_files(path):
        values = json_values(file)
        if _is_schema(values):
            schemas.append(_services(file, values))
        elif _are_dialogues(values):
            dialogues += [_dialogue(file, value) for value in values]
    if not dialogues:
        raise CorpusError(
            f"{path} holds no SGD dialogue (an object with 'dialogue_id', 'services' and 'turns');"
            " give the file of the dialogues, or choose another --format"
        )
    if schema is not None or path.is_file():
        schemas = [services for _, services in schemas_in(schema or path.parent)]
    return Corpus(
        format="sgd",
        services=_fitting(schemas, {s for d in dialogues for s in d.services}, schema or path),
        dialogues=tuple(dialogues),
    )


def schemas_in(path: Path) -> Iterable[tuple[Path, Services]]:
    """Yield the schema files at, or directly in, a path.

    Raises:
        CorpusError: a file cannot be read.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    for file in files:
        values = json_values(file)
        if _is_schema(values):
            yield file, _services(file, values)


def _fitting(schemas: Sequence[Services], needed: set[str], path: Path) -> Services:
    fitting = [services for services in schemas if needed <= set(services)]
    if not fitting:
        known = set[str]().union(*map(set, schemas)) if schemas else set[str]()
        missing = sorted(needed - known) or sorted(needed)
        raise CorpusError(
            f"no schema at {path} knows the service {missing[0]!r} of the dialogues;"
            " give the schema of this split"
        )
    return min(fitting, key=len)


def _is_schema(values: Sequence[Any]) -> bool:
    return bool(values) and isinstance(values[0], dict) and "service_name" in values[0]


def _are_dialogues(values: Sequence[Any]) -> bool:
    first = values[0] if values else None
    return isinstance(first, dict) and {"dialogue_id", "services", "turns"} <= set(first)


def _services(file: Path, values: Sequence[Any]) -> Services:
    try:
        return {value["service_name"]: _service(value) for value in values}
    except (KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{file} is no SGD schema: {error!r}; compare it with SGD's") from error


def _service(value: Mapping[str, Any]) -> ServiceSchema:
    return ServiceSchema(
        name=value["service_name"],
        description=value["description"],
        slots=tuple(
            SlotSchema(
                name=slot["name"],
                description=slot["description"],
                is_categorical=slot["is_categorical"],
                values=tuple(slot["possible_values"]),
            )
            for slot in value["slots"]
        ),
        intents=tuple(
            IntentSchema(
                name=intent["name"],
                description=intent["description"],
                required=tuple(intent["required_slots"]),
                optional=tuple(intent["optional_slots"]),
                is_transactional=intent["is_transactional"],
            )
            for intent in value["intents"]
        ),
    )


def _dialogue(file: Path, value: Mapping[str, Any]) -> CorpusDialogue:
    try:
        return _read_dialogue(value)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise CorpusError(
            f"{file}: dialogue {value.get('dialogue_id')!r} is not as SGD writes it: {error!r}"
        ) from error


def _read_dialogue(value: Mapping[str, Any]) -> CorpusDialogue:
    turns: list[CorpusTurn] = []
    said, acts = "", ()  # type: tuple[str, tuple[CorpusAct, ...]]
    results: tuple[tuple[str, Mapping[str, str]], ...] = ()
    for turn in value["turns"]:
        if turn["speaker"] == "SYSTEM":
            said, acts = turn["utterance"], _acts(turn)
            results = tuple(
                (frame["service"], row)
                for frame in turn["frames"]
                for row in frame.get("service_results", ())
            )
            continue
        turns.append(
            CorpusTurn(
                user=turn["utterance"],
                system=said,
                system_acts=acts,
                frames=tuple(map(_frame, turn["frames"])),
                results=results,
            )
        )
        said, acts, results = "", (), ()
    return CorpusDialogue(
        id=value["dialogue_id"],
        services=tuple(value["services"]),
        turns=tuple(turns),
        closing=said,
        closing_acts=acts,
    )


def _acts(turn: Mapping[str, Any]) -> tuple[CorpusAct, ...]:
    return tuple(
        CorpusAct(
            service=frame["service"],
            act=action["act"],
            slot=action["slot"],
            values=tuple(action["values"]),
        )
        for frame in turn["frames"]
        for action in frame["actions"]
    )


def _frame(frame: Mapping[str, Any]) -> CorpusFrame:
    state = frame["state"]
    return CorpusFrame(
        service=frame["service"],
        state={slot: tuple(values) for slot, values in state["slot_values"].items() if values},
        active_intent=state["active_intent"],
        requested_slots=tuple(state["requested_slots"]),
    )
