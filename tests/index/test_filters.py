"""Filters: what is refused, by name and place, and what a declared kind refuses."""

import math

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from index.errors import FilterError
from index.filter_evaluation import Judged, evaluate
from index.filter_sql import FilterScope, chunk_ids, document_ids
from index.filters import And, Eq, Exists, Filter, In, Kind, Match, Not, Or, Range, filter_from_json

DEEP: object = {"exists": "a"}
for _ in range(40):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ([], "filter must be an object with one of the keys"),
        ({}, "filter must be an object"),
        ({"eq": {"a": 1}, "ne": {"a": 1}}, "filter must be an object"),
        ({"like": {"a": 1}}, "filter has the unknown key 'like'"),
        ({"and": {}}, "filter.and must be a list"),
        ({"and": []}, "'and' needs at least one"),
        ({"or": [{"eq": {"a": 1}}, {"eq": 3}]}, r"filter.or\[1\].eq must be an object"),
        ({"not": {"eq": {"a": None}}}, "field 'a': a value must be a text, a number or a boolean"),
        ({"eq": {"a": [1]}}, "field 'a': a value must be"),
        ({"eq": {"a": math.nan}}, "must be finite"),
        ({"eq": {"a": 2**60}}, r"at most 2\^53"),
        ({"eq": {"a": "\0"}}, "NUL"),
        ({"eq": {"a b": 1}}, "field name 'a b' must be"),
        ({"eq": {"document.size": 1}}, "there is no field 'document.size'"),
        ({"in": {"a": "xy"}}, "filter.in.a must be a list"),
        ({"in": {"a": []}}, "1 to 1000 values, got 0"),
        ({"in": {"a": [1, "b"]}}, "mixes number and text"),
        ({"range": {"a": {"from": 1}}}, "filter.range.a must be an object with some of gt"),
        ({"range": {"a": {}}}, "needs a bound"),
        ({"range": {"a": {"gt": 1, "lt": "b"}}}, "must all be numbers or all be texts"),
        ({"range": {"a": {"gt": True}}}, "must all be numbers"),
        ({"exists": 3}, "filter.exists must be a text"),
        ({"match": "  "}, "'match' needs a text"),
        (DEEP, "nested more than"),
        ({"or": [{"exists": "a"}] * 300}, "256 parts, got 301"),
    ],
)
@pytest.mark.untyped
def test_a_form_that_is_no_filter_is_refused_by_place(data: object, part: str) -> None:
    with pytest.raises(FilterError, match=part):
        filter_from_json(data)


def test_the_json_form_is_read() -> None:
    assert filter_from_json(
        {"and": [{"range": {"year": {"gte": 2000, "lt": 2010}}}, {"not": {"in": {"t": ["a"]}}}]}
    ) == And(
        filters=(Range(field="year", gte=2000, lt=2010), Not(filter=In(field="t", values=("a",))))
    )


@pytest.mark.parametrize(
    ("where", "truth"),
    [
        (Eq(field="none", value=1), None),
        (Not(filter=Eq(field="none", value=1)), None),
        (Not(filter=Exists(field="none")), True),
        (Exists(field="null"), False),
        (Eq(field="n", value="1"), None),
        (Eq(field="n", value=True), None),
        (Eq(field="n", value=1.0), True),
        (Or(filters=(Eq(field="none", value=1), Exists(field="n"))), True),
        (Or(filters=(Eq(field="none", value=1), Exists(field="x"))), None),
        (And(filters=(Eq(field="none", value=1), Exists(field="x"))), False),
        (And(filters=(Eq(field="none", value=1), Exists(field="n"))), None),
    ],
)
def test_logic_has_three_values(where: Filter, truth: bool | None) -> None:
    assert evaluate(where, Judged(fields={"n": 1, "null": None})) is truth


def scope(*, is_postgres: bool = False) -> FilterScope:
    return FilterScope(
        collection_id=7,
        fields={"year": Kind.NUMBER},
        matching=lambda _: [1, 2],
        is_postgres=is_postgres,
    )


def test_a_declared_field_is_compared_with_its_kind_only() -> None:
    with pytest.raises(FilterError, match="the filter compares it with a text"):
        chunk_ids(Eq(field="year", value="2020"), scope())
    with pytest.raises(FilterError, match=r"'document.uri' is a text"):
        document_ids(Eq(field="document.uri", value=1), scope())
    with pytest.raises(FilterError, match="256 parts"):
        chunk_ids(Or(filters=(Exists(field="a"),) * 300), scope())


def test_both_dialects_are_written() -> None:
    where = And(
        filters=(
            Eq(field="any", value="x"),
            Eq(field="flag", value=True),
            Range(field="number", gt=1),
            Match(text="tea"),
        )
    )
    lite = str(chunk_ids(where, scope()).compile(dialect=sqlite.dialect()))
    assert "json_type" in lite
    assert "COLLATE" not in lite
    server = chunk_ids(where, scope(is_postgres=True))
    words = str(server.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "json_typeof" in words
    assert 'COLLATE "C"' in words
    assert "->>" in words
