"""What both kinds of database can hold, and what both refuse."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from index.filters import Eq
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import Place, both_kinds

pytestmark = both_kinds
PLAIN = NewDocument(
    uri="u",
    title="",
    media_type="text/plain",
    source_sha256="",
    text="tea",
    items=[Item(start=0, end=3)],
    vectors=np.ones((1, DIM), np.float32),
)


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    yield store
    store.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"uri": "a\0b"},
        {"title": "\0"},
        {"media_type": "text\0"},
        {"metadata": {"author": "a\0"}},
        {"metadata": {"a\0": 1}},
        {"metadata": {"author": "\ud800"}},
        {"metadata": {"size": 10**400}},
        {"metadata": {"size": float("inf")}},
        {"metadata": {"tags": ["a", {"b": "\0"}]}},
    ],
)
@pytest.mark.untyped
def test_what_one_of_the_databases_cannot_hold_is_refused_by_both(
    store: CollectionStore, changed: dict[str, Any]
) -> None:
    collection = store.open("notes")
    with pytest.raises(ValueError, match=r"NUL|not finite"):
        collection.upsert_many([replace(PLAIN, **changed)], fingerprint=FINGERPRINT)
    assert collection.count() == 0


def test_a_text_may_hold_any_character(store: CollectionStore) -> None:
    collection = store.open("notes")
    content = "tea\0milk \x01 \U0001f375"
    item = Item(start=0, end=len(content.encode()), heading_path=("a\0b",))
    record = store_text(collection, "a", content, [axis(0)], items=[item])
    (hit,) = collection.search_terms("milk", 9)
    assert hit.text == content == collection.get(record.id)[1]
    assert hit.heading_path == ("a\0b",)
    assert collection.search(np.ones(DIM), 9, where=Eq(field="document.uri", value="a"))
