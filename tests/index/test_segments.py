"""Sealed files: searches are those of the rows in memory, and damage costs nothing but time."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from index.collection import StoredCollection
from index.database import open_database, writing
from index.protocol import Hit, Item, Metric, NewDocument
from index.sealing import Sealing, Upkept
from index.store import CollectionStore
from index.tables import commits
from index.testing import FINGERPRINT

DIM = 5


def document(uri: str, seed: int, num_chunks: int = 4) -> NewDocument:
    vectors = np.random.default_rng(seed).integers(-2, 3, (num_chunks, DIM)).astype(np.float32)
    return NewDocument(
        uri=uri, title=uri, media_type="", source_sha256="", text="word " * num_chunks,
        items=[Item(start=5 * i, end=5 * i + 4) for i in range(num_chunks)], vectors=vectors,
    )  # fmt: skip


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    store.create("a", embedder="e", fingerprint=FINGERPRINT, dim=DIM, metric=Metric.INNER_PRODUCT)
    yield store
    store.close()


def write(collection: StoredCollection, *uris: str, seed: int = 0) -> None:
    collection.upsert_many(
        [document(uri, seed + i) for i, uri in enumerate(uris)], fingerprint=FINGERPRINT
    )


def seal(collection: StoredCollection, database: Engine) -> Upkept:
    live = collection._live
    return Sealing(database, live.key, live.folder, threads=1).run(fewest=1, wait=True)


def found(collection: StoredCollection, k: int = 99) -> list[tuple[str, int, float]]:
    """The inner products of small whole numbers are exact, and tie all the time."""
    hits: Sequence[Hit] = collection.search(np.array([1, -1, 2, 0, 1.0]), k)
    return [(hit.uri, hit.start, hit.score) for hit in hits]


@pytest.fixture
def in_memory(database: Engine, tmp_path: Path) -> StoredCollection:
    """The slow obvious twin: no file, all rows compared."""
    return CollectionStore(database, threads=1, folder=tmp_path / "none").open("a")


@pytest.fixture
def collection(store: CollectionStore) -> StoredCollection:
    collection = store.open("a")
    write(collection, *(f"u{i}" for i in range(9)))
    return collection


@pytest.mark.usefixtures("store")
def test_segments_answer_as_the_rows_in_memory_do(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine
) -> None:
    for step in range(4):
        assert found(collection) == found(in_memory)
        assert found(collection, 3) == found(in_memory, 3)
        assert seal(collection, database).num_sealed > 0
        write(collection, f"new{step}", f"u{step}", seed=50 + step)
        record = collection.find(f"u{step + 4}")
        assert record is not None
        collection.delete(record.id)
    assert found(collection) == found(in_memory)
    how = collection.explain()
    assert how.num_segments > 1
    assert how.num_dead > 0
    assert how.num_sealed + how.num_scanned == len(found(in_memory))
    assert collection.explain().num_sealed > how.num_scanned > 0


def test_a_new_process_builds_nothing_and_sees_later_writes(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine, database_url: str
) -> None:
    seal(collection, database)
    engine = open_database(database_url)
    other = CollectionStore(engine, threads=1).open("a")
    assert found(other) == found(in_memory)
    assert other.explain().num_scanned == 0
    write(collection, "u3", "later", seed=70)
    assert found(other) == found(collection) == found(in_memory)
    seal(collection, database)
    assert found(other) == found(in_memory)
    assert other.explain().num_scanned == 0
    engine.dispose()


FILES = ("CURRENT", "manifest", "ids.array", "vectors.array", "ann/header.json")


def current_file(collection: StoredCollection, name: str) -> Path:
    folder = collection._live.folder
    pointer = folder.pointer()
    if name == "CURRENT":
        return folder.path / name
    if name == "manifest":
        return folder.manifests / f"{pointer.split()[0]}.json"
    manifest = folder.manifest(pointer)
    assert manifest is not None
    return folder.segments / manifest.segments[0].name / name


def damaged(data: bytes, damage: str) -> bytes:
    middle = len(data) // 2
    return {
        "flip": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
        "cut": data[:-1],
        "empty": b"",
        "foreign": b"GGUF" * 40,
    }[damage]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove", "foreign"])
def test_a_bad_file_is_set_aside_and_made_anew(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine, damage: str
) -> None:
    seal(collection, database)
    expected = found(in_memory)
    for name in FILES:
        path = current_file(collection, name)
        if damage == "remove":
            path.unlink()
        else:
            path.write_bytes(damaged(path.read_bytes(), damage))
        opened = CollectionStore(database, threads=1).open("a")
        assert found(opened) == expected, path
        assert opened.explain().num_scanned == len(expected), path
        seal(collection, database)
        again = CollectionStore(database, threads=1).open("a")
        assert found(again) == expected, path
        assert again.explain().num_scanned == 0, path
    root = collection._live.folder.path
    reasons = list((root / "quarantine").glob("*.reason"))
    assert damage == "remove" or len(reasons) >= len(FILES) - 1
    assert all(reason.read_text() for reason in reasons)


def test_all_derived_files_can_be_removed(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine
) -> None:
    seal(collection, database)
    root = collection._live.folder.path
    expected = found(in_memory)
    assert found(collection) == expected
    for name in ("segments", "manifests"):
        shutil.rmtree(root / name)
    (root / "CURRENT").unlink()
    assert found(collection) == expected
    assert found(CollectionStore(database, threads=1).open("a")) == expected
    assert seal(collection, database).num_sealed == len(expected)


def test_files_of_another_history_are_not_used(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine
) -> None:
    """After the loss of a log's tail, numbers and ids are given a second time."""
    seal(collection, database)
    with writing(database) as connection:
        connection.execute(commits.update().values(token="another"))
    opened = CollectionStore(database, threads=1).open("a")
    assert found(opened) == found(in_memory)
    assert opened.explain().num_segments == 0


