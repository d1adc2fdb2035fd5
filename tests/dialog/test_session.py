from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from dialog.session import ALL_OWNERS, SessionStore, SQLSessionStore, events, metadata
from dialog.testing import MemorySessionStore, SessionStoreContract, sample_turn
from index.database import open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'causerie.sqlite'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


class TestMemorySessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self) -> SessionStore:
        return MemorySessionStore()


class TestSQLSessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self, database: Engine) -> SessionStore:
        return SQLSessionStore(database)


def test_conversations_survive_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'causerie.sqlite'}"
    first = open_database(url)
    metadata.create_all(first)
    info = SQLSessionStore(first).create(owner="ada", collection="docs", title="")
    SQLSessionStore(first).append(info.id, 1, *sample_turn())
    first.dispose()

    second = open_database(url)
    store = SQLSessionStore(second)
    assert tuple(s.event for s in store.events(info.id, "ada"))[1:] == sample_turn()
    assert store.list(ALL_OWNERS)[0].title == "What is a closure?"
    second.dispose()


def test_deleting_a_conversation_leaves_no_event_behind(database: Engine) -> None:
    store = SQLSessionStore(database)
    info = store.create(owner="", collection=None)
    store.append(info.id, 1, *sample_turn())
    store.delete(info.id, "")
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() == 0
