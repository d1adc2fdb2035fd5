from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from index.database import open_database
from tools.audit import AuditLog, metadata


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'audit.db'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def audit(database: Engine) -> AuditLog:
    return AuditLog(database)
