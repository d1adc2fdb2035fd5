import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float
from sqlalchemy import Engine

from index import tables
from index.database import open_database, writing
from index.errors import EmbedderMismatchError
from index.protocol import CollectionInfo
from index.store import CollectionStore
from rag.document import Document, sha256_hex
from rag.document_store import DocumentStore
from rag.embedder import TextKind
from rag.ingest import Ingestor
from rag.ingest_report import FileReport, Outcome, Progress
from rag.memory_store import MemoryStore
from rag.parsing import ParseLimits
from rag.testing import HashingEmbedder
from rag.vector_queue import MAX_BATCH
from tests.rag.sample_files import document, write_folder


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'state' / 'causerie.sqlite'}")
    with writing(engine) as connection:
        tables.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest) -> DocumentStore:
    if request.param == "memory":
        return MemoryStore()
    return CollectionStore(request.getfixturevalue("engine"), threads=1)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "docs")


def _outcomes(reports: Sequence[FileReport]) -> dict[str, Outcome]:
    return {report.uri: report.outcome for report in reports}


# --- what is stored --------------------------------------------------------------------------


def test_a_folder_is_read_stored_and_reported(
    store: DocumentStore, embedder: HashingEmbedder, folder: Path
) -> None:
    reports = Ingestor(store, embedder).ingest_paths([folder], "docs")
    assert [report.uri for report in reports] == [
        "docs/guide.md",
        "docs/notes.txt",
        "docs/sub/hello.pdf",
        "docs/sub/page.html",
        "docs/sub/policy.docx",
        "docs/table.csv",
    ]
    assert {report.outcome for report in reports} == {Outcome.ADDED}
    assert reports[0].num_chunks == 2
    assert reports[0].num_bytes == len((folder / "guide.md").read_bytes())
    assert reports[2].reason == "page 2 without text"
    collection = store.open("docs")
    for report in reports:
        record = collection.find(report.uri)
        assert record is not None
        assert record.id == report.document_id
        assert record.num_chunks == report.num_chunks
    assert collection.sources()["docs/notes.txt"] == sha256_hex((folder / "notes.txt").read_bytes())


def test_what_was_ingested_is_found_again(engine: Engine, folder: Path) -> None:
    store = CollectionStore(engine, threads=1)
    embedder = HashingEmbedder()
    Ingestor(store, embedder).ingest_paths([folder], "docs")
    query = embedder.encode(["Which bees warm each other in winter?"], "query")[0]
    hit = store.open("docs").search(query, 1)[0]
    assert hit.uri == "docs/sub/page.html"
    assert hit.title == "Keeping bees & wasps"
    assert hit.heading_path == ("Keeping bees", "In winter")
    record, text = store.open("docs").get(hit.document_id)
    assert text.encode()[hit.start : hit.end].decode() == hit.text
    assert record.media_type == "text/html"


def test_the_heading_path_is_embedded_and_not_stored(memory: MemoryStore) -> None:
    seen: list[str] = []

    class Listening(HashingEmbedder):
        def encode(self, texts: Sequence[str], kind: TextKind) -> Float[np.ndarray, "n d"]:
            seen.extend(texts)
            return super().encode(texts, kind)

    text = "# Guide\n\nRead it.\n\n## Install\n\nRun it."
    Ingestor(memory, Listening()).ingest_bytes("g.md", text.encode(), "docs")
    assert sorted(seen) == ["# Guide\n\nRead it.", "Guide\n## Install\n\nRun it."]
    stored = memory.open("docs").stored["g.md"]
    spans = [stored.text.encode()[item.start : item.end].decode() for item in stored.items]
    assert spans == ["# Guide\n\nRead it.", "## Install\n\nRun it."]


def test_no_passage_is_longer_than_the_embedder_reads(memory: MemoryStore) -> None:
    embedder = HashingEmbedder(max_tokens=20)
    text = "# A heading of quite some words\n\n" + "one two three four five. " * 50
    report = Ingestor(memory, embedder).ingest_bytes("a.md", text.encode(), "docs")
    assert report.outcome is Outcome.ADDED
    assert report.num_chunks > 12


def test_the_same_content_under_two_uris_is_two_documents(
    store: DocumentStore, embedder: HashingEmbedder
) -> None:
    reports = Ingestor(store, embedder).ingest_documents(
        [document("a", "the same"), document("b", "the same")], "docs"
    )
    assert _outcomes(reports) == {"a": Outcome.ADDED, "b": Outcome.ADDED}
    assert reports[0].document_id != reports[1].document_id


# --- again -----------------------------------------------------------------------------------


