"""The cache of texts: what it keeps, and that it stays small."""

import numpy as np
from sqlalchemy import Engine

from index.database import reading
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from index.text_cache import TextCache
from tests.databases import Place, both_kinds

pytestmark = both_kinds


def test_the_latest_texts_stay_within_the_bound(database: Engine, place: Place) -> None:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    collection = store.open("notes")
    records = [store_text(collection, uri, uri * 40, [axis(0)]) for uri in "abc"]
    keys = [(record.id, record.text_sha256) for record in records]
    cache = TextCache(max_bytes=100)
    with reading(database) as connection:
        for key in keys:
            cache.read(connection, {key})
        assert list(cache._texts) == keys[1:]
        cache.read(connection, {keys[1]})
        cache.read(connection, {keys[0]})
        assert list(cache._texts) == [keys[1], keys[0]]
        assert cache._num_bytes == 80
        tiny = TextCache(max_bytes=1)
        found = tiny.read(connection, set(keys))
    assert [found[record.id].data for record in records] == [b"a" * 40, b"b" * 40, b"c" * 40]
    assert len(tiny._texts) == 1


def test_a_replaced_text_is_read_anew(database: Engine, place: Place) -> None:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    collection = store.open("notes")
    for word in ("old", "new", "old"):
        store_text(collection, "a", word, [axis(0)])
        assert [hit.text for hit in collection.search(np.ones(DIM), 5)] == [word]
