"""What is noted on each source."""

from pathlib import Path

from sqlalchemy import Engine

from index import tables
from index.database import writing
from index.store import CollectionStore
from rag.errors import FailureCode
from rag.ingest import Ingestor
from rag.ingest_plan import Step
from rag.ingest_report import Outcome
from rag.testing import HashingEmbedder
from tests.rag.incremental.sections import applied, counted, found, plan_of


def test_it_is_noted_how_every_file_ended(
    ingestor: Ingestor, store: CollectionStore, folder: Path
) -> None:
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    applied(ingestor, folder)
    notes = store.open("docs").notes()
    assert {uri: (note.outcome, note.code) for uri, note in notes.items()} == {
        "docs/a.txt": ("added", ""),
        "docs/broken.pdf": ("failed", FailureCode.CORRUPT),
        "docs/guide.md": ("added", ""),
        "docs/photo.jpg": ("skipped", FailureCode.UNSUPPORTED),
        "docs/sub/b.txt": ("added", ""),
    }
    assert notes["docs/broken.pdf"].reason
    assert plan_of(ingestor, folder).failed_before == ["docs/broken.pdf"]
    (folder / "broken.pdf").unlink()
    applied(ingestor, folder)
    assert "docs/broken.pdf" not in store.open("docs").notes()


def test_a_version_that_fails_leaves_the_old_one_and_says_so(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    text = (folder / "guide.md").read_bytes()
    (folder / "guide.md").write_bytes(b"\0\1\2\3" * 99)
    assert applied(ingestor, folder)["docs/guide.md"].outcome is Outcome.FAILED
    assert "docs/guide.md" in found(store, embedder, "bees")
    assert store.open("docs").notes()["docs/guide.md"].outcome == "failed"
    (folder / "guide.md").write_bytes(text)
    embedder.batch_sizes.clear()
    assert counted(applied(ingestor, folder)) == {}
    assert store.open("docs").notes()["docs/guide.md"].outcome == "unchanged"
    assert embedder.num_encoded == 0


def test_documents_without_notes_are_read_again_once_and_not_embedded(
    ingestor: Ingestor,
    embedder: HashingEmbedder,
    store: CollectionStore,
    database: Engine,
    folder: Path,
) -> None:
    """As those are that an older program stored, or an import."""
    applied(ingestor, folder)
    with writing(database) as connection:
        connection.execute(tables.source_notes.delete())
    embedder.batch_sizes.clear()
    assert plan_of(ingestor, folder).count(Step.REDO) == 3
    assert counted(applied(ingestor, folder)) == {}
    assert plan_of(ingestor, folder).count(Step.KEEP) == 3
    assert embedder.num_encoded == 0
    (folder / "a.txt").unlink()
    assert counted(applied(ingestor, folder)) == {"docs/a.txt": ("removed", 0, 0)}
