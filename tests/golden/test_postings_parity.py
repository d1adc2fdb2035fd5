"""The lexical lane against FTS5's own `bm25`, while rows come, go and are sealed into blocks."""

import numpy as np
import pytest
from sqlalchemy import Engine, text

from index import lexical, tables
from index.collection import StoredCollection
from index.database import open_database, reading, writing
from index.lexical import HEADING_WEIGHT
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from index.testing import FINGERPRINT

WORDS = [f"w{a}{b}q" for a in "bcdfghjk" for b in "bcdfghjk"][:60]


def by_fts5(database: Engine, terms: list[str], k: int) -> list[tuple[int, float]]:
    """The slow obvious way: all terms in one OR query."""
    with reading(database) as connection:
        rows = connection.execute(
            text(
                f"SELECT rowid, -bm25(lexical_1, 1.0, {HEADING_WEIGHT}.0) AS score FROM lexical_1"
                " WHERE lexical_1 MATCH :query ORDER BY score DESC, rowid LIMIT :k"
            ),
            {"query": " OR ".join(f'"{term}"' for term in terms), "k": k},
        )
        return [(row.rowid, row.score) for row in rows]


def by_lane(
    database: Engine, collection: StoredCollection, query: str, k: int
) -> list[tuple[int, float]]:
    lane = collection._lane
    with lane.lock, reading(database) as connection:
        found = lane.nearest(connection, lane.postings(connection), query, k)
    return list(zip(found.ids.tolist(), found.scores.tolist(), strict=True))


def document(rng: np.random.Generator, number: int) -> NewDocument:
    share = rng.dirichlet(np.full(len(WORDS), 0.2))
    words = rng.choice(WORDS, int(rng.integers(3, 60)), p=share)
    content = " ".join(words)
    return NewDocument(
        uri=f"u{number}",
        title=str(rng.choice(WORDS)),
        media_type="text/plain",
        source_sha256="",
        text=content,
        items=[Item(start=0, end=len(content))],
        vectors=np.ones((1, 3), np.float32),
    )


def test_scores_are_those_of_fts5_after_any_writes(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical, "BLOCK_ROWS", 40)
    database = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    writer = CollectionStore(database, threads=1)
    writer.create("c", embedder="e", fingerprint=FINGERPRINT, dim=3)
    reader = CollectionStore(database, threads=1)  # as another process is
    rng = np.random.default_rng(5)
    for step in range(60):
        writer.open("c").upsert_many(
            [document(rng, int(n)) for n in rng.choice(600, 12, replace=False)],
            fingerprint=FINGERPRINT,
        )
        if step % 7:
            continue
        for _ in range(4):
            terms = rng.choice(WORDS, 5, replace=False).tolist()
            expected = by_fts5(database, terms, 10)
            for store in (reader, writer, CollectionStore(database, threads=1)):
                found = by_lane(database, store.open("c"), " ".join(terms), 10)
                assert [chunk for chunk, _ in found] == [chunk for chunk, _ in expected]
                scores = [score for _, score in expected]
                assert [score for _, score in found] == pytest.approx(scores, rel=1e-9)
    with reading(database) as connection:
        levels = connection.scalars(text("SELECT DISTINCT level FROM lexical_1_blocks")).all()
    assert max(levels) >= 1, "blocks were merged"

    with writing(database) as connection:
        connection.execute(text("UPDATE lexical_1_blocks SET data = zeroblob(99)"))
    found = by_lane(database, CollectionStore(database, threads=1).open("c"), WORDS[0], 10)
    assert found == by_lane(database, reader.open("c"), WORDS[0], 10) != []
    database.dispose()