def test_thinned_segments_are_written_anew_and_many_become_one(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine
) -> None:
    seal(collection, database)
    for i in range(3):
        record = collection.find(f"u{i}")
        assert record is not None
        collection.delete(record.id)
    done = seal(collection, database)
    assert (done.num_merged, done.num_dropped) == (1, 1)
    assert found(collection) == found(in_memory)
    assert collection.explain().num_dead == 0
    for i in range(9):
        write(collection, f"more{i}", seed=i)
        done = seal(collection, database)
    assert found(collection) == found(in_memory)
    assert collection.explain().num_segments < 9


def test_a_merge_waits_for_room_and_can_be_interrupted(
    collection: StoredCollection, in_memory: StoredCollection, database: Engine
) -> None:
    live = collection._live
    seal(collection, database)
    for i in range(5):
        record = collection.find(f"u{i}")
        assert record is not None
        collection.delete(record.id)
    sealing = Sealing(database, live.key, live.folder, threads=1)
    assert "needs" in sealing.run(disk_budget=1, wait=True).postponed
    assert sealing.run(should_stop=lambda: True, wait=True).postponed == "interrupted"
    assert found(collection) == found(in_memory)
    with live.folder.locked():
        assert "another" in sealing.run().postponed
    assert sealing.run(wait=True).num_merged == 1
    assert found(collection) == found(in_memory)


def test_what_an_interrupted_write_left_is_swept(
    collection: StoredCollection, database: Engine
) -> None:
    seal(collection, database)
    root = collection._live.folder.path
    (root / "segments" / ".new-000009-0").mkdir()
    (root / "segments" / "000002-0").mkdir()  # renamed, and then nothing came
    (root / "segments" / "000002-0" / "ids.array").write_bytes(b"half")
    (root / ".new-CURRENT").write_bytes(b"half")
    write(collection, "later")
    seal(collection, database)
    assert len(found(collection)) == 40
    assert list(root.rglob(".new-*")) == []
