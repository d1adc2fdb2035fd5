"""Searches that have no time left say how far they came."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine

from index.collection import StoredCollection
from index.deadline import Deadline
from index.filters import Eq
from index.protocol import Scored
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text

SOON = 1e-9


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    yield store
    store.close()


@pytest.fixture
def collection(store: CollectionStore) -> StoredCollection:
    """Two segments of two chunks, and one chunk in none."""
    collection = store.open("notes")
    for i in range(2):
        store_text(collection, f"u{i}", "tea milk", [axis(i), axis(i + 1)])
        store.maintenance("notes").compact()
    store_text(collection, "u2", "tea", [axis(2)])
    assert collection.explain().num_segments in {0, 2}
    return collection


def fuse(near: object, words: object) -> dict[int, float]:
    return {
        one.chunk_id: one.score
        for lane in (near, words)
        for one in lane  # type: ignore[attr-defined]  # both are lists of these
        if isinstance(one, Scored)
    }


def test_what_was_found_in_time_comes_back_as_incomplete(collection: StoredCollection) -> None:
    whole = collection.search(np.ones(DIM), 9, deadline_s=60.0)
    assert (whole.complete, whole.scanned, len(whole)) == (True, 5, 5)
    cut = collection.search(np.ones(DIM), 9, deadline_s=SOON)
    assert (cut.complete, cut.scanned, [hit.uri for hit in cut]) == (False, 1, ["u2"])
    assert cut.seq == whole.seq
    # Enough hits, and yet nearer ones may have been left out.
    assert not collection.search(np.ones(DIM), 1, deadline_s=SOON).complete
    none = collection.search(
        np.ones(DIM), 9, where=Eq(field="document.uri", value="u0"), deadline_s=SOON
    )
    assert (none.complete, none.scanned, len(none)) == (False, 0, 0)
    assert collection.search(np.ones(DIM), 9).complete


def test_a_deadline_in_the_middle_leaves_the_rest_out(
    collection: StoredCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.search(np.ones(DIM), 9)
    looks = iter([False, True, True])
    monkeypatch.setattr(Deadline, "is_over", property(lambda _: next(looks)))
    cut = collection.search(np.ones(DIM), 9)
    assert (cut.complete, cut.scanned, len(cut)) == (False, 3, 3)


def test_the_lane_of_words_is_not_begun_too_late(collection: StoredCollection) -> None:
    assert len(collection.search_terms("tea", 9, deadline_s=60.0)) == 3
    late = collection.search_terms("tea", 9, deadline_s=SOON)
    assert (late.complete, late.scanned, len(late)) == (False, 0, 0)
    both = collection.search_fused(np.ones(DIM), "tea", 9, depth=9, fuse=fuse, deadline_s=SOON)
    assert (both.complete, both.scanned, [hit.uri for hit in both]) == (False, 1, ["u2"])
    both = collection.search_fused(np.ones(DIM), "tea", 9, depth=9, fuse=fuse, deadline_s=60.0)
    assert (both.complete, len(both)) == (True, 5)


def test_nobody_waits_longer_for_another_search(collection: StoredCollection) -> None:
    locks: list[threading.Lock] = [collection._live.lock, collection._lane.lock]
    for lock in locks:
        with lock:
            late = collection.search_fused(
                np.ones(DIM), "tea", 9, depth=9, fuse=fuse, deadline_s=0.02
            )
            assert (late.complete, late.scanned) == (False, 0)
    with collection._live.lock:
        assert not collection.search(np.ones(DIM), 9, deadline_s=0.02).complete
    with collection._lane.lock:
        assert not collection.search_terms("tea", 9, deadline_s=0.02).complete
    assert len(collection.search_terms("tea", 9)) == 3


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_deadline_that_is_none_is_refused(collection: StoredCollection, seconds: float) -> None:
    with pytest.raises(ValueError, match="deadline_s must be above 0"):
        collection.search(np.ones(DIM), 9, deadline_s=seconds)
