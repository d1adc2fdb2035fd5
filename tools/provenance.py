"""Where each argument of a call came from: the user, a tool's output, a document, or the model.

Text of strangers is data. An argument that stands in it and not in the user's words may be what the
strangers want, so a call that writes asks the user about it. What stands nowhere is asked about
too: it may have been encoded, or made up.

What a value cannot show is not seen here: true and false stand in no text, and which of the user's
own words went into which argument is not looked at. Tools that must not be wrong about such things
ask always (`Confirm.ALWAYS`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from llm.chat import Message
from tools.value_matching import SaidValues, normalised

MAX_PIECES = 64
_BETWEEN = "\n\u00b6\n"  # no value reaches over it
_MIN_PIECE = 4  # characters of a word that tells where it is from
_PIECE = re.compile(r"[^\s\"'<>(){}\[\],;]+")


class Origin(StrEnum):
    """Who wrote a text, or said a value first."""

    USER = "user"
    SYSTEM = "system"  # our own instructions
    SCHEMA = "schema"  # a default, a choice that the tool's maker offers, nothing at all
    TOOL = "tool"
    DOCUMENT = "document"
    MODEL = "model"  # nobody else said it

    @property
    def is_trusted(self) -> bool:
        """Whether a value of this origin is meant by the user or by us."""
        return self in (Origin.USER, Origin.SYSTEM, Origin.SCHEMA)


_ORDER = (Origin.USER, Origin.SYSTEM, Origin.TOOL, Origin.DOCUMENT)  # who is believed first


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text that the model has read, and who wrote it."""

    origin: Origin
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentOrigin:
    """Where one value came from; `path` is its place among the arguments, like `guests[0].name`."""

    path: str
    value: str | int | float | bool | None
    origin: Origin


def sources_of(messages: Iterable[Message], documents: Sequence[str] = ()) -> tuple[Source, ...]:
    """Return who wrote what in a chat.

    `documents` are the passages that the chat quotes: where one stands in a message of the user's
    or of ours, it is taken out of it. What the model itself wrote is nobody's word.
    """
    found = [Source(origin=Origin.DOCUMENT, text=text) for text in documents]
    for message in messages:
        if message.role == "assistant":
            continue
        text = message.content
        for document in documents:
            text = text.replace(document, "\n") if document else text
        found.append(Source(origin=Origin(message.role), text=text))
    return tuple(found)


class Provenance:
    """Tells where values came from, given all that the model has read.

    `today` is what the texts' "tomorrow" is counted from; without it such words say no date.
    """

    def __init__(self, sources: Iterable[Source], *, today: date | None = None) -> None:
        self._texts: dict[Origin, list[str]] = {}
        for source in sources:
            self._texts.setdefault(source.origin, []).append(source.text)
        self._today = today
        self._said: dict[Origin, SaidValues] = {}  # read when first asked for: most calls never ask

    def trace(
        self, arguments: Mapping[str, Any], schema: Mapping[str, Any]
    ) -> tuple[ArgumentOrigin, ...]:
        """Return the origin of every value among the arguments, keys of free objects included."""
        return tuple(
            ArgumentOrigin(path=path, value=value, origin=self._origin(value, part))
            for path, value, part in _leaves(arguments, schema, "")
        )

    def _origin(self, value: Any, schema: Mapping[str, Any]) -> Origin:
        if value is None or isinstance(value, bool) or value == "":
            return Origin.SCHEMA
        if "default" in schema and schema["default"] == value:
            return Origin.SCHEMA
        for origin in _ORDER:
            if self._is_said(value, origin):
                return origin
        if value in _choices(schema):
            return Origin.SCHEMA
        return self._origin_of_pieces(value) if isinstance(value, str) else Origin.MODEL

    def _origin_of_pieces(self, value: str) -> Origin:
        """Return who wrote a telling piece of a text that nobody wrote as a whole."""
        pieces = [
            p.strip(".:!?") for p in _PIECE.findall(normalised(value)) if len(p) >= _MIN_PIECE
        ]
        for piece in pieces[:MAX_PIECES]:
            origin = next((who for who in _ORDER if self._is_said(piece, who)), Origin.MODEL)
            if origin in (Origin.TOOL, Origin.DOCUMENT):
                return origin
        return Origin.MODEL

    def _is_said(self, value: Any, origin: Origin) -> bool:
        if origin not in self._texts:
            return False
        if origin not in self._said:
            # Together, since a day and its hour may be said one after the other.
            whole = _BETWEEN.join(self._texts[origin])
            self._said[origin] = SaidValues.of(whole, today=self._today)
        return self._said[origin].says(value)


def reasons(origins: Iterable[ArgumentOrigin]) -> tuple[str, ...]:
    """Return why the user should look at a call: a sentence for each value that is not theirs."""
    return tuple(
        f"{found.path} = {json.dumps(found.value, ensure_ascii=False):.200} {_WHY[found.origin]}"
        for found in origins
        if not found.origin.is_trusted
    )


_WHY = {
    Origin.TOOL: "was read in the output of a tool, not in what you wrote",
    Origin.DOCUMENT: "was read in a document, not in what you wrote",
    Origin.MODEL: "is in nothing that you wrote",
}


def _choices(schema: Mapping[str, Any]) -> Sequence[Any]:
    found = list(schema.get("enum", ()))
    for option in schema.get("anyOf", ()):
        found.extend(_choices(option))
    return [*found, schema["const"]] if "const" in schema else found


def _leaves(value: Any, schema: Any, path: str) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    known = schema if isinstance(schema, Mapping) else {}
    match value:
        case dict():
            yield from _leaves_of_object(value, known, path)
        case list():
            for i, part in enumerate(value):
                yield from _leaves(part, _part(known, "items"), f"{path}[{i}]")
        case _:
            yield path, value, known


def _leaves_of_object(
    value: dict[str, Any], schema: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    properties = _part(schema, "properties")
    for key, part in value.items():
        place = f"{path}.{key}" if path else key
        if key in properties:
            yield from _leaves(part, properties[key], place)
        else:
            yield f"{place} (the key)", key, {}
            yield from _leaves(part, _part(schema, "additionalProperties"), place)


def _part(schema: Mapping[str, Any], keyword: str) -> Any:
    """Return what a schema, or the first of its options, says under a keyword; {} if nothing."""
    if isinstance(schema.get(keyword), Mapping):
        return schema[keyword]
    for option in schema.get("anyOf", ()):
        if isinstance(option, Mapping) and isinstance(option.get(keyword), Mapping):
            return option[keyword]
    return {}