def test_a_second_run_over_unchanged_files_embeds_nothing(
    store: DocumentStore, embedder: HashingEmbedder, folder: Path
) -> None:
    ingestor = Ingestor(store, embedder)
    first = ingestor.ingest_paths([folder], "docs")
    embedded = embedder.num_encoded
    assert embedded == sum(report.num_chunks for report in first) > 0
    second = ingestor.ingest_paths([folder], "docs")
    assert embedder.num_encoded == embedded
    assert {report.outcome for report in second} == {Outcome.UNCHANGED}
    assert [(r.document_id, r.num_chunks, r.num_bytes) for r in second] == [
        (r.document_id, r.num_chunks, r.num_bytes) for r in first
    ]


def test_an_unchanged_file_is_not_even_parsed(memory: MemoryStore, folder: Path) -> None:
    ingestor = Ingestor(memory, HashingEmbedder())
    ingestor.ingest_paths([folder], "docs")
    strict = Ingestor(memory, HashingEmbedder(), limits=ParseLimits(text_bytes=1))
    reports = strict.ingest_paths([folder], "docs")
    assert {report.outcome for report in reports} == {Outcome.UNCHANGED}


def test_only_what_changed_is_embedded_again_and_nothing_is_removed(
    store: DocumentStore, embedder: HashingEmbedder, folder: Path
) -> None:
    ingestor = Ingestor(store, embedder)
    ingestor.ingest_paths([folder], "docs")
    embedded = embedder.num_encoded
    (folder / "notes.txt").write_text("Bees never sleep.")
    (folder / "table.csv").unlink()
    (folder / "new.txt").write_text("New.")
    outcomes = _outcomes(ingestor.ingest_paths([folder], "docs"))
    assert outcomes["docs/notes.txt"] is Outcome.UPDATED
    assert outcomes["docs/new.txt"] is Outcome.ADDED
    assert outcomes["docs/guide.md"] is Outcome.UNCHANGED
    assert embedder.num_encoded == embedded + 2
    assert store.open("docs").find("docs/table.csv") is not None


def test_uploads_and_documents_are_compared_too(
    store: DocumentStore, embedder: HashingEmbedder
) -> None:
    ingestor = Ingestor(store, embedder)
    for expected in (Outcome.ADDED, Outcome.UNCHANGED):
        assert ingestor.ingest_bytes("a.txt", b"words", "docs").outcome is expected
        assert ingestor.ingest_documents([document("b", "words")], "docs")[0].outcome is expected
    assert ingestor.ingest_bytes("a.txt", b"other words", "docs").outcome is Outcome.UPDATED
    assert embedder.num_encoded == 2  # the text of b is that of a.txt, and has its vector


def test_another_embedder_is_refused_before_anything_is_read(
    store: DocumentStore, folder: Path
) -> None:
    Ingestor(store, HashingEmbedder()).ingest_bytes("a.txt", b"words", "docs")
    other = HashingEmbedder(seed="2")
    with pytest.raises(EmbedderMismatchError, match="ingest into a new collection"):
        Ingestor(store, other).ingest_paths([folder], "docs")
    assert other.num_encoded == 0


def test_a_collection_that_another_run_makes_meanwhile_is_used(embedder: HashingEmbedder) -> None:
    class Racing(MemoryStore):
        def create(self, name: str, *, embedder: str, fingerprint: str, dim: int) -> CollectionInfo:
            super().create(name, embedder=embedder, fingerprint=fingerprint, dim=dim)
            return super().create(name, embedder=embedder, fingerprint=fingerprint, dim=dim)

    report = Ingestor(Racing(), embedder).ingest_bytes("a.txt", b"words", "docs")
    assert report.outcome is Outcome.ADDED


# --- batches, progress, pause, cancel --------------------------------------------------------


