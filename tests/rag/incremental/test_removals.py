"""What is removed because its file is gone, and what is not."""

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index import tables
from index.database import writing
from index.store import CollectionStore
from rag.errors import RemovalDoubtError
from rag.ingest import Ingestor
from rag.ingest_report import Outcome
from rag.testing import HashingEmbedder
from tests.rag.incremental.sections import applied, counted, found, plan_of
from tests.rag.sample_files import document


def test_a_deleted_file_leaves_nothing_to_find(
    ingestor: Ingestor,
    embedder: HashingEmbedder,
    store: CollectionStore,
    database: Engine,
    folder: Path,
) -> None:
    applied(ingestor, folder)
    record = store.open("docs").find("docs/a.txt")
    assert record is not None
    (folder / "a.txt").unlink()
    embedder.batch_sizes.clear()
    assert plan_of(ingestor, folder).removed == ["docs/a.txt"]
    assert counted(applied(ingestor, folder)) == {"docs/a.txt": ("removed", 0, 0)}
    assert embedder.num_encoded == 0
    assert "docs/a.txt" not in found(store, embedder, "cat sofa")
    assert store.open("docs").search_terms("sofa", 9).hits == ()
    assert store.open("docs").find("docs/a.txt") is None
    assert "docs/a.txt" not in store.open("docs").notes()
    with writing(database) as connection:
        for table in (tables.chunks, tables.field_values, tables.document_versions):
            rows = connection.execute(table.select().where(table.c.document_id == record.id))
            assert rows.all() == []
    assert store.maintenance("docs").verify().problems == ()


def test_what_came_another_way_is_never_removed(
    ingestor: Ingestor, store: CollectionStore, folder: Path, tmp_path: Path
) -> None:
    (folder / "more.txt").write_text("More words.")
    ingestor.ingest_bytes("upload.txt", b"An upload.", "docs")
    ingestor.ingest_documents([document("docs/made.txt", "By a program.")], "docs")
    twin = document("docs/more.txt", "More words.")
    ingestor.ingest_documents([twin], "docs")
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "x.txt").write_text("Another folder of this name.")
    named = tmp_path / "named.txt"
    named.write_text("A file of its own.")
    applied(ingestor, folder, other, named)
    (folder / "a.txt").unlink()
    (folder / "more.txt").unlink()
    named.unlink()
    assert counted(applied(ingestor, folder)) == {"docs/a.txt": ("removed", 0, 0)}
    assert set(store.open("docs").sources()) == {
        "upload.txt", "docs/made.txt", "docs/more.txt", "docs/x.txt", "named.txt",
        "docs/guide.md", "docs/sub/b.txt",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["empty", "missing", "most"])
def test_a_folder_that_lost_most_of_its_files_is_doubted(
    ingestor: Ingestor, store: CollectionStore, folder: Path, how: str
) -> None:
    applied(ingestor, folder)
    (folder / "new.txt").write_text("New words.")
    for name in ("a.txt", "guide.md") if how == "most" else ("a.txt", "guide.md", "sub/b.txt"):
        (folder / name).unlink()
    if how != "most":
        (folder / "new.txt").unlink()
    if how == "missing":
        (folder / "sub").rmdir()
        folder.rmdir()
    with pytest.raises(RemovalDoubtError, match=r"[23] of the 3"):
        applied(ingestor, folder)
    assert len(store.open("docs").sources()) == 3
    assert plan_of(ingestor, folder).without_removals().doubts == ()
    ingestor.apply(plan_of(ingestor, folder).without_removals(), "docs")
    assert set(store.open("docs").sources()) >= {"docs/a.txt", "docs/guide.md", "docs/sub/b.txt"}
    applied(ingestor, folder, yes=True)
    assert set(store.open("docs").sources()) == (
        {"docs/sub/b.txt", "docs/new.txt"} if how == "most" else set()
    )


def test_renamed_files_are_no_reason_to_doubt(ingestor: Ingestor, folder: Path) -> None:
    applied(ingestor, folder)
    for path in [folder / "a.txt", folder / "guide.md", folder / "sub" / "b.txt"]:
        path.rename(path.with_stem(f"old-{path.stem}"))
    assert {report.outcome for report in applied(ingestor, folder).values()} == {Outcome.RENAMED}


def test_nothing_is_concluded_about_a_folder_that_cannot_be_opened(
    ingestor: Ingestor, store: CollectionStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(ingestor, folder)
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (folder / "a.txt").unlink()
    reports = applied(ingestor, folder)
    assert reports["docs/sub"].reason == "the folder cannot be opened: Permission denied"
    assert set(store.open("docs").sources()) == {"docs/guide.md", "docs/sub/b.txt"}


def test_a_folder_that_was_moved_keeps_its_documents_and_owns_them(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    embedder.batch_sizes.clear()
    moved = folder.parent / "elsewhere" / "docs"
    moved.parent.mkdir()
    folder.rename(moved)
    assert counted(applied(ingestor, moved)) == {}
    (moved / "a.txt").unlink()
    assert counted(applied(ingestor, moved)) == {"docs/a.txt": ("removed", 0, 0)}
    assert embedder.num_encoded == 0
