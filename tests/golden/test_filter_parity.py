"""Filters as SQL against the evaluator in Python, on any metadata and any filter."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from index import tables
from index.collection import StoredCollection
from index.database import writing
from index.filter_evaluation import evaluate, judged
from index.filters import (
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
    filter_from_json,
    filter_to_json,
)
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from index.testing import FINGERPRINT, MemoryCollection
from tests.databases import POSTGRESQL, SQLITE, place_of

DECLARED = {"year": Kind.NUMBER, "tag": Kind.TEXT, "open": Kind.BOOLEAN}
TEXTS = ["a", "B", "é", "ab", "", "茶", "ﬀ", "\U0001f375", "'", '"%_']
NUMBERS = [-1, 0, 1, 2020, 2**53, 10**18]
WORDS = ["tea", "milk", "running", "茶文化", "the"]

metadata = st.fixed_dictionaries(
    {},
    optional={
        "year": st.sampled_from(NUMBERS),
        "tag": st.sampled_from(TEXTS),
        "open": st.booleans(),
        "any": st.sampled_from([*TEXTS, *NUMBERS, True, False]),
        "x.y-z": st.sampled_from(TEXTS),
    },
)
texts = st.sampled_from(TEXTS)
numbers = st.sampled_from([*NUMBERS[:-1], 0.5, 2019.5])
kinds: Mapping[str, st.SearchStrategy[Any]] = {
    "year": numbers,
    "tag": texts,
    "open": st.booleans(),
    "x.y-z": texts,
    "document.uri": texts,
}
values: st.SearchStrategy[Any] = st.one_of(texts, numbers, st.booleans())


@st.composite
def leaves(draw: st.DrawFn) -> Filter:
    field = draw(st.sampled_from([*kinds, "any", "none"]))
    value = kinds.get(field, values)
    kind = draw(st.sampled_from(["eq", "ne", "in", "range", "exists", "match"]))
    if kind == "eq":
        return Eq(field=field, value=draw(value))
    if kind == "ne":
        return Ne(field=field, value=draw(value))
    if kind == "in":
        one: st.SearchStrategy[Any] = (
            st.one_of(texts, numbers) if field in {"any", "none"} else value
        )
        first = draw(one)
        same: st.SearchStrategy[Any] = st.lists(
            texts if isinstance(first, str) else one, max_size=3
        )
        others = [v for v in draw(same) if type(v) is type(first)]
        return In(field=field, values=(first, *others))
    if kind == "range" and field != "open":
        bounds: st.SearchStrategy[Any] = (
            texts if field in {"tag", "x.y-z", "document.uri"} else numbers
        )
        names = draw(st.sets(st.sampled_from(["gt", "gte", "lt", "lte"]), min_size=1, max_size=2))
        return Range(field=field, **{name: draw(bounds) for name in sorted(names)})
    if kind == "match":
        words = st.sampled_from(["tea", "runs", '"milk tea"', "runn*", "tea milk", "文化", "x"])
        return Match(text=draw(words))
    return Exists(field=field)


filters = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        inner.map(lambda f: Not(filter=f)),
        st.lists(inner, min_size=1, max_size=3).map(lambda fs: And(filters=tuple(fs))),
        st.lists(inner, min_size=1, max_size=3).map(lambda fs: Or(filters=tuple(fs))),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", params=[SQLITE, POSTGRESQL])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectionStore]:
    with place_of(request.param, request, tmp_path_factory.mktemp("filters")) as place:
        engine = place.open()
        with writing(engine) as connection:
            tables.metadata.create_all(connection)
        store = CollectionStore(engine, threads=1, folder=place.folder)
        yield store
        store.close()
        engine.dispose()


@pytest.fixture(scope="module")
def collections(
    store: CollectionStore,
) -> tuple[StoredCollection, MemoryCollection]:
    """The same 60 documents in SQL and in memory, and a collection that must not be seen."""
    for name in ("other", "c"):
        store.create(name, embedder="e", fingerprint=FINGERPRINT, dim=2, fields=DECLARED)
    twin = MemoryCollection(dim=2)
    draws = np.random.default_rng(3)

    def pick(values: list[object]) -> object:
        return values[int(draws.integers(len(values)))]

    pools: Mapping[str, list[object]] = {
        "year": [*NUMBERS],
        "tag": [*TEXTS],
        "open": [True, False],
        "any": [*TEXTS, *NUMBERS, True, False],
        "x.y-z": [*TEXTS],
    }
    documents = []
    for i in range(60):
        content = " ".join(str(pick([*WORDS])) for _ in range(4))
        half = len(" ".join(content.split(" ")[:2]).encode())
        documents.append(
            NewDocument(
                uri=f"{pick([*TEXTS])}{i}",
                title="t",
                media_type="text/plain",
                source_sha256="",
                text=content,
                items=[
                    Item(start=0, end=half),
                    Item(start=half + 1, end=len(content.encode())),
                ],
                vectors=draws.normal(size=(2, 2)).astype(np.float32),
                metadata={n: pick(p) for n, p in pools.items() if draws.random() < 0.6},  # type: ignore[misc]
            )
        )
    for name in ("other", "c"):
        store.open(name).upsert_many(documents, fingerprint=FINGERPRINT)
    for new in documents:
        twin.upsert(
            uri=new.uri,
            title=new.title,
            media_type=new.media_type,
            source_sha256="",
            text=new.text,
            items=new.items,
            vectors=new.vectors,
            fingerprint=FINGERPRINT,
            metadata=new.metadata,
        )
    return store.open("c"), twin


@settings(max_examples=150, deadline=None, derandomize=True)
@given(where=filters)
def test_sql_finds_what_the_evaluator_finds(
    collections: tuple[StoredCollection, MemoryCollection], where: Filter
) -> None:
    stored, twin = collections
    query = np.array([1.0, 0.5])
    expected = twin.search(query, 200, where=where)
    found = stored.search(query, 200, where=where)
    assert [(h.uri, h.start) for h in found] == [(h.uri, h.start) for h in expected]
    assert found.complete
    assert found.scanned == len(expected)
    assert stored.search(query, 3, where=where).hits == found.hits[:3]

    words = stored.search_terms("tea running", 200, where=where)
    assert [(h.uri, h.start) for h in words] == [
        (h.uri, h.start) for h in twin.search_terms("tea running", 200, where=where)
    ]

    uris = sorted(
        kept.record.uri
        for kept in twin._stored.values()
        if evaluate(where, judged(kept.record, kept.checked.terms))
    )
    assert stored.count(where) == len(uris)
    assert [record.uri for record in stored.documents(200, where=where)] == uris
    assert filter_from_json(filter_to_json(where)) == where


def test_a_missing_field_is_found_by_not_exists_alone(
    collections: tuple[StoredCollection, MemoryCollection],
) -> None:
    stored, _ = collections
    num, lacking = stored.count(), stored.count(Not(filter=Exists(field="tag")))
    assert 0 < lacking < num
    for where in (Eq(field="tag", value="a"), Range(field="tag", lt="b"), Exists(field="tag")):
        assert stored.count(where) + stored.count(Not(filter=where)) == (
            num if isinstance(where, Exists) else num - lacking
        )


def test_documents_that_a_filter_finds_are_deleted_together(store: CollectionStore) -> None:
    store.create("gone", embedder="e", fingerprint=FINGERPRINT, dim=2, fields=DECLARED)
    collection = store.open("gone")
    collection.upsert_many(
        [
            NewDocument(
                uri=f"u{i}",
                title="",
                media_type="text/plain",
                source_sha256="",
                text="tea" if i % 2 else "milk",
                items=[Item(start=0, end=3)],
                vectors=np.ones((1, 2), np.float32),
                metadata={"year": i},
            )
            for i in range(10)
        ],
        fingerprint=FINGERPRINT,
    )
    assert collection.delete_where(Range(field="year", gte=4)) == 6
    assert collection.delete_where(Match(text="tea")) == 2
    assert [hit.uri for hit in collection.search(np.ones(2), 9)] == ["u0", "u2"]
    assert not collection.search_terms("tea", 9)
    assert collection.delete_where(Eq(field="year", value=99)) == 0


def test_the_largest_filter_is_within_the_parameters_of_a_statement(
    collections: tuple[StoredCollection, MemoryCollection],
) -> None:
    stored, twin = collections
    wanted = tuple(range(1000))
    parts: list[Filter] = [In(field=name, values=wanted) for name in ["year", "any"] * 6]
    largest = Or(filters=(*parts, Match(text="tea")))
    expected = twin.search(np.ones(2), 200, where=largest)
    assert len(stored.search(np.ones(2), 200, where=largest)) == len(expected) > 0


@pytest.mark.slow
def test_words_that_most_chunks_hold_can_be_asked_for(store: CollectionStore) -> None:
    """On a server their ids are sent along: there are more than a statement has parameters."""
    store.create("many", embedder="e", fingerprint=FINGERPRINT, dim=2, fields=DECLARED)
    collection = store.open("many")
    num, chunks_each = 17, 4_000
    content = "tea " * chunks_each
    collection.upsert_many(
        [
            NewDocument(
                uri=f"u{i}",
                title="",
                media_type="text/plain",
                source_sha256="",
                text=content + ("milk" if i == 3 else "cups"),
                items=[Item(start=4 * j, end=4 * j + 3) for j in range(chunks_each)]
                + [Item(start=4 * chunks_each, end=4 * chunks_each + 4)],
                vectors=np.ones((chunks_each + 1, 2), np.float32),
                metadata={"year": i},
            )
            for i in range(num)
        ],
        fingerprint=FINGERPRINT,
    )
    # A server does so by itself within a minute; until then it may plan for empty tables, and such
    # a search takes minutes.
    with writing(store._database) as connection:
        connection.execute(sqlalchemy.text("ANALYZE"))
    tea = Match(text="tea")
    assert collection.search(np.ones(2), 1, where=tea).scanned == num * chunks_each > 65_535
    assert collection.search(np.ones(2), 99, where=Not(filter=tea)).scanned == num
    both = And(filters=(tea, Range(field="year", lt=2)))
    assert collection.search(np.ones(2), 1, where=both).scanned == 2 * chunks_each
    assert collection.search_terms("tea", 3, where=both).complete
    assert collection.count(tea) == num
    assert collection.count(Not(filter=Match(text="milk"))) == num - 1
    assert collection.delete_where(Match(text="milk")) == 1
    assert collection.delete_where(tea) == num - 1


def test_a_document_with_a_value_of_another_kind_is_refused(store: CollectionStore) -> None:
    store.create("kinds", embedder="e", fingerprint=FINGERPRINT, dim=2, fields=DECLARED)
    wrong = NewDocument(
        uri="u",
        title="",
        media_type="text/plain",
        source_sha256="",
        text="tea",
        items=[],
        vectors=np.ones((0, 2), np.float32),
        metadata={"year": "2020"},
    )
    with pytest.raises(ValueError, match="'year' of collection 'kinds' is declared as number"):
        store.open("kinds").upsert_many([wrong], fingerprint=FINGERPRINT)
    with pytest.raises(ValueError, match="every document has the field"):
        store.create(
            "bad", embedder="e", fingerprint="f", dim=2, fields={"document.uri": Kind.TEXT}
        )
