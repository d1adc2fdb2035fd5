"""A collection outside of any database: what it is, and its documents with their vectors.

One line of JSON for the collection, then one for each document, in the order of their uris. Vectors
are base64 of little-endian float32, so that they come back bit for bit. When a document was stored
is not carried over.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, func, select

from index.analyser import language_of
from index.database import reading
from index.declared_fields import declared
from index.document_rows import serving
from index.errors import DamagedDocumentError, PortableFormatError, UnknownCollectionError
from index.filters import Kind
from index.protocol import Item, Metric, NewDocument
from index.row_digests import vector_digest
from index.stop_words import Language
from index.tables import chunks, collections, documents, vectors

FORMAT: Final = "causerie-collection-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableHeader:
    """What a collection was made with; `num_documents` is how many follow."""

    name: str
    embedder: str
    fingerprint: str
    dim: int
    metric: Metric
    language: Language
    fields: Mapping[str, Kind] = field(default_factory=dict)
    num_documents: int = 0

    def to_json(self) -> str:
        """Return it as one line."""
        return _line(
            {
                "format": FORMAT,
                "name": self.name,
                "embedder": self.embedder,
                "fingerprint": self.fingerprint,
                "dim": self.dim,
                "metric": self.metric.value,
                "language": self.language.value,
                "fields": {name: kind.value for name, kind in self.fields.items()},
                "num_documents": self.num_documents,
            }
        )

    @classmethod
    def from_json(cls, line: str) -> "PortableHeader":
        """Read the line that `to_json` wrote; raises `PortableFormatError`."""
        try:
            found = json.loads(line)
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise ValueError(f"it does not say that its format is {FORMAT!r}")  # noqa: TRY301
            return cls(
                name=str(found["name"]),
                embedder=str(found["embedder"]),
                fingerprint=str(found["fingerprint"]),
                dim=int(found["dim"]),
                metric=Metric(found["metric"]),
                language=Language(found["language"]),
                fields={str(name): Kind(kind) for name, kind in found["fields"].items()},
                num_documents=int(found["num_documents"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PortableFormatError(
                f"the first line is not that of an exported collection ({error});"
                " export one with 'python -m api index export'"
            ) from error


def document_to_json(document: NewDocument) -> str:
    """Return a document as one line."""
    return _line(
        {
            "uri": document.uri,
            "title": document.title,
            "media_type": document.media_type,
            "source_sha256": document.source_sha256,
            "metadata": dict(document.metadata),
            "text": document.text,
            "chunks": [
                {"start": item.start, "end": item.end, "heading_path": list(item.heading_path)}
                for item in document.items
            ],
            "vectors": base64.b64encode(document.vectors.astype("<f4").tobytes()).decode(),
        }
    )


def document_from_json(line: str, *, dim: int, number: int) -> NewDocument:
    """Read the line that `document_to_json` wrote; raises `PortableFormatError` with its number."""
    try:
        found = json.loads(line)
        items = [
            Item(
                start=int(one["start"]),
                end=int(one["end"]),
                heading_path=tuple(map(str, one["heading_path"])),
            )
            for one in found["chunks"]
        ]
        return NewDocument(
            uri=str(found["uri"]),
            title=str(found["title"]),
            media_type=str(found["media_type"]),
            source_sha256=str(found["source_sha256"]),
            text=str(found["text"]),
            items=items,
            vectors=vectors_of(base64.b64decode(found["vectors"], validate=True), len(items), dim),
            metadata=dict(found["metadata"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PortableFormatError(
            f"line {number} is not an exported document ({type(error).__name__}: {error}); what"
            " stood before it is stored, mend it and import again"
        ) from error


def vectors_of(data: bytes, num: int, dim: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return `num` vectors of `dim` components out of their bytes; raises `ValueError`."""
    if len(data) != 4 * num * dim:
        raise ValueError(
            f"{num} vectors of {dim} components take {4 * num * dim} bytes, got {len(data)}"
        )
    return np.frombuffer(data, "<f4").reshape(num, dim)


@contextmanager
def exported(database: Engine, name: str) -> Iterator[tuple[PortableHeader, Iterator[NewDocument]]]:
    """Give what a collection is and its documents, all of one state, read as they are asked for.

    Raises:
        UnknownCollectionError: there is no such collection.
        DamagedDocumentError: what is stored of a document is not what was written; comes while the
            documents are read.
    """
    with reading(database) as connection:
        row = connection.execute(select(collections).where(collections.c.name == name)).first()
        if row is None:
            raise UnknownCollectionError(f"no collection is called {name!r}")
        of_it = documents.c.collection_id == row.id
        num = connection.scalar(select(func.count()).select_from(documents).where(of_it)) or 0
        header = PortableHeader(
            name=row.name,
            embedder=row.embedder,
            fingerprint=row.fingerprint,
            dim=row.dim,
            metric=Metric(row.metric),
            language=language_of(row.analyser),
            fields=declared(connection, row.id),
            num_documents=num,
        )
        set_id = serving(connection, row.id, name).set_id
        yield header, _documents(connection, row.id, set_id, row.dim)


def _documents(
    connection: Connection, collection_id: int, set_id: int, dim: int
) -> Iterator[NewDocument]:
    of_it = documents.c.collection_id == collection_id
    uris = connection.scalars(select(documents.c.uri).where(of_it).order_by(documents.c.uri)).all()
    for uri in uris:  # one text in memory at a time
        row = connection.execute(select(documents).where(of_it, documents.c.uri == uri)).one()
        if hashlib.sha256(row.text).hexdigest() != row.text_sha256:
            raise _damaged(uri, "its text has another hash than was stored")
        found = connection.execute(
            select(chunks, vectors.c.vector, vectors.c.digest)
            .join(vectors, vectors.c.chunk_id == chunks.c.id)
            .where(chunks.c.document_id == row.id, vectors.c.set_id == set_id)
            .order_by(chunks.c.id)
        ).all()
        if len(found) != row.num_chunks:
            raise _damaged(uri, f"it has {row.num_chunks} chunks, {len(found)} are there")
        if any(vector_digest(one, set_id, one.vector) != one.digest for one in found):
            raise _damaged(uri, "a chunk or a vector is not what was stored")
        yield NewDocument(
            uri=uri,
            title=row.title,
            media_type=row.media_type,
            source_sha256=row.source_sha256,
            text=row.text.decode(),
            items=[
                Item(start=one.start, end=one.end, heading_path=tuple(one.heading_path))
                for one in found
            ],
            vectors=vectors_of(b"".join(one.vector for one in found), len(found), dim),
            metadata=dict(row.metadata),
        )


def _damaged(uri: str, why: str) -> DamagedDocumentError:
    return DamagedDocumentError(
        f"document {uri!r} is damaged: {why}; delete it or ingest it again, then export anew"
    )


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def in_batches(
    new_documents: Iterator[NewDocument], *, num: int, num_bytes: int
) -> Iterator[Sequence[NewDocument]]:
    """Yield documents in groups of at most `num` or about `num_bytes` of text and vectors."""
    batch: list[NewDocument] = []
    size = 0
    for document in new_documents:
        batch.append(document)
        size += len(document.text) + document.vectors.nbytes
        if len(batch) >= num or size >= num_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
