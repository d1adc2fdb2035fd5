"""From an annotation to the JSON Schema of a value, and from a JSON value to the typed one.

    str · int · float · bool · Literal · Enum · date · datetime · time · list · tuple[T, ...] · dict
    dataclass · Optional and other unions · Annotated[T, Range, Size, Matches, "description"]

Knows neither functions nor docstrings. What is read has been checked against the schema before;
`read` itself only refuses what a schema cannot say.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any, Literal, Union

from tools.errors import InvalidArgumentError, ToolDeclarationError

Read = Callable[[Any, str], Any]  # a JSON value and where it stands → the typed value
Schema = dict[str, Any]

_REMEDY = (
    "use str, int, float, bool, Literal, Enum, date, datetime, time, list[T], tuple[T, ...],"
    " dict[str, T], a dataclass, T | None, or Annotated of these"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The numbers that an argument may be: `least <= x <= most` and `above < x < below`."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        given = (self.least, self.most, self.above, self.below)
        if all(bound is None for bound in given):
            raise ValueError("a Range needs a bound; give least, most, above or below")
        if any(bound is not None and not math.isfinite(bound) for bound in given):
            raise ValueError(f"the bounds of a Range must be finite, got {given}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many characters, elements or keys an argument may have."""

    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        if self.least < 0 or (self.most is not None and self.most < self.least):
            raise ValueError(f"a Size needs 0 <= least <= most, got {self.least} to {self.most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """A regular expression that a text must match as a whole."""

    pattern: str


class Json:
    """Annotation of an argument that takes any JSON value, as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentType:
    """A type of values: their JSON Schema, how to read one, and how to write one back."""

    schema: Schema
    read: Read
    is_nullable: bool = False


def argument_type(annotation: Any, *, where: str) -> ArgumentType:
    """Return the type that an annotation describes; `where` names it in errors.

    Raises:
        ToolDeclarationError: JSON has no such values, or they could not be told apart.
    """
    return _argument_type(annotation, where, ())


def to_json(value: Any) -> Any:
    """Return a typed value, such as a default, as the JSON value that is read as it."""
    match value:
        case Enum():
            return to_json(value.value)
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [to_json(part) for part in value]
        case Mapping():
            return {key: to_json(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: to_json(getattr(value, name)) for name in names}
    return value


def _argument_type(annotation: Any, where: str, above: tuple[type, ...]) -> ArgumentType:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _annotated(parts[0], parts[1:], where, above)
    if origin is Literal:
        return _choice(parts, where)
    if origin in (Union, types.UnionType):
        return _union(parts, where, above)
    if origin in (list, tuple, dict):
        return _container(origin, parts, where, above)
    if isinstance(annotation, type):
        return _plain(annotation, where, above)
    raise ToolDeclarationError(f"{where}: {annotation!r} has no JSON form; {_REMEDY}")


def _plain(kind: type, where: str, above: tuple[type, ...]) -> ArgumentType:
    if kind is Json:
        return ArgumentType(schema={}, read=_same, is_nullable=True)
    if kind in _SCALARS:
        schema, read = _SCALARS[kind]
        return ArgumentType(schema=dict(schema), read=read)
    if issubclass(kind, Enum):
        return _enumeration(kind, where)
    if dataclasses.is_dataclass(kind):
        return _record(kind, where, above)
    if kind in (list, dict, tuple):
        raise ToolDeclarationError(f"{where}: say of what, as in {kind.__name__}[str]")
    raise ToolDeclarationError(f"{where}: {kind.__name__} has no JSON form; {_REMEDY}")


def _same(value: Any, where: str) -> Any:
    del where
    return value


def _integer(value: Any, where: str) -> int:
    del where
    return int(value)  # JSON's 3.0 is an integer too


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidArgumentError(where, "is too large a number") from error


def _moment(kind: Any) -> Read:
    def read(value: Any, where: str) -> Any:
        try:
            return kind.fromisoformat(value)
        except ValueError as error:
            example = _EXAMPLES[kind]
            raise InvalidArgumentError(where, f"{value!r} is not like {example!r}") from error

    return read


_EXAMPLES: dict[type, str] = {
    date: "2025-03-07",
    datetime: "2025-03-07T18:30:00",
    time: "18:30:00",
}
_ISO_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_ISO_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
_ISO_ZONE = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
# Patterns and not formats: "date-time" demands a zone, which a person rarely says.
_SCALARS: dict[type, tuple[Schema, Read]] = {
    str: ({"type": "string"}, _same),
    bool: ({"type": "boolean"}, _same),
    int: ({"type": "integer"}, _integer),
    float: ({"type": "number"}, _number),
    date: ({"type": "string", "pattern": f"^{_ISO_DATE}$"}, _moment(date)),
    datetime: (
        {"type": "string", "pattern": f"^{_ISO_DATE}T{_ISO_TIME}{_ISO_ZONE}$"},
        _moment(datetime),
    ),
    time: ({"type": "string", "pattern": f"^{_ISO_TIME}$"}, _moment(time)),
    types.NoneType: ({"type": "null"}, _same),
}
_TYPE_NAMES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _choice(values: tuple[Any, ...], where: str) -> ArgumentType:
    kinds = {type(value) for value in values}
    if not kinds <= {str, int, bool, types.NoneType}:
        raise ToolDeclarationError(f"{where}: a Literal may hold str, int, bool and None")
    schema: Schema = {"enum": list(values)}
    if len(kinds) == 1 and (name := _TYPE_NAMES.get(next(iter(kinds)))):
        schema = {"type": name, **schema}
    chosen = {(type(value), value): value for value in values}

    def read(value: Any, where: str) -> Any:
        del where
        whole = int(value) if isinstance(value, float) else value
        return chosen[type(whole), whole]

    return ArgumentType(schema=schema, read=read, is_nullable=None in values)


def _enumeration(kind: type[Enum], where: str) -> ArgumentType:
    members = list(kind)
    if not members:
        raise ToolDeclarationError(f"{where}: the enumeration {kind.__name__} is empty")
    choice = _choice(tuple(member.value for member in members), where)
    return ArgumentType(
        schema=choice.schema, read=lambda value, where: kind(choice.read(value, where))
    )


def _union(parts: tuple[Any, ...], where: str, above: tuple[type, ...]) -> ArgumentType:
    others = [part for part in parts if part is not types.NoneType]
    is_nullable = len(others) < len(parts)
    options = [_argument_type(part, where, above) for part in others]
    by_type: dict[str, ArgumentType] = {}
    for option in options:
        for name in _json_types(option.schema):
            if name in by_type:
                raise ToolDeclarationError(
                    f"{where}: two parts of the union are JSON {name}s and could not be told"
                    " apart; keep one of them"
                )
            by_type[name] = option
    if is_nullable and "null" not in by_type:
        by_type["null"] = ArgumentType(schema={"type": "null"}, read=_same)
        options.append(by_type["null"])

    def read(value: Any, where: str) -> Any:
        return by_type[_json_type(value)].read(value, where)

    return ArgumentType(
        schema={"anyOf": [option.schema for option in options]},
        read=read,
        is_nullable=is_nullable,
    )


def _json_types(schema: Schema) -> list[str]:
    if "anyOf" in schema:
        return [name for option in schema["anyOf"] for name in _json_types(option)]
    if "type" in schema:
        # Each integer is a number, so that `int | float` could not be told apart either.
        return ["number" if schema["type"] == "integer" else schema["type"]]
    return sorted({_json_type(value) for value in schema["enum"]})


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _container(
    kind: type, parts: tuple[Any, ...], where: str, above: tuple[type, ...]
) -> ArgumentType:
    if kind is dict:
        return _map(parts, where, above)
    if kind is tuple and (len(parts) != 2 or parts[1] is not Ellipsis):
        raise ToolDeclarationError(f"{where}: of tuples only tuple[T, ...] can be described")
    part = _argument_type(parts[0], f"{where}[]", above)
    return ArgumentType(
        schema={"type": "array", "items": part.schema},
        read=lambda value, where: kind(
            part.read(element, f"{where}[{i}]") for i, element in enumerate(value)
        ),
    )


def _map(parts: tuple[Any, ...], where: str, above: tuple[type, ...]) -> ArgumentType:
    if parts[0] is not str:
        raise ToolDeclarationError(f"{where}: the keys of a dict must be str, as JSON's are")
    part = _argument_type(parts[1], f"{where}.*", above)
    return ArgumentType(
        schema={"type": "object", "additionalProperties": part.schema},
        read=lambda value, where: {
            key: part.read(element, f"{where}.{key}") for key, element in value.items()
        },
    )


def _record(kind: Any, where: str, above: tuple[type, ...]) -> ArgumentType:
    if kind in above:
        raise ToolDeclarationError(f"{where}: {kind.__name__} contains itself; give it an end")
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    read_by: dict[str, ArgumentType] = {}
    for name in fields:
        read_by[name] = _argument_type(hints[name], f"{where}.{name}", (*above, kind))

    def read(value: Any, where: str) -> Any:
        given = {key: read_by[key].read(part, f"{where}.{key}") for key, part in value.items()}
        try:
            return kind(**given)
        except ValueError as error:  # a dataclass that checks itself
            raise InvalidArgumentError(where, str(error)) from error

    schema = {
        "type": "object",
        "properties": {
            name: with_default(part.schema, fields[name].default, dataclasses.MISSING)
            for name, part in read_by.items()
        },
        "required": [name for name, field in fields.items() if _is_required(field)],
        "additionalProperties": False,
    }
    return ArgumentType(schema=schema, read=read)


def _is_required(field: Any) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def with_default(schema: Schema, default: Any, absent: object) -> Schema:
    """Return a schema that also tells the default, unless that is the mark `absent`."""
    return schema if default is absent else {**schema, "default": to_json(default)}


def _annotated(
    annotation: Any, notes: tuple[Any, ...], where: str, above: tuple[type, ...]
) -> ArgumentType:
    plain = _argument_type(annotation, where, above)
    schema = dict(plain.schema)
    for note in notes:
        schema |= _keywords(note, schema, where)
    return dataclasses.replace(plain, schema=schema)


_SIZES = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


def _keywords(note: Any, schema: Schema, where: str) -> Schema:
    kind = schema.get("type")
    match note:
        case str():
            return {"description": note}
        case Range() if kind in ("integer", "number"):
            bounds = {"minimum": note.least, "maximum": note.most}
            bounds |= {"exclusiveMinimum": note.above, "exclusiveMaximum": note.below}
            return {name: bound for name, bound in bounds.items() if bound is not None}
        case Size() if kind in _SIZES:
            least, most = _SIZES[kind]
            sizes = {least: note.least or None, most: note.most}
            return {name: size for name, size in sizes.items() if size is not None}
        case Matches() if kind == "string" and "pattern" not in schema:
            return {"pattern": f"^(?:{note.pattern})$"}
    raise ToolDeclarationError(
        f"{where}: {note!r} says nothing about a value of this type; Range is for numbers, Size"
        " for texts, lists and dicts, Matches for texts, a str is a description"
    )
