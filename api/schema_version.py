"""The version of the database's schema: read, compared with the program's, brought up to it."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from index.database import name_of, reading, writing
from index.errors import SchemaVersionError

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = threading.Lock()  # Alembic keeps the migration at hand in a module's globals


def program_version() -> str:
    """Return the schema version that this program reads and writes."""
    head = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    assert head is not None, "there is at least one migration script"
    return head


def database_version(database: Engine) -> str | None:
    """Return the schema version of the database, None where it has no schema yet."""
    with reading(database) as connection:
        return _version(connection)


def upgrade(database: Engine) -> None:
    """Create the tables, or bring older ones to the program's version, in one transaction.

    Safe to call at every start and from several processes at once; costs a read where there is
    nothing to do.

    Raises:
        SchemaVersionError: the database was written by a newer version of the program.
    """
    scripts = ScriptDirectory(str(_SCRIPTS))
    with reading(database) as connection:
        if _version(connection) == scripts.get_current_head():
            return
    with _LOCK, writing(database) as connection:
        # Read again under the lock: another process may have upgraded since.
        _refuse_newer(_version(connection), scripts, database)
        config = Config()
        # Alembic's options interpolate: a percent sign in the path stands for itself when doubled.
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(version: str | None, scripts: ScriptDirectory, database: Engine) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if version is not None and version not in known:
        raise SchemaVersionError(
            f"{name_of(database)} has schema version {version}, newer than version"
            f" {scripts.get_current_head()} of this program; install the newer causerie, or point"
            " CAUSERIE_STATE at another folder (CAUSERIE_DATABASE_URL at another database)"
        )
