"""What goes wrong with one source stays with that source."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

from rag.document import Document
from rag.embedder import TextKind
from rag.errors import FailureCode
from rag.ingest import Ingestor
from rag.ingest_report import Outcome
from rag.memory_store import MemoryStore
from rag.testing import HashingEmbedder
from tests.rag.sample_files import document, encrypted_pdf, write_folder, zip_bomb


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "docs")


def test_a_failing_file_never_ends_the_run(
    memory: MemoryStore, embedder: HashingEmbedder, folder: Path
) -> None:
    (folder / "a_bomb.docx").write_bytes(zip_bomb())
    (folder / "b_locked.pdf").write_bytes(encrypted_pdf())
    (folder / "c_junk.txt").write_bytes(bytes(range(256)) * 20)
    (folder / "d_empty.md").write_bytes(b"")
    (folder / "e_latin.txt").write_bytes("Die Größe der Straße".encode("latin-1"))
    (folder / "f_wide.txt").write_bytes("Breite Zeichen, ganz wie früher".encode("utf-16"))
    (folder / "g_hebrew.txt").write_text("שלום עולם", encoding="utf-8")
    (folder / "h_line.txt").write_text("x" * 300_000)
    (folder / "binary").write_bytes(bytes(100))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    reports = {r.uri: r for r in Ingestor(memory, embedder).ingest_paths([folder], "docs")}
    failed = {uri: r.reason for uri, r in reports.items() if r.outcome is Outcome.FAILED}
    assert sorted(failed) == [
        "docs/a_bomb.docx",
        "docs/b_locked.pdf",
        "docs/c_junk.txt",
        "docs/d_empty.md",
    ]
    assert len(set(failed.values())) == 4
    assert [reports[uri].code for uri in sorted(failed)] == [
        FailureCode.TOO_LARGE,
        FailureCode.ENCRYPTED,
        FailureCode.UNSUPPORTED,
        FailureCode.EMPTY,
    ]
    assert reports["docs/e_latin.txt"].code is None
    skipped = {uri: r.reason for uri, r in reports.items() if r.outcome is Outcome.SKIPPED}
    assert skipped == {
        "docs/binary": "the file is binary, and of no kind that is read",
        "docs/photo.jpg": ".jpg files are not read",
    }
    assert sum(r.outcome is Outcome.ADDED for r in reports.values()) == 10


def test_a_path_that_was_named_fails_where_one_that_was_met_is_skipped(
    memory: MemoryStore, embedder: HashingEmbedder, folder: Path
) -> None:
    (folder / "code.xyz").write_text("text")
    (folder / "binary").write_bytes(bytes(100))
    paths = [folder / "code.xyz", folder / "binary", folder / "absent.txt", folder / "notes.txt"]
    reports = Ingestor(memory, embedder).ingest_paths(paths, "docs")
    assert [report.outcome for report in reports] == [Outcome.FAILED] * 3 + [Outcome.ADDED]
    assert ".xyz files are not read" in reports[0].reason
    assert "cannot be opened" in reports[2].reason


def test_two_sources_of_one_uri_do_not_replace_each_other_in_silence(
    memory: MemoryStore, embedder: HashingEmbedder, folder: Path
) -> None:
    (folder / "sub" / "notes.txt").write_text("Others.")
    paths = [folder / "notes.txt", folder / "sub" / "notes.txt"]
    reports = Ingestor(memory, embedder).ingest_paths(paths, "docs")
    assert [report.outcome for report in reports] == [Outcome.ADDED, Outcome.FAILED]
    assert "give the folder that holds both" in reports[1].reason


def test_an_upload_that_cannot_be_read_is_reported(
    memory: MemoryStore, embedder: HashingEmbedder
) -> None:
    report = Ingestor(memory, embedder).ingest_bytes("a.pdf", b"%PDF-1.4", "docs")
    assert report.outcome is Outcome.FAILED
    assert "the PDF is broken" in report.reason


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\x", "a\0", "", "x" * 300])
def test_an_upload_with_a_hostile_name_is_refused(
    memory: MemoryStore, embedder: HashingEmbedder, name: str
) -> None:
    with pytest.raises(ValueError, match="uploaded file"):
        Ingestor(memory, embedder).ingest_bytes(name, b"words", "docs")
    assert memory.collections == {}


def test_a_document_that_cannot_be_chunked_or_embedded_fails_alone(memory: MemoryStore) -> None:
    class Picky(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
            if any("poison" in text for text in texts):
                raise ValueError("poison cannot be embedded")
            return super().encode(texts, kind)

    documents = [
        document("good", "fine"),
        document("bad", "poison"),
        Document(uri="odd", title="odd", text="\ud800", media_type="text/plain", source_sha256="0"),
        document("good too", "also fine"),
    ]
    reports = Ingestor(memory, Picky()).ingest_documents(documents, "docs")
    assert [report.outcome for report in reports] == [
        Outcome.ADDED,
        Outcome.FAILED,
        Outcome.FAILED,
        Outcome.ADDED,
    ]
    assert reports[1].reason == "poison cannot be embedded"


def test_a_document_that_cannot_be_stored_fails_alone(memory: MemoryStore) -> None:
    class Broken(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
            vectors = super().encode(texts, kind)
            vectors[["poison" in text for text in texts]] = np.nan
            return vectors

    documents = [document("good", "fine"), document("bad", "poison"), document("b", "fine")]
    reports = Ingestor(memory, Broken()).ingest_documents(documents, "docs")
    assert {report.uri: report.outcome for report in reports} == {
        "good": Outcome.ADDED,
        "bad": Outcome.FAILED,
        "b": Outcome.ADDED,
    }
    assert sorted(memory.open("docs").stored) == ["b", "good"]
