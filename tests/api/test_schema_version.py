"""The schema: what the scripts make of an empty database, and who may open it."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text

from api import evaluation_tables, schema_version
from api.schema_version import database_version, program_version, upgrade
from dialog import session
from dialog.task import sql_log
from index import tables
from index.database import open_database, reading, writing
from index.errors import SchemaVersionError
from index.store import CollectionStore
from tests.databases import POSTGRESQL, SQLITE, Place, both_kinds, place_of
from tools import agent_log, audit

SCRIPTS = Path(schema_version.__file__).parent / "migrations"
OWNERS = [
    tables.metadata,
    session.metadata,
    sql_log.metadata,
    audit.metadata,
    agent_log.metadata,
    evaluation_tables.metadata,
]


@pytest.fixture
def database_kind() -> str:
    return SQLITE


@pytest.fixture
def place(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(database_kind, request, tmp_path) as place:
        yield place


@pytest.fixture
def database(place: Place) -> Iterator[Engine]:
    engine = place.open()
    yield engine
    engine.dispose()


def definitions(database: Engine) -> dict[str, str]:
    """The SQL of every table and index, as SQLite keeps it."""
    with reading(database) as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        )
        return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_scripts_make_the_tables_that_the_code_uses(database: Engine, tmp_path: Path) -> None:
    upgrade(database)
    direct = open_database(f"sqlite:///{tmp_path / 'direct.sqlite'}")
    with writing(direct) as connection:
        for metadata in OWNERS:
            metadata.create_all(connection)
    expected = definitions(direct)
    direct.dispose()
    migrated = definitions(database)
    assert migrated.pop("alembic_version")
    assert migrated == expected


@both_kinds
def test_alembic_finds_no_difference_to_the_tables_in_the_code(database: Engine) -> None:
    """A second opinion, by reflection: types, nullability, keys, indexes."""
    upgrade(database)
    every = MetaData()
    for metadata in OWNERS:
        for table in metadata.tables.values():
            table.to_metadata(every)
    with reading(database) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, every) == []


def test_keyword_tables_come_with_a_collection_and_go_with_the_schema(database: Engine) -> None:
    """Reflection sees nothing of virtual tables, so that the comparisons above cannot."""
    upgrade(database)
    assert not any("VIRTUAL" in sql for sql in definitions(database).values())
    CollectionStore(database, threads=1).create("a", embedder="e", fingerprint="f", dim=3)
    virtual = [name for name, sql in definitions(database).items() if "VIRTUAL" in sql]
    assert virtual == ["lexical_1", "surface_1", "surface_1_words"]
    with writing(database) as connection:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(definitions(database)) == {"alembic_version", "sqlite_sequence"}


@both_kinds
def test_a_new_database_gets_the_version_of_the_program(database: Engine) -> None:
    assert database_version(database) is None
    upgrade(database)
    assert database_version(database) == program_version()


def test_a_second_upgrade_changes_nothing(database: Engine) -> None:
    upgrade(database)
    CollectionStore(database, threads=1).create("a", embedder="e", fingerprint="f", dim=3)
    before = definitions(database)
    upgrade(database)
    assert definitions(database) == before
    assert CollectionStore(database, threads=1).info("a").dim == 3


@both_kinds
def test_a_database_of_a_newer_program_is_refused_untouched(database: Engine) -> None:
    upgrade(database)
    with writing(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaVersionError, match=rf"9999.*version {program_version()}"):
        upgrade(database)
    assert database_version(database) == "9999"


@pytest.mark.parametrize("database_kind", [POSTGRESQL])
def test_the_way_back_leaves_nothing_on_a_server(place: Place, database: Engine) -> None:
    upgrade(database)
    with writing(database) as connection:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with reading(database) as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_an_upgrade_that_fails_leaves_nothing(database: Engine) -> None:
    with writing(database) as connection:
        connection.execute(text("CREATE TABLE vectors (in_the_way)"))
    with pytest.raises(Exception, match="vectors already exists"):
        upgrade(database)
    assert list(definitions(database)) == ["vectors"]


def test_an_upgrade_works_from_any_folder_and_leaves_logging_alone(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = logging.getLogger("tests.mine")
    root = logging.getLogger()
    before = (root.level, list(root.handlers), mine.disabled)
    upgrade(database)
    assert (root.level, list(root.handlers), mine.disabled) == before


@both_kinds
def test_several_programs_may_start_at_once(place: Place, database: Engine) -> None:
    engines = [place.open() for _ in range(4)]
    failures: list[BaseException] = []

    def start(engine: Engine) -> None:
        try:
            upgrade(engine)
        except BaseException as error:  # noqa: BLE001  # shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=start, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert failures == []
    assert database_version(database) == program_version()
