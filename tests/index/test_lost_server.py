"""A PostgreSQL server that goes away: named, nothing half there, and found again."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from sqlalchemy import Engine, make_url, text

from index import tables
from index.database import open_database, reading, writing
from index.errors import DatabaseUnreachableError, UnstorableTextError
from index.store import CollectionStore
from index.testing import DIM, FINGERPRINT, axis, store_text
from tests.databases import POSTGRESQL, Place

pytestmark = pytest.mark.parametrize("database_kind", [POSTGRESQL])


class Wire:
    """A way to the server that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.mend()

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets.append(listener)
        self._start(self._accept, listener)

    def cut(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()
        self._sockets.clear()
        self._threads.clear()

    def _start(self, work: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=work, args=given)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.create_connection(self._server)
                self._sockets += [ours, theirs]
                self._start(self._carry, ours, theirs)
                self._start(self._carry, theirs, ours)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(place: Place) -> Iterator[Wire]:
    url = make_url(place.url)
    wire = Wire(url.host or "127.0.0.1", url.port or 5432)
    yield wire
    wire.cut()


@pytest.fixture
def store(place: Place, database: Engine, wire: Wire) -> Iterator[CollectionStore]:
    del database  # has made the tables
    url = make_url(place.url).set(host="127.0.0.1", port=wire.port)
    far = open_database(url, schema=place.schema)
    store = CollectionStore(far, threads=1, folder=place.folder)
    store.create("notes", embedder="e", fingerprint=FINGERPRINT, dim=DIM)
    yield store
    store.close()
    far.dispose()


def test_a_server_that_is_gone_is_named_and_found_again(store: CollectionStore, wire: Wire) -> None:
    collection = store.open("notes")
    store_text(collection, "a", "tea", [axis(0)])
    wire.cut()
    for _ in range(2):
        with pytest.raises(DatabaseUnreachableError, match=r"127\.0\.0\.1.*start the server"):
            collection.search(np.ones(DIM), 9)
        with pytest.raises(DatabaseUnreachableError):
            collection.search_terms("tea", 9)
        with pytest.raises(DatabaseUnreachableError):
            store_text(collection, "b", "tea", [axis(0)])
    wire.mend()
    assert [hit.uri for hit in collection.search_terms("tea", 9)] == ["a"]
    store_text(collection, "b", "tea", [axis(0)])
    assert len(collection.search(np.ones(DIM), 9)) == 2
    assert store.maintenance("notes").verify().is_clean


def test_a_write_that_is_cut_in_the_middle_is_not_there(
    store: CollectionStore, wire: Wire, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = store.open("notes")
    store_text(collection, "a", "tea", [axis(0)])
    insert_vectors = collection._rows._insert_vectors

    def cut_and_insert(*given: object) -> None:
        wire.cut()
        insert_vectors(*given)  # type: ignore[arg-type]  # as it was called

    with monkeypatch.context() as middle:
        middle.setattr(collection._rows, "_insert_vectors", cut_and_insert, raising=True)
        with pytest.raises(DatabaseUnreachableError):
            store_text(collection, "b", "tea", [axis(0)])
    wire.mend()
    assert [record.uri for record in collection.documents()] == ["a"]
    store_text(collection, "b", "tea", [axis(0)])
    assert store.maintenance("notes").verify().is_clean
    assert collection.count() == 2


def test_a_session_that_the_server_ends_is_named(
    store: CollectionStore, database: Engine, place: Place
) -> None:
    """As when it is stopped by its operator: one request fails, the next one is answered."""
    collection = store.open("notes")
    engine = place.open()

    def end_and_ask() -> None:
        with reading(engine) as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with writing(database) as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            connection.execute(tables.collections.select())

    with pytest.raises(DatabaseUnreachableError):
        end_and_ask()
    with reading(engine) as connection:
        assert connection.execute(tables.collections.select()).one().name == "notes"
    engine.dispose()
    assert collection.count() == 0


def test_a_text_that_the_server_cannot_hold_is_named(store: CollectionStore) -> None:
    collection = store.open("notes")
    for ask in (collection.find, collection.get, collection.delete):
        with pytest.raises(UnstorableTextError, match="NUL"):
            ask("a\0b")
    with pytest.raises(UnstorableTextError, match="NUL"):
        store.info("a\0b")
    assert collection.count() == 0
