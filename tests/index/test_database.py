"""Transactions: who locks whom, and what survives."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import DBAPIError

from index import transaction
from index.database import UTCDateTime, open_database, reading, writing
from index.errors import DatabaseBusyError, DatabaseUnreachableError
from tests.databases import POSTGRESQL, Place, both_kinds

metadata = MetaData()
moments = Table(
    "moments", metadata, Column("id", Integer, primary_key=True), Column("at", UTCDateTime)
)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def empty(database: Engine) -> Engine:
    with writing(database) as connection:
        metadata.create_all(connection)
    return database


def count(database: Engine) -> int:
    with reading(database) as connection:
        return len(connection.execute(select(moments)).all())


def test_the_file_is_opened_for_durability_and_checked_references(database: Engine) -> None:
    with reading(database) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/db"])
def test_only_a_file_or_a_server_is_a_database(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///PATH") as caught:
        open_database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("schema", ["", "Upper", "1st", 'a"; DROP SCHEMA b', "ä", "x" * 64])
def test_only_plain_names_are_schemas(schema: str) -> None:
    with pytest.raises(ValueError, match="1 to 63"):
        open_database("postgresql://nobody@127.0.0.1:1/none", schema=schema)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnreachableError, match=r"127\.0\.0\.1:1/none") as caught:
        open_database("postgresql://nobody:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("database_kind", [POSTGRESQL])
def test_a_transaction_sees_its_own_schema_and_no_other(place: Place, database: Engine) -> None:
    """Also not the public one, and what it set does not outlive it."""
    mine = other = None
    with writing(database) as connection:
        mine = connection.scalar(text("SHOW search_path"))
        metadata.create_all(connection)
    elsewhere = open_database(place.url, schema=f"{place.schema}_b")
    try:
        with reading(elsewhere) as connection:
            other = connection.scalar(text("SHOW search_path"))
            assert not elsewhere.dialect.has_table(connection, "moments")
        raw = database.raw_connection()
        assert raw.cursor().execute("SHOW search_path").fetchone() != (place.schema,)
        raw.close()
    finally:
        with writing(elsewhere) as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {place.schema}_b CASCADE")
        elsewhere.dispose()
    assert (mine, other) == (place.schema, f"{place.schema}_b")


@both_kinds
def test_a_failed_write_leaves_nothing_not_even_its_tables(database: Engine) -> None:
    def fail_after_writing() -> None:
        with writing(database) as connection:
            metadata.create_all(connection)
            connection.execute(insert(moments).values(at=NOON))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    with reading(database) as connection:
        assert not database.dialect.has_table(connection, "moments")


@both_kinds
def test_a_reader_cannot_write_and_the_next_writer_can(empty: Engine) -> None:
    with (
        pytest.raises(DBAPIError, match=r"read-?only"),
        reading(empty) as connection,
    ):
        connection.execute(insert(moments).values(at=NOON))
    with writing(empty) as connection:
        connection.execute(insert(moments).values(at=NOON))
    assert count(empty) == 1


@both_kinds
def test_readers_go_on_beside_a_writer_and_see_the_state_before_it(empty: Engine) -> None:
    with writing(empty) as connection:
        connection.execute(insert(moments).values(at=NOON))
        assert count(empty) == 0
    assert count(empty) == 1


@both_kinds
def test_a_reader_sees_one_state_to_its_end_and_holds_no_writer_up(empty: Engine) -> None:
    with reading(empty) as reader:
        assert reader.execute(select(moments)).all() == []
        with writing(empty) as writer:
            writer.execute(insert(moments).values(at=NOON))
        assert reader.execute(select(moments)).all() == []
    assert count(empty) == 1


@both_kinds
def test_writers_that_read_first_wait_for_each_other(empty: Engine) -> None:
    """A deferred transaction would fail here with "database is locked" on its first write."""

    def increment() -> None:
        for _ in range(5):
            with writing(empty) as connection:
                seen = len(connection.execute(select(moments)).all())
                connection.execute(insert(moments).values(id=seen + 1, at=NOON))

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(empty) == 20


@both_kinds
def test_a_lock_that_is_never_let_go_is_one_clear_error(
    empty: Engine, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "BUSY_TIMEOUT_S", 0.05)
    impatient = place.open()
    try:
        with (
            writing(empty),
            pytest.raises(DatabaseBusyError, match=r"(causerie\.sqlite|test_\w+\)).*0\.05 s"),
            writing(impatient),
        ):
            raise AssertionError("two writers at once")
    finally:
        impatient.dispose()


@both_kinds
def test_a_failing_statement_is_not_taken_for_a_busy_database(database: Engine) -> None:
    with (
        pytest.raises(DBAPIError, match=r"no such table|does not exist"),
        writing(database) as connection,
    ):
        connection.execute(text("SELECT * FROM nowhere"))


@both_kinds
def test_times_keep_their_moment_and_must_have_a_zone(empty: Engine) -> None:
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    with writing(empty) as connection:
        connection.execute(insert(moments), [{"at": east}, {"at": None}])
        assert connection.scalars(select(moments.c.at)).all() == [NOON, None]
    with pytest.raises(Exception, match="time zone"), writing(empty) as connection:
        connection.execute(insert(moments).values(at=NOON.replace(tzinfo=None)))


def test_the_folder_of_a_database_is_made(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a' / 'b' / 'c.sqlite'}")
    with reading(engine) as connection:
        assert connection.scalar(select(1)) == 1
    engine.dispose()
