"""`index search` and `index snapshots`: in this process, and beside a running server."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.settings import load_settings
from api.state_database import state_database
from api.state_lock import held
from api.testing import application_of_doubles
from index.new_rows import document_id_of
from index.store import CollectionStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_cli import run
from tests.api.test_index_cli import fill


@pytest.fixture(params=[False, True], ids=["alone", "beside a server"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    assert run("index", "create", "tea") == 0
    fill("tea")
    state = load_settings().state
    with ExitStack() as stack:
        if request.param:
            built = stack.enter_context(application_of_doubles(state))
            live = stack.enter_context(serving(built))
            stack.enter_context(held(state, live.address))
        yield


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert run("index", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("place")
def test_an_earlier_state_has_a_name_and_answers(capsys: pytest.CaptureFixture[str]) -> None:
    taken = asked(capsys, "snapshots", "tea", "--take", "may")
    assert [(one["name"], one["seq"]) for one in taken["data"]] == [("may", 1)]
    before = asked(capsys, "search", "tea", "tea number 1", "--k", "3")
    assert before["data"][0]["text"] == "tea number 1"
    with state_database(load_settings()) as database:
        store = CollectionStore(database, threads=1)
        store.open("tea").delete(document_id_of("tea", "u1"))
        store.close()
    now = asked(capsys, "search", "tea", "tea number 1")
    assert len(now["data"]) == now["scanned"] == 2
    for state in ("may", "1"):
        then = asked(capsys, "search", "tea", "tea number 1", "--k", "3", "--as-of", state)
        assert then["data"] == before["data"]
        assert (then["complete"], then["scanned"], then["reason"]) == (True, 3, "")
    assert asked(capsys, "snapshots", "tea")["seq"] == 2
    assert run("index", "purge", "tea", "u1", "--yes") == 0
    capsys.readouterr()
    assert run("index", "search", "tea", "tea number 1", "--as-of", "may") == 0
    assert "incomplete: 1 chunks of that time were purged" in capsys.readouterr().out
    assert run("index", "snapshots", "tea") == 0
    assert "may: after write 1" in capsys.readouterr().out


@pytest.mark.usefixtures("place")
def test_a_history_is_trimmed_when_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fill("tea")
    fill("tea")
    assert asked(capsys, "health", "tea")["stats"]["since"] == 1
    found = asked(capsys, "compact", "tea", "--keep-writes", "2")
    assert found["trimmed"] == {"since": 2, "num_documents": 3, "num_chunks": 3}
    assert asked(capsys, "compact", "tea")["trimmed"] is None
    assert run("index", "search", "tea", "tea", "--as-of", "1") == 0
    assert "history of this collection begins with write 2" in capsys.readouterr().out
    assert run("index", "health", "tea") == 0
    assert "3 old chunks, states since write 2 of 3" in capsys.readouterr().out
    assert run("index", "verify", "tea") == 0


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("state", "said"), [("june", "'june'; it has none"), ("7", "not 7")])
def test_a_state_that_there_was_not_is_named(
    capsys: pytest.CaptureFixture[str], state: str, said: str
) -> None:
    assert run("index", "search", "tea", "x", "--as-of", state) != 0
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_vectors_that_do_not_serve_are_dropped_when_that_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = HashingEmbedder(dim=32)
    other.name = "other"
    monkeypatch.setattr(
        bootstrap,
        "embedder_alone",
        lambda settings: other if settings.embedding_model == "other" else HashingEmbedder(),
    )
    assert run("index", "create", "tea") == 0
    fill("tea")
    assert run("index", "reembed", "tea", "--model", "other") == 0
    assert run("index", "reembed", "tea", "--rollback", "--drop-old") == 2
    found = asked(capsys, "reembed", "tea", "--drop-old")
    assert found == {"name": "tea", "embedding_model": "other", "num_dropped": 3}
    assert run("index", "reembed", "tea", "--rollback") == 1
    assert "nothing to go back to" in capsys.readouterr().err
    assert run("index", "verify", "tea") == 0
