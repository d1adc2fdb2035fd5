"""Long work says how much of it is done, and ends at all of it."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from index.maintenance import Maintenance
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text


@pytest.fixture
def upkeep(database: Engine) -> Iterator[Maintenance]:
    store = CollectionStore(database, threads=1)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    for i in range(3):
        store_text(store.open("notes"), f"u{i}", " ".join(["tea"] * 300), [axis(i)] * 300)
    yield store.maintenance("notes")
    store.close()


def test_verify_compact_and_repair_tell_their_share(upkeep: Maintenance) -> None:
    said = defaultdict[str, list[tuple[int, int]]](list)

    def note(label: str, done: int, total: int) -> None:
        said[label].append((done, total))

    upkeep.compact(on_progress=note)
    upkeep.verify(on_progress=note)
    assert {label: steps[-1] for label, steps in said.items()} == {
        "sealing": (900, 900),
        "documents": (3, 3),
        "vectors": (900, 900),
        "words": (900, 900),
        "segments": (1, 1),
    }
    for steps in said.values():
        assert steps == sorted(steps)
    assert len(said["vectors"]) > 1
    said.clear()
    assert upkeep.repair(on_progress=note).is_clean
    assert said["words"][-1] == (900, 900)