def test_small_documents_share_batches_and_transactions(
    memory: MemoryStore, embedder: HashingEmbedder
) -> None:
    documents = [document(f"{i}", f"document number {i}") for i in range(200)]
    Ingestor(memory, embedder).ingest_documents(documents, "docs")
    assert max(embedder.batch_sizes) == MAX_BATCH
    assert len(embedder.batch_sizes) == -(-200 // MAX_BATCH)
    assert memory.open("docs").transactions == [128, 72]


def test_progress_counts_up_to_its_total_in_every_phase(
    memory: MemoryStore, embedder: HashingEmbedder, folder: Path
) -> None:
    (folder / "photo.jpg").write_bytes(b"x")
    seen: list[Progress] = []
    reports = Ingestor(memory, embedder).ingest_paths([folder], "docs", on_progress=seen.append)
    for phase, total in (
        ("read", len(reports)),
        ("embed", sum(report.num_chunks for report in reports)),
        ("store", len(reports)),
    ):
        steps = [step for step in seen if step.phase == phase]
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[-1].done == steps[-1].total == total
        assert {step.uri for step in steps} <= {report.uri for report in reports}


def test_the_total_of_a_stream_of_documents_may_be_known_or_not(
    memory: MemoryStore, embedder: HashingEmbedder
) -> None:
    for total, expected in ((5, {5}), (None, {1, 2})):
        seen: list[Progress] = []
        documents = (document(f"{total} {i}", "text") for i in range(2))
        Ingestor(memory, embedder).ingest_documents(
            documents, "docs", total=total, on_progress=seen.append
        )
        assert {step.total for step in seen if step.phase == "read"} == expected


def test_every_batch_waits_for_a_pause(memory: MemoryStore, embedder: HashingEmbedder) -> None:
    batches_before: list[int] = []
    documents = [document(f"{i}", f"text {i}") for i in range(40)]
    Ingestor(memory, embedder).ingest_documents(
        documents, "docs", pause=lambda: batches_before.append(len(embedder.batch_sizes))
    )
    assert batches_before == list(range(-(-40 // MAX_BATCH)))


def test_a_cancelled_run_stores_whole_documents_and_reports_the_rest(
    store: DocumentStore, embedder: HashingEmbedder
) -> None:
    cancel = threading.Event()
    taken: list[int] = []

    def documents() -> Iterator[Document]:
        for i in range(1000):
            taken.append(i)
            yield document(f"{i:04}", f"document {i:04}. " * 3)

    def on_progress(step: Progress) -> None:
        if step.phase == "embed" and step.done >= 2 * MAX_BATCH:
            cancel.set()

    reports = Ingestor(store, embedder).ingest_documents(
        documents(), "docs", on_progress=on_progress, cancel=cancel
    )
    added = [report for report in reports if report.outcome is Outcome.ADDED]
    skipped = [report for report in reports if report.outcome is Outcome.SKIPPED]
    assert len(added) == embedder.num_encoded == 2 * MAX_BATCH
    assert len(added) + len(skipped) == len(reports) == len(taken) < 1000
    assert skipped[0].reason == "the run was cancelled before it was stored"
    assert sorted(store.open("docs").sources()) == sorted(report.uri for report in added)
    again = Ingestor(store, embedder).ingest_documents(documents(), "docs")
    assert sum(report.outcome is Outcome.UNCHANGED for report in again) == len(added)
    assert sum(report.outcome is Outcome.ADDED for report in again) == 1000 - len(added)


def test_a_run_that_is_cancelled_at_once_reports_every_file_and_stores_none(
    memory: MemoryStore, embedder: HashingEmbedder, folder: Path
) -> None:
    cancel = threading.Event()
    cancel.set()
    reports = Ingestor(memory, embedder).ingest_paths([folder], "docs", cancel=cancel)
    assert len(reports) == 6
    assert {report.outcome for report in reports} == {Outcome.SKIPPED}
    assert memory.open("docs").stored == {}
    assert embedder.num_encoded == 0


def test_a_document_half_embedded_at_the_end_is_not_stored(
    memory: MemoryStore, embedder: HashingEmbedder
) -> None:
    cancel = threading.Event()
    long = "\n\n".join(f"# Heading {i}\n\nParagraph {i}." for i in range(50))
    report = Ingestor(memory, embedder).ingest_bytes(
        "long.md",
        long.encode(),
        "docs",
        on_progress=lambda step: cancel.set() if step.phase == "embed" else None,
        cancel=cancel,
    )
    assert report.outcome is Outcome.SKIPPED
    assert embedder.num_encoded == MAX_BATCH
    assert memory.open("docs").stored == {}


def test_files_of_nearly_the_same_text_are_named_and_stored(
    memory: MemoryStore, embedder: HashingEmbedder, tmp_path: Path
) -> None:
    text = " ".join(f"word{i}" for i in range(400))
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.md").write_text(text.replace("word200", "changed") + "\n")
    (tmp_path / "c.txt").write_text(" ".join(reversed(text.split())))
    reports = Ingestor(memory, embedder).ingest_paths([tmp_path], "docs")
    name = tmp_path.name
    assert [r.near_duplicate_of for r in reports] == ["", f"{name}/a.txt", ""]
    assert {r.outcome for r in reports} == {Outcome.ADDED}
    silent = Ingestor(memory, embedder, near_duplicates=0)
    assert {r.near_duplicate_of for r in silent.ingest_paths([tmp_path], "others")} == {""}
