"""`index reembed`: changed over, resumed, gone back; refused beside a running server."""

from pathlib import Path

import pytest

from api import bootstrap
from api.settings import Settings, load_settings
from api.state_database import state_database
from api.state_lock import held
from api.testing import application_of_doubles
from index.store import CollectionStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_cli import run
from tests.api.test_index_cli import fill


@pytest.fixture(autouse=True)
def embedders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def embedder_alone(settings: Settings) -> HashingEmbedder:
        embedder = HashingEmbedder()
        if settings.embedding_model == "other":
            embedder = HashingEmbedder(dim=32)
            embedder.name = "other"
        return embedder

    monkeypatch.setattr(bootstrap, "embedder_alone", embedder_alone)
    assert run("index", "create", "tea") == 0
    fill("tea")


def embedder_of(collection: str) -> tuple[str, int]:
    with state_database(load_settings()) as database:
        info = CollectionStore(database, threads=1).info(collection)
    return info.embedder, info.dim


def test_a_collection_gets_another_model_and_its_old_one_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("index", "reembed", "tea", "--model", "other") == 0
    assert embedder_of("tea") == ("other", 32)
    assert run("index", "reembed", "tea", "--model", "other") == 0  # nothing is left to do
    assert "tea: vectors of other serve" in capsys.readouterr().out
    assert run("index", "reembed", "tea", "--rollback", "--json") == 0
    assert '"embedding_model": "hashing"' in capsys.readouterr().out
    assert embedder_of("tea") == ("hashing", 64)
    assert run("index", "verify", "tea") == 0


def test_beside_a_server_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    state = load_settings().state
    with (
        application_of_doubles(state) as built,
        serving(built) as live,
        held(state, live.address),
    ):
        assert run("index", "reembed", "tea", "--model", "other") != 0
    assert "stop it, embed anew" in capsys.readouterr().err
    assert embedder_of("tea") == ("hashing", 64)
