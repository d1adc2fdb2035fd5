"""Exported collections come back as they were, bit for bit, on either kind of database."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from index import tables
from index.database import writing
from index.errors import (
    DamagedDocumentError,
    DriverMissingError,
    EmbedderMismatchError,
    PortableFormatError,
    UnknownCollectionError,
)
from index.filters import Kind
from index.importing import Importer
from index.parquet_file import read_parquet, write_parquet
from index.portable import (
    PortableHeader,
    document_from_json,
    document_to_json,
    in_batches,
)
from index.protocol import Item, Metric, NewDocument
from index.stop_words import Language
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis
from tests.databases import Place, both_kinds


@pytest.fixture
def store(database: Engine, place: Place) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1, folder=place.folder)
    yield store
    store.close()


def some_documents() -> list[NewDocument]:
    rng = np.random.default_rng(3)
    texts = ["thé 茶\r\n🍵", "", "x" * 400, "\u2028line\x00end"]
    return [
        NewDocument(
            uri=f"u/{i} é",
            title=f'"{i}"\n',
            media_type="text/plain",
            source_sha256=f"{i}" * 64,
            text=text,
            items=[Item(start=0, end=len(text.encode()), heading_path=("A\tb", "ü"))] * (i % 3),
            vectors=rng.normal(size=(i % 3, DIM)).astype(np.float32) * 10.0 ** rng.integers(-9, 9),
            metadata={"pages": i, "language": "fr"},
        )
        for i, text in enumerate(texts, start=3)
        if text or not i % 3
    ]


def filled(store: CollectionStore) -> list[NewDocument]:
    store.create(
        "notes",
        embedder="embedder-1",
        fingerprint=FINGERPRINT,
        dim=DIM,
        metric=Metric.L2,
        language=Language.FRENCH,
        fields={"pages": Kind.NUMBER},
    )
    stored = sorted(some_documents(), key=lambda document: document.uri.encode())
    store.open("notes").upsert_many(stored, fingerprint=FINGERPRINT)
    return stored


def as_values(document: NewDocument) -> dict[str, Any]:
    """Everything of a document as values that can be compared."""
    found = {f.name: getattr(document, f.name) for f in dataclasses.fields(document)}
    return {
        **found,
        "items": list(document.items),
        "vectors": document.vectors.astype("<f4").tobytes(),
    }


@both_kinds
def test_a_collection_comes_back_as_it_was(store: CollectionStore) -> None:
    stored = filled(store)
    with store.exported("notes") as (header, documents):
        lines = [header.to_json(), *map(document_to_json, documents)]
    assert not any("\n" in line for line in lines)
    again = PortableHeader.from_json(lines[0])
    assert again == header
    assert (again.metric, again.language, again.num_documents) == (
        Metric.L2, Language.FRENCH, len(stored)
    )  # fmt: skip
    found = [
        document_from_json(line, dim=again.dim, number=i) for i, line in enumerate(lines[1:], 2)
    ]
    assert [as_values(one) for one in found] == [as_values(one) for one in stored]
    Importer(store, again, "copy").add(found)
    with store.exported("copy") as (copied, documents):
        assert [document_to_json(one) for one in documents] == lines[1:]
    assert copied == dataclasses.replace(header, name="copy")
    query = np.array(axis(2))
    hits = [
        [(hit.uri, hit.start, hit.text, hit.score) for hit in store.open(name).search(query, 99)]
        for name in ("notes", "copy")
    ]
    assert hits[0] == hits[1]


def test_what_is_exported_is_of_one_moment(store: CollectionStore) -> None:
    stored = filled(store)
    with store.exported("notes") as (header, documents):
        first = next(documents)
        collection = store.open("notes")
        for record in collection.documents():
            collection.delete(record.id)
        rest = list(documents)
    assert header.num_documents == len([first, *rest]) == len(stored)
    with pytest.raises(UnknownCollectionError, match="'none'"), store.exported("none"):
        pass


def test_parquet_holds_the_same(store: CollectionStore, tmp_path: Path) -> None:
    stored = filled(store)
    path = tmp_path / "notes.parquet"
    with store.exported("notes") as (header, documents):
        write_parquet(path, header, documents)
    again, found = read_parquet(path)
    assert again == header
    assert [as_values(one) for one in found] == [as_values(one) for one in stored]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PortableFormatError, match="not an exported collection"):
        read_parquet(path)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("index.parquet_file.importlib.import_module", fail)
    with pytest.raises(DriverMissingError, match=r"parquet.*\.jsonl"):
        read_parquet(tmp_path / "x.parquet")


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", "x", '{"format": "other"}'])
def test_a_first_line_that_is_no_header_is_refused(line: str) -> None:
    with pytest.raises(PortableFormatError, match="first line"):
        PortableHeader.from_json(line)


@settings(max_examples=60, derandomize=True)
@given(st.data())
def test_a_line_that_was_cut_or_changed_is_named_or_still_a_document(data: st.DataObject) -> None:
    line = document_to_json(some_documents()[0])
    at = data.draw(st.integers(0, len(line) - 1))
    broken = line[:at] + data.draw(st.sampled_from(["", "0", '"', "}", "é"])) + line[at + 1 :]
    try:
        found = document_from_json(broken, dim=DIM, number=7)
    except PortableFormatError:
        return
    assert found.vectors.shape == (len(found.items), DIM)


def test_a_broken_line_is_named_by_its_number() -> None:
    with pytest.raises(PortableFormatError, match="line 7 is not an exported document"):
        document_from_json('{"uri": "u"}', dim=DIM, number=7)


def test_damage_is_not_exported(store: CollectionStore, database: Engine) -> None:
    filled(store)
    with writing(database) as connection:
        connection.execute(update(tables.vectors).values(vector=bytes(4 * DIM)))
    with (
        store.exported("notes") as (_, documents),
        pytest.raises(DamagedDocumentError, match="not what was stored"),
    ):
        list(documents)


def test_another_embedder_is_refused(store: CollectionStore) -> None:
    filled(store)
    with store.exported("notes") as (header, _):
        pass
    for other in (
        dataclasses.replace(header, fingerprint="other"),
        dataclasses.replace(header, metric=Metric.COSINE),
    ):
        with pytest.raises(EmbedderMismatchError, match="--as"):
            Importer(store, other)


def test_batches_are_bounded_by_number_and_size() -> None:
    documents = some_documents()
    sizes = [len(batch) for batch in in_batches(iter(documents * 3), num=4, num_bytes=10**6)]
    assert sum(sizes) == 3 * len(documents)
    assert max(sizes) == 4
    assert {len(batch) for batch in in_batches(iter(documents), num=9, num_bytes=1)} == {1}
