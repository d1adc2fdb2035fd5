"""`python -m api ingest URL`, against a server on this machine."""

import json
from pathlib import Path

import pytest

from api import bootstrap
from api.settings import load_settings
from api.state_lock import held
from api.testing import application_of_doubles
from llm.model_store import ModelStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_cli import run
from tests.rag.web_server import web_server


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    monkeypatch.setattr(ModelStore, "resolve", lambda *_: None)


@pytest.mark.usefixtures("here")
def test_a_page_is_ingested_beside_files_and_not_sent_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("The cat sleeps.")
    words = ("ingest", str(tmp_path / "a.txt"), "--collection", "web", "--json")
    with web_server() as base:
        for outcome in ("added", "unchanged"):
            capsys.readouterr()
            assert run(*words, f"{base}/tagged", f"{base}/bees", "--allow-private") == 0
            files = json.loads(capsys.readouterr().out)["files"]
            assert [file["outcome"] for file in files] == [outcome] * 3
            assert files[1]["uri"] == f"{base}/tagged"
        capsys.readouterr()
        assert run(*words, f"{base}/bees", f"{base}/absent") == 1
        files = json.loads(capsys.readouterr().out)["files"]
        assert [file["code"] for file in files[1:]] == ["address refused", "address refused"]


@pytest.mark.usefixtures("here")
def test_a_page_that_fails_ends_no_run_and_its_host_has_no_upper_case(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("ingest", "--collection", "web", "--json", "--allow-private")
    with web_server() as base:
        bad = [f"{base}/to?http://[bad/x", f"{base}/unasked"]
        for outcome in ("added", "unchanged"):
            capsys.readouterr()
            assert run(*words, *bad, base.replace("http", "HTTP") + "/bees") == 1
            files = json.loads(capsys.readouterr().out)["files"]
            assert [file.get("code") for file in files[:2]] == ["unsupported", "http status"]
            assert (files[2]["uri"], files[2]["outcome"]) == (f"{base}/bees", outcome)


def test_beside_a_running_server_a_page_is_refused_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = load_settings().state
    with (
        application_of_doubles(state) as built,
        serving(built) as live,
        held(state, live.address),
        web_server() as base,
    ):
        assert run("ingest", f"{base}/bees", "--collection", "web", "--allow-private") == 1
    assert "only files are sent to the server" in capsys.readouterr().err
