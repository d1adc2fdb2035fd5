"""A disk without room: named, nothing half there, and all is well once there is room again.

A real full disk is in `benchmarks.crash`; here SQLite is given a size, and files a longest length.
"""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from index.database import reading
from index.errors import StorageFullError
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import Place


@contextmanager
def longest_file(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_database(database: Engine) -> Iterator[None]:
    """Let the database have the pages that it has, and no more."""
    raw = database.raw_connection()
    cursor = raw.cursor()
    (most,) = cursor.execute("PRAGMA max_page_count").fetchone()
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    (now,) = cursor.execute("PRAGMA page_count").fetchone()
    cursor.execute(f"PRAGMA max_page_count = {now}").fetchone()
    raw.close()  # to the pool, whose only connection it is
    try:
        yield
    finally:
        raw = database.raw_connection()
        raw.cursor().execute(f"PRAGMA max_page_count = {most}").fetchone()
        raw.close()


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    yield store
    store.close()


def large(uri: str) -> NewDocument:
    return NewDocument(
        uri=uri,
        title="",
        media_type="",
        source_sha256="",
        text="tea " * 50_000,
        items=[Item(start=0, end=3)] * 50,
        vectors=np.ones((50, DIM), np.float32),
    )


def test_a_write_that_the_database_has_no_room_for_is_not_there(
    store: CollectionStore, database: Engine
) -> None:
    collection = store.open("notes")
    store_text(collection, "a", "tea", [axis(0)])
    with (
        full_database(database),
        pytest.raises(StorageFullError, match=r"disk of .*causerie\.sqlite is full.*make room"),
    ):
        collection.upsert_many([large("b"), large("c")], fingerprint=FINGERPRINT)
    assert [record.uri for record in collection.documents()] == ["a"]
    assert len(collection.search_terms("tea", 99)) == 1
    collection.upsert_many([large("b")], fingerprint=FINGERPRINT)
    assert len(collection.search(np.ones(DIM), 99)) == 51
    assert store.maintenance("notes").verify().is_clean


def test_a_segment_that_has_no_room_is_not_there_and_is_written_later(
    store: CollectionStore, place: Place
) -> None:
    collection = store.open("notes")
    collection.upsert_many([large(f"u{i}") for i in range(3)], fingerprint=FINGERPRINT)
    upkeep = store.maintenance("notes")
    with longest_file(2_000), pytest.raises(StorageFullError, match="is full"):
        upkeep.compact()
    assert len(collection.search(np.ones(DIM), 999)) == 150
    assert upkeep.verify().is_clean
    assert not list(place.folder.rglob(".new-*"))
    assert upkeep.compact() == ""
    assert upkeep.stats().num_segments == 1
    assert upkeep.verify().is_clean


def test_the_room_to_acknowledge_is_taken_before_the_write(
    store: CollectionStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = store.open("notes")

    def refuse(_path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), len(data))

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StorageFullError):
            store_text(collection, "a", "tea", [axis(0)])
    assert collection.count() == 0
    assert not (place.folder / "1" / "SEQ").exists()
    store_text(collection, "a", "tea", [axis(0)])
    assert collection.count() == 1
    assert store.maintenance("notes").health().is_well


def test_a_failure_that_has_another_reason_keeps_its_name(
    store: CollectionStore, database: Engine, place: Place
) -> None:
    with pytest.raises(Exception, match="no such table"), reading(database) as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    store_text(store.open("notes"), "a", "tea", [axis(0)])
    (place.folder / "1" / "segments").write_text("in the way")
    with pytest.raises(FileExistsError):
        store.maintenance("notes").compact()
