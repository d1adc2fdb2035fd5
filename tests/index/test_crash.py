"""A writer that is killed at any moment: what it said is there, and nothing is half there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from index import tables
from index.database import reading, writing
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT
from tests.databases import Place

ROOT = Path(__file__).parents[2]
WRITER = """
import itertools, sys
import numpy as np
from index.database import open_database
from index.protocol import Item, NewDocument
from index.store import CollectionStore

collection = CollectionStore(open_database(sys.argv[1]), threads=1).open("notes")
for i in itertools.count():
    text = f"version {i} " * 200
    collection.upsert_many(
        [
            NewDocument(
                uri=f"u{j}", title="", media_type="", source_sha256=str(i), text=text,
                items=[Item(start=0, end=9)] * 40, vectors=np.ones((40, int(sys.argv[2])), "f4"),
            )
            for j in (i % 7, 7, 8)
        ],
        fingerprint=sys.argv[3],
    )
    print(i, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("num_acknowledged", [1, 4, 11])
def test_a_killed_writer_leaves_whole_documents_only(
    database: Engine, place: Place, num_acknowledged: int
) -> None:
    CollectionStore(database, threads=1).create(
        "notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, place.url, str(DIM), FINGERPRINT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout is not None
        for _ in range(num_acknowledged):
            assert writer.stdout.readline()
        writer.kill()  # in the middle of whatever comes next
        last = num_acknowledged - 1 + len(writer.stdout.readlines())

    reopened = place.open()
    try:
        collection = CollectionStore(reopened, threads=1).open("notes")
        sources = collection.sources()
        # The transaction after the last one that was acknowledged may have been complete, too.
        assert sources["u7"] == sources["u8"]
        assert int(sources["u7"]) in {last, last + 1}
        assert len(sources) == min(int(sources["u7"]) + 1, 7) + 2
        assert len(collection.search(np.ones(DIM), 10_000)) == 40 * len(sources)
        for record in collection.documents():
            assert collection.get(record.id)[1] == f"version {record.source_sha256} " * 200
        with reading(reopened) as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            num_vectors = connection.scalar(select(func.count()).select_from(tables.vectors))
        assert num_vectors == 40 * len(sources)
        with writing(reopened) as connection:
            connection.execute(text("INSERT INTO lexical_1(lexical_1) VALUES ('integrity-check')"))
            ids = connection.scalars(text("SELECT rowid FROM lexical_1 ORDER BY rowid")).all()
            assert ids == connection.scalars(select(tables.chunks.c.id)).all()
    finally:
        reopened.dispose()


@pytest.mark.slow
def test_killed_writers_of_every_kind_and_flipped_bytes(tmp_path: Path) -> None:
    """The short form of `benchmarks.crash`: kills in every kind of operation, full disk, flips."""
    report = tmp_path / "report.json"
    command = ["-m", "benchmarks.crash", "--kills", "12", "--flips", "12", "--json", str(report)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = {row["name"]: row for row in json.loads(report.read_text())["figures"]}
    assert figures["kills"]["value"] == 12
    wanted = [row for row in figures.values() if row["target"] == 0]
    assert len(wanted) >= 2
    assert [row["name"] for row in wanted if not row["met"]] == [], done.stdout
