"""An index whose recall fell below what is wanted mends itself."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine

from index import retuning
from index.collection import StoredCollection
from index.protocol import Item, Metric, NewDocument
from index.sealing import Sealing
from index.store import CollectionStore
from index.testing import FINGERPRINT
from index.tuning import Choice, Target, Trial, Tuning

DIM, NUM = 16, 3_000


def rows(seed: int, num: int = NUM) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, DIM)).astype(np.float32)


def tuning(choice: Choice, *, num_rows: int = NUM, recall: float = 0.95) -> Tuning:
    """What a tuner said that saw other vectors."""
    trial = Trial(
        choice=choice, num_rows=num_rows, recall=1.0, recall_low=1.0, p50_ms=1.0, p95_ms=1.0,
        build_s=1.0, memory=1,
    )  # fmt: skip
    return Tuning(
        target=Target(recall=recall), choice=choice, num_rows=num_rows, dim=DIM, metric="l2",
        queries="held out", num_queries=9, seed=0, trials=(trial,),
    )  # fmt: skip


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    store.create("a", embedder="e", fingerprint=FINGERPRINT, dim=DIM, metric=Metric.L2)
    yield store
    store.close()


@pytest.fixture
def collection(store: CollectionStore) -> StoredCollection:
    collection = store.open("a")
    collection.upsert_many(
        [
            NewDocument(
                uri=f"u{i}", title="", media_type="", source_sha256="", text="tea " * 100,
                items=[Item(start=4 * j, end=4 * j + 3) for j in range(100)],
                vectors=rows(i, 100),
            )
            for i in range(NUM // 100)
        ],
        fingerprint=FINGERPRINT,
    )  # fmt: skip
    return collection


def seal(collection: StoredCollection, database: Engine) -> None:
    live = collection._live
    Sealing(database, live.key, live.folder, threads=1).run(fewest=1, wait=True)


def recall(collection: StoredCollection) -> float:
    """Of the ten nearest of 50 questions, compared by hand."""
    stored = np.concatenate([rows(i, 100) for i in range(NUM // 100)])
    found = []
    for query in rows(999, 50):
        scores = np.sort(-(np.linalg.norm(stored - query, axis=1) ** 2))[-10]
        found.append(np.mean([hit.score >= scores - 1e-4 for hit in collection.search(query, 10)]))
    return float(np.mean(found))


STARVED = Choice(method="ivfpq", parameters={"num_lists": 64, "refined": 100}, effort=1)


def test_too_little_effort_is_raised_without_new_files(
    store: CollectionStore, collection: StoredCollection, database: Engine
) -> None:
    store.tunings.save("a", tuning(STARVED))
    seal(collection, database)
    upkeep = store.maintenance("a")
    assert upkeep.measure() is not None
    assert upkeep.health().is_breached
    assert recall(collection) < 0.8
    files = {path.name for path in collection._live.folder.segments.iterdir()}

    said = upkeep.retune()
    assert "is below 0.95: ivfpq" in said
    health = upkeep.health()
    assert health.is_well
    assert health.recall is not None
    assert health.recall.low >= 0.95
    assert recall(collection) >= 0.93
    assert {path.name for path in collection._live.folder.segments.iterdir()} == files
    assert upkeep.verify().is_clean
    assert upkeep.retune() == ""


def test_an_index_that_no_effort_saves_is_tuned_or_compared_one_by_one(
    store: CollectionStore,
    collection: StoredCollection,
    database: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retuning, "MOST_BYTES", 0)
    torn = Choice(method="hnsw", parameters={"m": 2, "ef_construction": 2}, effort=1)
    monkeypatch.setattr(retuning, "_MOST_RISE", 1)
    store.tunings.save("a", tuning(torn))
    seal(collection, database)
    assert recall(collection) < 0.8
    assert "flat" in store.maintenance("a").retune()
    assert recall(collection) == 1
    monkeypatch.setattr(retuning, "MOST_BYTES", 1 << 29)
    store.tunings.save("a", tuning(torn))
    seal(collection, database)
    assert store.maintenance("a").retune()
    latest = store.tunings.latest("a")
    assert latest is not None
    assert len(latest.trials) >= 1
    assert latest.num_rows == NUM
    assert recall(collection) >= 0.93


def test_the_target_that_somebody_chose_is_what_is_wanted(
    store: CollectionStore, collection: StoredCollection, database: Engine
) -> None:
    store.tunings.save("a", tuning(STARVED, recall=0.05))
    seal(collection, database)
    upkeep = store.maintenance("a")
    assert not upkeep.health(measure=True).is_breached
    assert upkeep.health().wanted_recall == 0.05
    assert upkeep.retune() == ""


def test_a_collection_that_grew_fourfold_is_tuned_anew(
    store: CollectionStore, collection: StoredCollection, database: Engine
) -> None:
    store.tunings.save("a", tuning(Choice(method="flat", parameters={}, effort=1), num_rows=700))
    seal(collection, database)
    assert "tuned on 700 rows, now 3000: flat" in store.maintenance("a").retune()
    latest = store.tunings.latest("a")
    assert latest is not None
    assert latest.num_rows == NUM


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_is_measured_is_mended_in_the_background(
    store: CollectionStore, collection: StoredCollection, database: Engine, is_asked: bool
) -> None:
    """When its health is asked, and when a server begins."""
    store.tunings.save("a", tuning(STARVED))
    seal(collection, database)
    if is_asked:
        assert store.maintenance("a").health(measure=True).is_breached
    else:
        store.watch()
    until = time.monotonic() + 30
    while (health := store.maintenance("a").health()).is_breached or health.recall is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert recall(collection) >= 0.93
