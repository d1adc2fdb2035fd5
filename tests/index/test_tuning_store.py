"""Records of tunings, and the vectors they are made on."""

import numpy as np
import pytest
from sqlalchemy import Engine, delete, update

from index import tables
from index.database import writing
from index.errors import DamagedDocumentError, UnknownCollectionError
from index.protocol import Metric
from index.store import CollectionStore
from index.testing import FINGERPRINT, axis, store_text
from index.tuner import tune
from index.tuning import Target
from index.tuning_store import TuningStore
from tests.databases import Place, both_kinds

pytestmark = both_kinds


@pytest.fixture
def store(database: Engine, place: Place) -> CollectionStore:
    store = CollectionStore(database, threads=1, folder=place.folder)
    store.create("made", embedder="test", fingerprint=FINGERPRINT, dim=7)
    return store


def test_vectors_come_in_the_order_of_storing_and_at_length_one(
    database: Engine, store: CollectionStore
) -> None:
    store_text(store.open("made"), "a", "one two", [axis(0, 5.0), axis(1)])
    store_text(store.open("made"), "b", "three", [axis(2, 0.5)])
    found = TuningStore(database).rows("made")
    assert found.metric is Metric.COSINE
    assert found.rows.tolist() == [axis(0), axis(1), axis(2)]


def test_the_latest_record_counts_and_dies_with_its_collection(
    database: Engine, store: CollectionStore
) -> None:
    rows = np.random.default_rng(1).normal(size=(211, 7)).astype(np.float32)
    first = tune(rows, Metric.L2, target=Target(p95_ms=1e6))
    second = tune(rows[:101], Metric.L2, target=Target(p95_ms=1e6))
    records = TuningStore(database)
    assert records.latest("made") is None
    records.save("made", first)
    records.save("made", second)
    assert records.latest("made") == second
    store.delete("made")
    store.create("made", embedder="test", fingerprint=FINGERPRINT, dim=7)
    assert records.latest("made") is None


def test_what_is_missing_or_damaged_is_named(database: Engine, store: CollectionStore) -> None:
    records = TuningStore(database)
    with pytest.raises(UnknownCollectionError, match="'other'; there are 'made'"):
        records.rows("other")
    store_text(store.open("made"), "a", "one", [axis(0)])
    with writing(database) as connection:
        connection.execute(update(tables.vectors).values(vector=b"123"))
    with pytest.raises(DamagedDocumentError, match="has not 7 components"):
        records.rows("made")
    with writing(database) as connection:
        connection.execute(delete(tables.collections))
    with pytest.raises(UnknownCollectionError, match="there are none"):
        records.latest("made")
