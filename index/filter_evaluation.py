"""A filter judged in Python, one document at a time: the readable twin of `index.filter_sql`."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from index.analyser import analyse
from index.errors import FilterError
from index.filters import (
    DOCUMENT_FIELDS,
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
    kind_of,
)
from index.lexical_query import parse_words
from index.new_rows import ChunkTerms
from index.protocol import DocumentRecord
from index.stop_words import Language

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a filter sees: fields with their values, and the words of some chunks."""

    fields: Mapping[str, object]
    chunks: tuple[ChunkTerms, ...] = ()
    language: Language = field(default=Language.ENGLISH)


def evaluate(where: Filter, on: Judged) -> bool | None:  # noqa: PLR0911  # one a kind
    """Return whether a filter is true; None is unknown."""
    match where:
        case Not(filter=inner):
            found = evaluate(inner, on)
            return None if found is None else not found
        case And(filters=filters):
            return _all([evaluate(inner, on) for inner in filters])
        case Or(filters=filters):
            found = _all([evaluate(Not(filter=inner), on) for inner in filters])
            return None if found is None else not found
        case Exists(field=name):
            return on.fields.get(name) is not None
        case Match(text=text):
            return any(_holds(chunk, text, on.language) for chunk in on.chunks)
        case Eq(field=name, value=value):
            return _compared(on.fields.get(name), kind_of(value), lambda it: it == value)
        case Ne(field=name, value=value):
            return _compared(on.fields.get(name), kind_of(value), lambda it: it != value)
        case In(field=name, values=values):
            return _compared(on.fields.get(name), kind_of(values[0]), lambda it: it in values)
        case Range(field=name):
            kind = kind_of(next(iter(where.bounds.values())))
            return _compared(
                on.fields.get(name),
                kind,
                lambda it: all(_COMPARE[op](it, bound) for op, bound in where.bounds.items()),
            )


def judged(record: DocumentRecord, terms: Sequence[ChunkTerms]) -> Judged:
    """Return what a filter sees of a document with these chunks."""
    own = {name: getattr(record, key) for name, key in DOCUMENT_FIELDS.items()}
    return Judged(fields={**record.metadata, **own}, chunks=tuple(terms))


def _all(found: list[bool | None]) -> bool | None:
    if False in found:
        return False
    return None if None in found else True


def _compared(value: object, kind: Kind, test: Callable[[object], bool]) -> bool | None:
    """Return the outcome of a test; unknown where the value is missing or of another kind."""
    if value is None:
        return None
    try:
        if kind_of(value) is not kind:
            return None
    except FilterError:
        return None
    return test(float(value) if kind is Kind.NUMBER and isinstance(value, int) else value)


def _holds(chunk: ChunkTerms, text: str, language: Language) -> bool:
    words = parse_words(text)
    terms = {*chunk.lex.split(), *chunk.heading.split()}
    written = f" {chunk.surface} "
    return (
        set(analyse(words.text, language)) <= terms
        and all(f" {' '.join(phrase)} " in written for phrase in words.phrases)
        and all(f" {prefix}" in written for prefix in words.prefixes)
    )
