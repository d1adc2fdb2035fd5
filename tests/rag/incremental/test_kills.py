"""A run that is killed leaves whole documents, and the next embeds only what is missing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index.store import CollectionStore
from rag.ingest import Ingestor
from rag.ingest_report import Outcome
from rag.testing import HashingEmbedder
from tests.rag.incremental.sections import applied, counted, found, sections

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PROCESS = "tests.rag.incremental.slow_process"
NUM_FILES = 180
CHUNKS = 5


def kill_after(num_texts: int, database: Engine, folder: Path) -> int:
    """Start the process, kill it once it has embedded so many; return how many it had."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.rag.incremental.slow_process",
            str(database.url),
            str(folder),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    done = 0
    with process.stdout:
        for line in process.stdout:
            done = int(line)
            if done >= num_texts:
                process.send_signal(signal.SIGKILL)
                break
        for line in process.stdout:
            done = int(line)
    assert process.wait() == -signal.SIGKILL
    return done


def test_a_killed_run_goes_on_where_it_was(
    database: Engine, store: CollectionStore, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(NUM_FILES):
        (folder / f"{i:03d}.md").write_text(sections(ants=f"Ants of hill {i}. " * 40))
    stored: dict[str, str] = {}
    for num_texts in (200, 30):
        kill_after(num_texts, database, folder)
        stored = store.open("docs").sources()
        for uri in stored:
            record = store.open("docs").find(uri)
            assert record is not None
            _, text = store.open("docs").get(record.id)
            assert text == (folder.parent / uri).read_text()
            whole = store.open("docs").passages(record.id)
            assert whole is not None
            assert len(whole.passages) == record.num_chunks == CHUNKS
            assert all(passage.vector is not None for passage in whole.passages)
        assert store.maintenance("docs").verify().problems == ()
    assert 0 < len(stored) < NUM_FILES

    embedder = HashingEmbedder()
    reports = applied(Ingestor(store, embedder), folder)
    missing = {uri for uri, r in reports.items() if r.outcome is Outcome.ADDED}
    assert missing == set(reports) - set(stored)
    assert embedder.num_encoded == CHUNKS * len(missing)
    assert len(store.open("docs").sources()) == NUM_FILES
    assert store.maintenance("docs").verify().problems == ()
    assert counted(applied(Ingestor(store, embedder), folder)) == {}


def test_a_run_that_is_killed_before_it_removes_is_made_good(
    database: Engine, store: CollectionStore, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(NUM_FILES):
        (folder / f"{i:03d}.md").write_text(sections(ants=f"Ants of hill {i}. " * 40))
    embedder = HashingEmbedder()
    ingestor = Ingestor(store, embedder)
    applied(ingestor, folder)
    for i in range(NUM_FILES):
        if i % 3 == 0:
            (folder / f"{i:03d}.md").unlink()
        elif i % 3 == 1:
            changed = {s: f"Else on {s} in {i}. " * 40 for s in ("bees", "wasps", "ants")}
            (folder / f"{i:03d}.md").write_text(sections(**changed))
    kill_after(160, database, folder)  # of 180, of which 128 are stored together
    done = {uri: note.outcome for uri, note in store.open("docs").notes().items()}
    num_updated = sum(outcome == "updated" for outcome in done.values())
    assert 0 < num_updated < NUM_FILES // 3
    assert len(done) == NUM_FILES  # nothing is removed yet
    embedder.batch_sizes.clear()
    reports = applied(ingestor, folder)
    outcomes = [report.outcome for report in reports.values()]
    assert outcomes.count(Outcome.UPDATED) == NUM_FILES // 3 - num_updated
    assert outcomes.count(Outcome.REMOVED) == NUM_FILES // 3
    assert embedder.num_encoded == 3 * outcomes.count(Outcome.UPDATED)
    assert found(store, embedder, "hill 0") & {"docs/000.md"} == set()
    assert store.maintenance("docs").verify().problems == ()
