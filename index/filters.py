"""Conditions on documents and chunks: a small typed expression tree, and its JSON form.

Logic has three values, fixed here once: a comparison with a field that a document does not have, or
has with a value of another kind, is unknown; `Not` of unknown is unknown; `And` and `Or` are
Kleene's. Only what is true is found, so that a document without the field is found by no comparison
and no negation of one, only by `Not(Exists)`. Kinds are text, number and boolean. Text is compared
by code point, numbers as double precision.

`Match` asks for words: all of its text's terms must be in the chunk, its `"phrases"` and
`begin*`nings as written. A document matches where one of its chunks does.

JSON form, for HTTP: `{"eq": {"year": 2020}}`, `{"ne": {…}}`, `{"in": {"tag": ["a", "b"]}}`,
`{"range": {"year": {"gte": 2000, "lt": 2010}}}`, `{"and": [f, g]}`, `{"or": [f, g]}`, `{"not": f}`,
`{"exists": "year"}`, `{"match": "green tea"}`.

Knows no SQL.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from index.errors import FilterError
from index.unicode_text import is_unicode

Value = str | int | float | bool

MOST_VALUES = 1000  # in one `In`
MOST_NODES = 256  # in one filter
_MOST_DEPTH = 32
_VALUES_A_PART = 50  # of an `In` count as one part: SQLite bounds the parameters of a query
_LARGEST_NUMBER = 2**53  # beyond it, doubles skip whole numbers
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_BOUNDS = ("gt", "gte", "lt", "lte")

# Fields that every document has, whatever its metadata.
DOCUMENT_FIELDS = {
    "document.uri": "uri",
    "document.title": "title",
    "document.media_type": "media_type",
}


class Kind(StrEnum):
    """What a value is; values of different kinds are never compared."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eq:
    """The field has this value."""

    field: str
    value: Value

    def __post_init__(self) -> None:
        check_field(self.field)
        _check_value(self.field, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ne:
    """The field has another value of the same kind."""

    field: str
    value: Value

    def __post_init__(self) -> None:
        check_field(self.field)
        _check_value(self.field, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class In:
    """The field has one of these values, which are of one kind."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_field(self.field)
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise FilterError(
                f"'in' of field {self.field!r} takes 1 to {MOST_VALUES} values, got"
                f" {len(self.values)}"
            )
        for value in self.values:
            _check_value(self.field, value)
        kinds = sorted({kind_of(value).value for value in self.values})
        if len(kinds) > 1:
            raise FilterError(
                f"'in' of field {self.field!r} mixes {' and '.join(kinds)} values; give values of"
                " one kind"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The field lies between bounds of one kind, text or number; at least one is given."""

    field: str
    gt: str | int | float | None = None
    gte: str | int | float | None = None
    lt: str | int | float | None = None
    lte: str | int | float | None = None

    def __post_init__(self) -> None:
        check_field(self.field)
        if not self.bounds:
            raise FilterError(
                f"'range' of field {self.field!r} needs a bound: one of {', '.join(_BOUNDS)}"
            )
        for bound in self.bounds.values():
            _check_value(self.field, bound)
        kinds = {kind_of(bound) for bound in self.bounds.values()}
        if len(kinds) > 1 or Kind.BOOLEAN in kinds:
            raise FilterError(
                f"the bounds of field {self.field!r} must all be numbers or all be texts, got"
                f" {', '.join(repr(bound) for bound in self.bounds.values())}"
            )

    @property
    def bounds(self) -> dict[str, str | int | float]:
        """The bounds that are given, by name."""
        given = {name: getattr(self, name) for name in _BOUNDS}
        return {name: bound for name, bound in given.items() if bound is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """The field is there, with any value but null."""

    field: str

    def __post_init__(self) -> None:
        check_field(self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The words of this text are in the chunk."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise FilterError("'match' needs a text; say which words to look for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The other is false, which unknown is not."""

    filter: "Filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All of these are true."""

    filters: tuple["Filter", ...]

    def __post_init__(self) -> None:
        if not self.filters:
            raise FilterError("'and' needs at least one filter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """One of these is true."""

    filters: tuple["Filter", ...]

    def __post_init__(self) -> None:
        if not self.filters:
            raise FilterError("'or' needs at least one filter")


Filter = Eq | Ne | In | Range | Exists | Match | Not | And | Or


def kind_of(value: object) -> Kind:
    """Return the kind of a value; raises `FilterError` where it has none."""
    match value:
        case bool():
            return Kind.BOOLEAN
        case int() | float():
            return Kind.NUMBER
        case str():
            return Kind.TEXT
        case _:
            raise FilterError(
                f"a value must be a text, a number or a boolean, got {str(value)[:40]!r}"
            )


def check_field(field: str) -> None:
    """Raise `FilterError` where no field can have this name."""
    if not _NAME.fullmatch(field):
        raise FilterError(
            f"field name {str(field)[:40]!r} must be 1 to 64 of the characters A-Z a-z 0-9 _ . -"
            " and start with a letter or _"
        )
    if field.startswith("document.") and field not in DOCUMENT_FIELDS:
        raise FilterError(
            f"there is no field {field!r}; every document has {', '.join(DOCUMENT_FIELDS)}"
        )


def filter_from_json(data: object) -> Filter:
    """Return the filter of a JSON form; raises `FilterError`, which names the place."""
    found = _parse(data, "filter", 0)
    if num_nodes(found) > MOST_NODES:
        raise FilterError(f"a filter may have {MOST_NODES} parts, got {num_nodes(found)}")
    return found


def filter_to_json(where: Filter) -> dict[str, object]:  # noqa: PLR0911  # one a kind
    """Return the JSON form, which is also a key: 1 and true differ in it."""
    match where:
        case Eq(field=field, value=value):
            return {"eq": {field: value}}
        case Ne(field=field, value=value):
            return {"ne": {field: value}}
        case In(field=field, values=values):
            return {"in": {field: list(values)}}
        case Range(field=field):
            return {"range": {field: dict(where.bounds)}}
        case Exists(field=field):
            return {"exists": field}
        case Match(text=text):
            return {"match": text}
        case Not(filter=inner):
            return {"not": filter_to_json(inner)}
        case And(filters=filters):
            return {"and": [filter_to_json(inner) for inner in filters]}
        case Or(filters=filters):
            return {"or": [filter_to_json(inner) for inner in filters]}


def num_nodes(where: Filter) -> int:
    """Return how many parts a filter has."""
    match where:
        case In(values=values):
            return 1 + len(values) // _VALUES_A_PART
        case Not(filter=inner):
            return 1 + num_nodes(inner)
        case And(filters=filters) | Or(filters=filters):
            return 1 + sum(num_nodes(inner) for inner in filters)
        case _:
            return 1


def has_match(where: Filter) -> bool:
    """Say whether a filter asks for words."""
    match where:
        case Not(filter=inner):
            return has_match(inner)
        case And(filters=filters) | Or(filters=filters):
            return any(has_match(inner) for inner in filters)
        case _:
            return isinstance(where, Match)


def _parse(data: object, place: str, depth: int) -> Filter:
    if depth > _MOST_DEPTH:
        raise FilterError(f"{place} is nested more than {_MOST_DEPTH} deep")
    if not isinstance(data, Mapping) or len(data) != 1:
        raise FilterError(
            f"{place} must be an object with one of the keys and, eq, exists, in, match, ne, not,"
            f" or, range; got {str(data)[:60]!r}"
        )
    ((key, inner),) = data.items()
    here = f"{place}.{key}"
    match key:
        case "and" | "or":
            if not isinstance(inner, Sequence) or isinstance(inner, str):
                raise FilterError(f"{here} must be a list of filters")
            parts = tuple(_parse(one, f"{here}[{i}]", depth + 1) for i, one in enumerate(inner))
            return And(filters=parts) if key == "and" else Or(filters=parts)
        case "not":
            return Not(filter=_parse(inner, here, depth + 1))
        case "exists" | "match":
            if not isinstance(inner, str):
                raise FilterError(f"{here} must be a text, got {str(inner)[:60]!r}")
            return Exists(field=inner) if key == "exists" else Match(text=inner)
        case "eq" | "ne" | "in" | "range":
            return _comparison(key, inner, here)
        case _:
            raise FilterError(
                f"{place} has the unknown key {str(key)[:40]!r}; use one of and, eq, exists, in,"
                " match, ne, not, or, range"
            )


def _comparison(key: str, data: object, place: str) -> Filter:
    if not isinstance(data, Mapping) or len(data) != 1:
        raise FilterError(f"{place} must be an object with one field, got {str(data)[:60]!r}")
    ((field, value),) = data.items()
    if not isinstance(field, str):
        raise FilterError(f"{place} must name its field by a text, got {str(field)[:60]!r}")
    here = f"{place}.{field}"
    if key == "in":
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise FilterError(f"{here} must be a list of values, got {str(value)[:60]!r}")
        for one in value:
            _check_value(field, one)
        return In(field=field, values=tuple(value))
    if key == "range":
        if not isinstance(value, Mapping) or not value.keys() <= set(_BOUNDS):
            raise FilterError(
                f"{here} must be an object with some of {', '.join(_BOUNDS)}; got"
                f" {str(value)[:60]!r}"
            )
        for bound in value.values():
            _check_value(field, bound)
        return Range(field=field, **value)
    _check_value(field, value)
    return Eq(field=field, value=value) if key == "eq" else Ne(field=field, value=value)


def _check_value(field: str, value: object) -> None:
    try:
        kind = kind_of(value)
    except FilterError as error:
        raise FilterError(f"field {field!r}: {error}") from error
    if kind is Kind.NUMBER and not (
        isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _LARGEST_NUMBER
    ):
        raise FilterError(
            f"field {field!r}: a number must be finite and at most 2^53 in size, got {value}"
        )
    if isinstance(value, str) and ("\0" in value or not is_unicode(value)):
        raise FilterError(f"field {field!r}: a text holds NUL or a lone surrogate; remove it")
