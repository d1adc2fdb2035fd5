"""Filters as SQL, for SQLite and PostgreSQL.

`Not` is first pushed down to the comparisons, so that every leaf asks for a set: the documents that
surely compare so. A field that is missing, or of another kind, is in no such set, which is all that
the three values of `index.filters` come to. Declared fields have a table with indexes; others are
read out of the documents' JSON, slower.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
)

from index.errors import FilterError
from index.filters import (
    DOCUMENT_FIELDS,
    MOST_NODES,
    And,
    Eq,
    Exists,
    Filter,
    In,
    Kind,
    Match,
    Ne,
    Not,
    Or,
    Range,
    Value,
    kind_of,
    num_nodes,
)
from index.tables import chunks, documents, field_values

_ALIAS = documents.alias("filtered")
_METADATA = _ALIAS.c.metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterScope:
    """What a filter is compiled for.

    `fields` are the declared ones; `matching` gives the ids of the chunks that hold the words of a
    text, as a query of the same database or as numbers.
    """

    collection_id: int
    fields: Mapping[str, Kind]
    matching: Callable[[str], Select[Any] | Sequence[int]]
    is_postgres: bool = False


def chunk_ids(where: Filter, scope: FilterScope) -> Select[Any]:
    """Return the query of the ids of the chunks that a filter finds.

    Raises:
        FilterError: the filter is too large, or compares a declared field with another kind.
    """
    _check_size(where)
    condition = _condition(where, scope, is_negated=False, of_chunks=True)
    query = select(chunks.c.id).where(condition)
    if not _is_within(where, is_negated=False):
        query = query.where(chunks.c.collection_id == scope.collection_id)
    return query


def document_ids(where: Filter, scope: FilterScope) -> Select[Any]:
    """Return the query of the ids of the documents that a filter finds; raises `FilterError`."""
    _check_size(where)
    condition = _condition(where, scope, is_negated=False, of_chunks=False)
    query = select(documents.c.id).where(condition)
    if not _is_within(where, is_negated=False):
        query = query.where(documents.c.collection_id == scope.collection_id)
    return query


def _check_size(where: Filter) -> None:
    if num_nodes(where) > MOST_NODES:
        raise FilterError(f"a filter may have {MOST_NODES} parts, got {num_nodes(where)}")


def _condition(
    where: Filter, scope: FilterScope, *, is_negated: bool, of_chunks: bool
) -> ColumnElement[bool]:
    match where:
        case Not(filter=inner):
            return _condition(inner, scope, is_negated=not is_negated, of_chunks=of_chunks)
        case And(filters=filters) | Or(filters=filters):
            parts = [
                _condition(inner, scope, is_negated=is_negated, of_chunks=of_chunks)
                for inner in filters
            ]
            is_and = isinstance(where, And) is not is_negated  # De Morgan
            return and_(*parts) if is_and else or_(*parts)
        case Match(text=text):
            return _words(text, scope, is_negated=is_negated, of_chunks=of_chunks)
        case Exists(field=field):
            found = _documents_with(field, scope, None, lambda _: None)
        case _:
            field, kind = where.field, _kind(where)
            found = _documents_with(field, scope, kind, lambda v: _test(where, v, is_negated))
            is_negated = False
    column: ColumnElement[str] = chunks.c.document_id if of_chunks else documents.c.id
    return column.not_in(found) if is_negated else column.in_(found)


def _is_within(where: Filter, *, is_negated: bool) -> bool:
    """Whether the conditions by themselves find nothing outside of the collection."""
    match where:
        case Not(filter=inner):
            return _is_within(inner, is_negated=not is_negated)
        case And(filters=filters) | Or(filters=filters):
            within = [_is_within(inner, is_negated=is_negated) for inner in filters]
            return any(within) if isinstance(where, And) is not is_negated else all(within)
        case Match() | Exists():
            return not is_negated
        case _:
            return True


def _words(
    text: str, scope: FilterScope, *, is_negated: bool, of_chunks: bool
) -> ColumnElement[bool]:
    found: Any = scope.matching(text)
    if scope.is_postgres and not isinstance(found, Select):
        # One parameter however many there are: a statement may have 65,535.
        found = select(func.unnest(literal(list(found), ARRAY(Integer))))
    if not of_chunks:
        found = select(chunks.c.document_id).where(chunks.c.id.in_(found))
    column: ColumnElement[Any] = chunks.c.id if of_chunks else documents.c.id
    return column.not_in(found) if is_negated else column.in_(found)


def _kind(where: Eq | Ne | In | Range) -> Kind:
    match where:
        case In(values=values):
            return kind_of(values[0])
        case Range():
            return kind_of(next(iter(where.bounds.values())))
        case _:
            return kind_of(where.value)


def _test(
    where: Eq | Ne | In | Range, value: ColumnElement[Any], is_negated: bool
) -> ColumnElement[bool]:
    """Return the comparison, or its opposite; of null neither is true."""
    match where:
        case Eq():
            test: ColumnElement[bool] = value == _bound(where.value)
        case Ne():
            test = value != _bound(where.value)
        case In(values=values):
            test = value.in_([_bound(one) for one in values])
        case _:
            bounds = where.bounds
            test = and_(
                *(value > _bound(bounds[name]) for name in ("gt",) if name in bounds),
                *(value >= _bound(bounds[name]) for name in ("gte",) if name in bounds),
                *(value < _bound(bounds[name]) for name in ("lt",) if name in bounds),
                *(value <= _bound(bounds[name]) for name in ("lte",) if name in bounds),
            )
    return not_(test) if is_negated else test


def _bound(value: Value) -> str | float:
    return value if isinstance(value, str) else float(value)


def _documents_with(
    field: str,
    scope: FilterScope,
    kind: Kind | None,
    test: Callable[[ColumnElement[Any]], ColumnElement[bool] | None],
) -> Select[Any]:
    """Return the query of the documents whose field passes a test; of any kind where it is None."""
    if field in scope.fields:
        return _declared(field, scope, kind, test)
    query = select(_ALIAS.c.id).where(_ALIAS.c.collection_id == scope.collection_id)
    if field in DOCUMENT_FIELDS:
        column = _ALIAS.c[DOCUMENT_FIELDS[field]]
        if kind not in {None, Kind.TEXT}:
            raise FilterError(f"field {field!r} is a text, the filter compares it with a {kind}")
        passed = test(_comparable(column, scope))
        return query if passed is None else query.where(passed)
    json_kind = _json_kind(field, scope)
    if kind is None:
        return query.where(json_kind.is_not(None), json_kind != "null")
    passed = test(_json_value(field, kind, json_kind, scope))
    return query if passed is None else query.where(passed)


def _declared(
    field: str,
    scope: FilterScope,
    kind: Kind | None,
    test: Callable[[ColumnElement[Any]], ColumnElement[bool] | None],
) -> Select[Any]:
    declared = scope.fields[field]
    if kind not in {None, declared}:
        raise FilterError(
            f"field {field!r} is declared as {declared}, the filter compares it with a {kind}"
        )
    values = field_values.c
    query = select(values.document_id).where(
        values.collection_id == scope.collection_id, values.name == field
    )
    is_text = declared is Kind.TEXT
    passed = test(_comparable(values.text, scope) if is_text else values.number)
    return query if passed is None else query.where(passed)


def _comparable(text: ColumnElement[Any], scope: FilterScope) -> ColumnElement[Any]:
    """Return a text that is compared by code point, as SQLite does by itself."""
    return text.collate("C") if scope.is_postgres else text


def _json_kind(field: str, scope: FilterScope) -> ColumnElement[Any]:
    if scope.is_postgres:
        return func.json_typeof(_METADATA[field])
    return func.json_type(_METADATA, f'$."{field}"')


def _json_value(
    field: str, kind: Kind, json_kind: ColumnElement[Any], scope: FilterScope
) -> ColumnElement[Any]:
    """Return the value of a field that is of a kind, else null."""
    if kind is Kind.BOOLEAN:
        if scope.is_postgres:
            truth = _METADATA[field].as_string()
            return case(
                (and_(json_kind == "boolean", truth == "true"), 1.0), (json_kind == "boolean", 0.0)
            )
        return case((json_kind == "true", 1.0), (json_kind == "false", 0.0))
    if scope.is_postgres:
        plain: ColumnElement[Any] = _METADATA[field].as_string()
    else:
        plain = func.json_extract(_METADATA, f'$."{field}"')
    if kind is Kind.NUMBER:
        return case((json_kind.in_(["number", "integer", "real"]), cast(plain, Float)))
    return case((json_kind.in_(["string", "text"]), _comparable(plain, scope)))
