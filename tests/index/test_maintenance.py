"""Verify, repair, purge and health of a stored collection."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from index.collection import StoredCollection
from index.database import checkpoint, open_database, writing
from index.inspection import Inspectable, ProblemKind, Repairable
from index.maintenance import Maintenance
from index.protocol import Item, Metric, NewDocument
from index.store import CollectionStore
from index.testing import FINGERPRINT

DIM = 5
WORDS = ["copper", "kettle", "harbour", "violin", "granite", "meadow", "lantern"]
SECRET = "xylograph"


def document(uri: str, seed: int, word: str = "plain") -> NewDocument:
    rng = random.Random(seed)
    chunks = [f"{rng.choice(WORDS)} {rng.choice(WORDS)} {word}" for _ in range(3)]
    ends = np.cumsum([len(chunk) for chunk in chunks]).tolist()
    return NewDocument(
        uri=uri, title=f"On {word}", media_type="", source_sha256=str(seed), text="".join(chunks),
        items=[Item(start=a, end=b) for a, b in zip([0, *ends], ends, strict=False)],
        vectors=np.random.default_rng(seed).integers(-2, 3, (3, DIM)).astype(np.float32),
    )  # fmt: skip


@pytest.fixture
def store(database: Engine) -> Iterator[CollectionStore]:
    store = CollectionStore(database, threads=1)
    store.create("a", embedder="e", fingerprint=FINGERPRINT, dim=DIM, metric=Metric.INNER_PRODUCT)
    yield store
    store.close()


@pytest.fixture
def collection(store: CollectionStore) -> StoredCollection:
    collection = store.open("a")
    for i in range(8):
        word = SECRET if i == 3 else "plain"
        collection.upsert_many([document(f"u{i}", i, word)], fingerprint=FINGERPRINT)
    return collection


@pytest.fixture
def maintenance(store: CollectionStore, collection: StoredCollection) -> Maintenance:
    maintenance = store.maintenance("a")
    assert maintenance.compact() == ""
    collection.upsert_many([document("u1", 70)], fingerprint=FINGERPRINT)
    record = collection.find("u2")
    assert record is not None
    collection.delete(record.id)
    return maintenance


def answers(collection: StoredCollection) -> object:
    """Everything that the collection says."""
    return (
        collection.search(np.array([1, -1, 2, 0, 1.0]), 99),
        [collection.search_terms(word, 99) for word in [*WORDS, SECRET, "kett*", '"plain"']],
        [(collection.get(record.id)) for record in collection.documents()],
    )


def test_what_is_well_is_found_well(maintenance: Maintenance) -> None:
    assert isinstance(maintenance, Inspectable)
    assert isinstance(maintenance, Repairable)
    found = maintenance.verify()
    assert found.problems == ()
    assert (found.seq, found.num_documents, found.num_chunks) == (10, 7, 21)
    assert found.num_files > 3
    stats = maintenance.stats()
    assert (stats.num_chunks, stats.num_old_chunks, stats.num_segments) == (21, 6, 1)
    assert (stats.num_unsealed, stats.num_dead) == (3, 6)
    assert stats.file_bytes > 24 * DIM * 4
    health = maintenance.health(measure=True)
    assert health.is_well
    assert health.measured_at is not None
    assert health.dead_share == 0.25


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE documents SET title = 'On plaim' WHERE uri = 'u4'", ProblemKind.DOCUMENT),
        ("UPDATE documents SET text = zeroblob(9) WHERE uri = 'u4'", ProblemKind.DOCUMENT),
        ("UPDATE chunks SET start = start + 1 WHERE id = 15", ProblemKind.VECTOR),
        ("UPDATE vectors SET vector = zeroblob(20) WHERE chunk_id = 15", ProblemKind.VECTOR),
        ("DELETE FROM vectors WHERE chunk_id = 15", ProblemKind.VECTOR),
        ("UPDATE old_chunks SET vector = zeroblob(20) WHERE id = 4", ProblemKind.VECTOR),
        ("UPDATE old_documents SET text = x'20' WHERE uri = 'u2'", ProblemKind.DOCUMENT),
        ("DELETE FROM oplog WHERE chunk_id = 15", ProblemKind.LOG),
        ("UPDATE collections SET seq = seq + 1", ProblemKind.LOG),
        ("UPDATE collections SET embedder = 'f'", ProblemKind.LOG),
        ("UPDATE lexical_1_content SET c0 = 'other' WHERE id = 15", ProblemKind.WORDS),
        ("UPDATE surface_1 SET surface = 'other' WHERE rowid = 15", ProblemKind.WORDS),
        ("DELETE FROM lexical_1 WHERE rowid = 15", ProblemKind.WORDS),
        ("PRAGMA foreign_keys = OFF; DELETE FROM documents", ProblemKind.DATABASE),
    ],
)
def test_damage_is_found_and_named(
    maintenance: Maintenance, database: Engine, damage: str, kind: ProblemKind
) -> None:
    if damage.startswith("PRAGMA"):
        raw = database.raw_connection()
        raw.cursor().executescript(damage)
        raw.commit()
        raw.close()
    else:
        with writing(database) as connection:
            connection.execute(text(damage))
    assert kind in {problem.kind for problem in maintenance.verify().problems}


def test_what_is_derived_is_repaired(
    maintenance: Maintenance, collection: StoredCollection, database: Engine
) -> None:
    expected = answers(collection)
    folder = collection._live.folder
    for path in folder.segments.glob("*/vectors.array"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with writing(database) as connection:
        connection.execute(text("UPDATE lexical_1_content SET c0 = 'other' WHERE id = 15"))
    opened = CollectionStore(database, threads=1)
    kinds = {problem.kind for problem in opened.maintenance("a").verify().problems}
    assert kinds == {ProblemKind.FILE, ProblemKind.WORDS}
    assert opened.maintenance("a").repair().is_clean
    assert answers(opened.open("a")) == expected
    assert answers(collection) == expected


def test_a_lost_tail_is_reported_until_somebody_settles_it(
    maintenance: Maintenance, collection: StoredCollection, database: Engine, database_url: str
) -> None:
    checkpoint(database)
    path = Path(str(database.url.database))
    kept = path.read_bytes()
    collection.upsert_many([document("lost", 99)], fingerprint=FINGERPRINT)
    checkpoint(database)
    database.dispose()
    path.write_bytes(kept)
    engine = open_database(database_url)
    reopened = CollectionStore(engine, threads=1)
    assert "write 11 was acknowledged" in reopened.maintenance("a").health().loss
    reopened.open("a").upsert_many([document("u9", 98)], fingerprint=FINGERPRINT)
    found = reopened.maintenance("a").verify()
    assert [problem.kind for problem in found.problems] == [ProblemKind.LOG]
    assert not reopened.maintenance("a").health().is_well
    assert reopened.maintenance("a").repair().is_clean
    assert reopened.maintenance("a").health().is_well
    engine.dispose()


def test_a_purge_leaves_nothing(
    maintenance: Maintenance, collection: StoredCollection, database: Engine
) -> None:
    record = collection.find("u3")
    assert record is not None
    vector = document("u3", 3, SECRET).vectors.tobytes()
    root = Path(str(database.url.database)).parent
    with writing(database) as connection:  # else its pages may be in the log alone
        connection.execute(text("UPDATE collections SET name = name"))
    assert maintenance.verify(absent=[record.id]).problems
    assert any(SECRET.encode() in path.read_bytes() for path in root.iterdir() if path.is_file())
    collection.delete(record.id)
    assert maintenance.verify(absent=[record.id]).problems
    assert maintenance.purge([record.id]).is_clean
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert vector not in data, path
    assert len(collection.search_terms(SECRET, 9)) == 0
    assert len(collection.search(np.ones(DIM), 99)) == 18
    assert maintenance.verify().is_clean


def test_what_an_interrupted_write_left_is_nothing_wrong(maintenance: Maintenance) -> None:
    """A writer that was killed in the middle of a manifest left half of one."""
    folder = maintenance._files.folder
    (folder.manifests / ".new-000002.json").write_bytes(b'{"magic": "cau')
    (folder.segments / ".new-000002-0").mkdir()
    assert maintenance.verify().problems == ()


@pytest.mark.slow
def test_a_flipped_byte_is_found_or_changes_no_answer(
    maintenance: Maintenance, collection: StoredCollection, database: Engine, tmp_path: Path
) -> None:
    """A sample of the bytes of the database; `benchmarks.crash` takes more of them."""
    expected = answers(collection)
    maintenance.compact()
    checkpoint(database)
    source = Path(str(database.url.database)).parent
    data = (source / "causerie.sqlite").read_bytes()
    rng = random.Random(5)
    num_found = 0
    for at in rng.sample(range(len(data)), 30):
        target = tmp_path / "flipped"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        bad = bytearray(data)
        bad[at] ^= 1 << rng.randrange(8)
        (target / "causerie.sqlite").write_bytes(bad)
        engine = open_database(f"sqlite:///{target / 'causerie.sqlite'}")
        try:
            store = CollectionStore(engine, threads=1)
            if store.maintenance("a").verify().is_clean:
                assert answers(store.open("a")) == expected, at
            else:
                num_found += 1
        except Exception as error:  # it does not open any more, and says so
            if isinstance(error, AssertionError):
                raise
            num_found += 1
        finally:
            engine.dispose()
    assert num_found > 0
