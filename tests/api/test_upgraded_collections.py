"""Filled databases of every earlier version: upgraded, they answer as new ones do."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    column,
    func,
    insert,
    select,
    table,
)

from api import schema_version
from api.schema_version import database_version, program_version, upgrade
from index import tables
from index.database import reading, writing
from index.filters import Eq, Range
from index.new_rows import document_id_of
from index.row_digests import document_digest, vector_digest
from index.store import CollectionStore
from index.testing import FINGERPRINT, axis, store_text
from tests.databases import Place, both_kinds, place_of

SCRIPTS = Path(schema_version.__file__).parent / "migrations"
REVISIONS = sorted(one.revision for one in ScriptDirectory(str(SCRIPTS)).walk_revisions())
DIM = 7
THEN = datetime(2026, 1, 2, 12, tzinfo=UTC)
# Document b came with write 2, replaced an older one of write 1, and c was deleted by write 3.
TEXTS = {"a": "green tea, Müller's cup", "b": "milk tea", "empty": ""}
SEQS = {"a": 1, "b": 2, "empty": 2}


@pytest.fixture
def place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(database_kind, request, tmp_path) as place:
        yield place


@pytest.fixture
def database(place: Place) -> Iterator[Engine]:
    engine = place.open()
    yield engine
    engine.dispose()


def upgrade_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def put(connection: Connection, name: str, /, **values: Any) -> None:
    """Insert a row by names alone: the tables of the code are those of today."""
    types: dict[type, Any] = {bytes: LargeBinary(), dict: JSON(), list: JSON()}
    types[datetime] = DateTime()
    columns = [column(key, types.get(type(value))) for key, value in values.items()]
    plain = {
        key: value.replace(tzinfo=None) if isinstance(value, datetime) else value
        for key, value in values.items()
    }
    connection.execute(insert(table(name, *columns)).values(plain))


def vector(direction: int) -> bytes:
    return np.array(axis(direction), "<f4").tobytes()


def document(name: str, uri: str, content: str) -> dict[str, Any]:
    data = content.encode()
    return {
        "uri": uri,
        "title": f"On {uri}",
        "media_type": "text/plain",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "text_sha256": hashlib.sha256(data).hexdigest(),
        "num_bytes": len(data),
        "num_chunks": 2 if data else 0,
        "created_at": THEN,
        "metadata": {"year": 2000 + ord(uri[0]), "by": "Müller"},
        "id": document_id_of(name, uri),
    }


def fill(connection: Connection, revision: str) -> None:
    """Store two collections with the same documents, and an empty one, as a program did then."""
    for number, name in enumerate(["first", "second", "none"], start=1):
        is_filled = name != "none"
        put(
            connection, "collections", name=name, embedder="e", fingerprint=FINGERPRINT, dim=DIM,
            metric="cosine", analyser="terms-1", seq=3 * is_filled, seq_deleted=3 * is_filled,
            created_at=THEN,
        )  # fmt: skip
        if revision >= "0005":
            put(
                connection, "vector_sets", collection_id=number, embedder="e",
                fingerprint=FINGERPRINT, dim=DIM, created_at=THEN,
            )  # fmt: skip
        if is_filled:
            for uri, content in TEXTS.items():
                fill_document(connection, revision, number, document(name, uri, content), content)
            if revision >= "0005":
                fill_history(connection, number, document(name, "c", "old cup"), 100 * number)


def fill_document(
    connection: Connection, revision: str, number: int, record: dict[str, Any], content: str
) -> None:
    data, seq = content.encode(), SEQS[record["uri"]]
    put(connection, "documents", **record, collection_id=number, text=data)
    if revision >= "0005":
        put(
            connection, "document_versions", document_id=record["id"], seq_added=seq,
            digest=document_digest(SimpleNamespace(**record)),
        )  # fmt: skip
    half = len(content.split(maxsplit=1)[0].encode()) if data else 0
    for i, (start, end) in enumerate([(0, half), (half + 1, len(data))] if data else []):
        chunk = {
            "document_id": record["id"], "start": start, "end": end,
            "heading_path": ["Über", "tea"], "seq_added": seq,
        }  # fmt: skip
        put(connection, "chunks", **chunk, collection_id=number)
        chunk_id: int = connection.execute(
            select(func.max(column("id"))).select_from(table("chunks"))
        ).scalar_one()
        blob = vector(ord(record["uri"]) - ord("a") + 2 * i)
        if revision < "0005":
            put(connection, "vectors", chunk_id=chunk_id, vector=blob)
            continue
        digest = vector_digest(SimpleNamespace(id=chunk_id, **chunk), number, blob)
        put(connection, "vectors", chunk_id=chunk_id, set_id=number, vector=blob, digest=digest)
        put(connection, "oplog", collection_id=number, seq=seq, chunk_id=chunk_id, op="add")


def fill_history(
    connection: Connection, number: int, record: dict[str, Any], chunk_id: int
) -> None:
    """Add the writes, and a document that the first stored and the third deleted."""
    for seq in (1, 2, 3):
        put(connection, "commits", collection_id=number, seq=seq, token=f"t{seq}", at=THEN)
    record |= {"num_chunks": 1}
    digest = document_digest(SimpleNamespace(**record))
    old = {**record, "document_id": record["id"]}
    del old["id"]
    put(
        connection, "old_documents", **old, collection_id=number, seq_added=1, seq_deleted=3,
        digest=digest, text=b"old cup",
    )  # fmt: skip
    chunk = {
        "id": chunk_id, "document_id": record["id"], "start": 4, "end": 7, "heading_path": [],
        "seq_added": 1,
    }  # fmt: skip
    put(
        connection, "old_chunks", **chunk, collection_id=number, seq_deleted=3, set_id=number,
        digest=vector_digest(SimpleNamespace(**chunk), number, vector(6)), vector=vector(6),
    )  # fmt: skip
    put(connection, "oplog", collection_id=number, seq=1, chunk_id=chunk_id, op="add")
    put(connection, "oplog", collection_id=number, seq=3, chunk_id=chunk_id, op="delete")
    put(connection, "snapshots", collection_id=number, name="then", seq=2, created_at=THEN)


@pytest.fixture
def upgraded(database: Engine, place: Place, revision: str) -> Iterator[CollectionStore]:
    with writing(database) as connection:
        upgrade_to(connection, revision)
        fill(connection, revision)
    assert database_version(database) == revision
    upgrade(database)
    assert database_version(database) == program_version()
    store = CollectionStore(database, threads=1, folder=place.folder)
    yield store
    store.close()


@both_kinds
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_was_stored_is_found_kept_and_changed(
    upgraded: CollectionStore, database: Engine, revision: str
) -> None:
    assert [(info.name, info.num_documents, info.num_chunks) for info in upgraded.list()] == [
        ("first", 3, 4), ("none", 0, 0), ("second", 3, 4)
    ]  # fmt: skip
    for name in ("first", "second"):
        collection = upgraded.open(name)
        for uri, content in TEXTS.items():
            record = collection.find(uri)
            assert record is not None
            assert collection.get(record.id) == (record, content)
            assert (record.created_at, record.metadata["by"]) == (THEN, "Müller")
        (first,) = collection.search(np.array(axis(1)), 1)
        assert (first.uri, first.text, first.heading_path) == ("b", "milk", ("Über", "tea"))
        assert {hit.text for hit in collection.search_terms("tea", 9)} >= {
            "tea",
            "tea, Müller's cup",
        }
        assert [hit.uri for hit in collection.search_terms("cup", 9)] == ["a"]
        assert len(collection.search(np.ones(DIM), 9, where=Eq(field="by", value="Müller"))) == 4
        assert collection.count(Range(field="year", gt=2097)) == 2
        assert upgraded.maintenance(name).verify().problems == ()
    assert not upgraded.open("none").search(np.ones(DIM), 9)

    collection = upgraded.open("first")
    store_text(collection, "b", "new words", [axis(5), axis(6)])
    collection.delete(document_id_of("first", "a"))
    assert upgraded.maintenance("first").compact() == ""
    assert {hit.text for hit in collection.search(np.ones(DIM), 9)} == {"new", "words"}
    assert upgraded.maintenance("first").verify().problems == ()
    assert len(upgraded.open("second").search(np.ones(DIM), 9)) == 4
    versions = upgraded.versions("first")
    before = versions.search(np.array(axis(1)), 9, at=3)
    assert before.is_complete
    assert {hit.text for hit in before.hits} == {"green", "tea, Müller's cup", "milk", "tea"}
    with reading(database) as connection:
        sets = connection.scalars(select(tables.vector_sets.c.collection_id)).all()
    assert sorted(sets) == [1, 2, 3]


@both_kinds
@pytest.mark.parametrize("revision", REVISIONS)
def test_history_that_was_kept_is_there_and_what_was_not_is_said(
    upgraded: CollectionStore, revision: str
) -> None:
    versions = upgraded.versions("second")
    past = versions.search(np.array(axis(6)), 1, at=2)
    words = versions.search_terms("cup", 9, at=1)
    if revision < "0005":
        assert past.reason == words.reason == "the history of this collection begins with write 3"
        assert versions.snapshots() == []
    else:
        assert [hit.text for hit in past.hits] == ["cup"]
        assert past.is_complete
        assert {hit.uri for hit in words.hits} == {"a", "c"}
        assert [(one.name, one.seq) for one in versions.snapshots()] == [("then", 2)]
