"""What became of each source of a collection at its last ingest, and where it came from.

A note is about one version of one source. It goes with the document that it is about: whoever
deletes or replaces a document takes its note away in the same transaction. Of a source that was
not read there is a note and no document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from index.tables import documents, source_notes

_BATCH = 500  # ids in one statement: SQLite bounds the number of parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNote:
    """The last outcome of a source, for people and for the next ingest.

    `root` is the folder that it was met in, empty for what belongs to none; only documents of a
    root are ever removed because their file is gone. `source_sha256` is of the bytes that were
    read, which after a failure are not those of the stored document. `recipe` says how the stored
    document was cut and embedded, and is empty where none is stored. `num_bytes` is the size of the
    source, `num_chunks` what it made.
    """

    uri: str
    outcome: str
    root: str = ""
    source_sha256: str = ""
    recipe: str = ""
    code: str = ""
    reason: str = ""
    num_bytes: int = 0
    num_chunks: int = 0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_notes(connection: Connection, collection_id: int, notes: Sequence[SourceNote]) -> None:
    """Write notes in the place of those of the same uris."""
    latest = {note.uri: note for note in notes}
    drop_notes(connection, collection_id, list(latest))
    if latest:
        connection.execute(
            insert(source_notes), [_row(collection_id, note) for note in latest.values()]
        )


def drop_notes(connection: Connection, collection_id: int, uris: Sequence[str]) -> None:
    """Remove the notes of these uris, of those that have one."""
    for i in range(0, len(uris), _BATCH):
        connection.execute(
            delete(source_notes).where(
                source_notes.c.collection_id == collection_id,
                source_notes.c.uri.in_(uris[i : i + _BATCH]),
            )
        )


def claim(connection: Connection, collection_id: int, uri: str, root: str) -> None:
    """Say of a source that is known which folder it belongs to."""
    connection.execute(
        update(source_notes)
        .where(source_notes.c.collection_id == collection_id, source_notes.c.uri == uri)
        .values(root=root)
    )


def drop_notes_of(connection: Connection, collection_id: int, document_ids: Sequence[str]) -> None:
    """Remove the notes on documents, which are still there."""
    uris = select(documents.c.uri).where(
        documents.c.id.in_(document_ids), documents.c.collection_id == collection_id
    )
    connection.execute(
        delete(source_notes).where(
            source_notes.c.collection_id == collection_id, source_notes.c.uri.in_(uris)
        )
    )


def read_notes(connection: Connection, collection_id: int) -> Iterable[SourceNote]:
    """Give all notes of a collection in the order of their uris."""
    rows = connection.execute(
        select(source_notes)
        .where(source_notes.c.collection_id == collection_id)
        .order_by(source_notes.c.uri)
    )
    for row in rows:
        values = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
        del values["collection_id"]
        yield SourceNote(**values)


def _row(collection_id: int, note: SourceNote) -> dict[str, object]:
    return {
        "collection_id": collection_id,
        "uri": note.uri,
        "root": note.root,
        "source_sha256": note.source_sha256,
        "recipe": note.recipe,
        "outcome": note.outcome,
        "code": note.code,
        "reason": _storable(note.reason),
        "num_bytes": note.num_bytes,
        "num_chunks": note.num_chunks,
        "at": note.at,
    }


def _storable(reason: str) -> str:
    """Return a sentence without what a database refuses; it may quote the name of a file."""
    return reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
