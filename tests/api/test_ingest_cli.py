"""`python -m api ingest`: plans, removals and notes, in this process and beside a server."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.settings import load_settings
from api.state_lock import held
from api.testing import application_of_doubles
from llm.model_store import ModelStore
from rag.testing import HashingEmbedder
from tests.api.conftest import serving
from tests.api.test_cli import run


@pytest.fixture(params=["here", "served"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let the command work in this process, or beside a server."""
    with ExitStack() as stack:
        if request.param == "here":
            monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
            monkeypatch.setattr(ModelStore, "resolve", lambda *_: None)
        else:
            state = load_settings().state
            built = stack.enter_context(application_of_doubles(state))
            live = stack.enter_context(serving(built))
            stack.enter_context(held(state, live.address))
        yield request.param


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in (("a", "The cat sleeps."), ("b", "A dog barks."), ("c", "Bees hum.")):
        (folder / f"{name}.txt").write_text(text)
    (folder / "photo.jpg").write_bytes(b"\xff\xd8")
    return folder


def of_command(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run("ingest", *words, "--collection", "pets", "--json") == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_plan_says_what_then_is_done(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = of_command(capsys, str(folder), "--plan")
    assert (plan["added"], plan["not_read"], plan["estimated_chunks"]) == (3, 1, 3)
    assert run("ingest", str(folder), "--collection", "pets", "--plan") == 0
    assert "pets (new): 3 added, 1 not read; up to about 3 chunks" in capsys.readouterr().out
    assert run("ingest", "--collection", "pets", "--status") == 1  # nothing was made
    done = of_command(capsys, str(folder))
    assert (done["added"], done["skipped"], done["chunks_embedded"]) == (3, 1, 3)

    (folder / "a.txt").rename(folder / "z.txt")
    (folder / "b.txt").write_text("A dog barks loudly.")
    (folder / "c.txt").unlink()
    (folder / "d.txt").write_text("Ants march.")
    plan = of_command(capsys, str(folder), "--plan")
    names = ["added", "changed", "renamed", "removed", "unchanged"]
    assert [plan[name] for name in names] == [1, 1, 1, 1, 0]
    done = of_command(capsys, str(folder))
    names = ["added", "updated", "renamed", "removed", "unchanged", "failed"]
    assert [done[name] for name in names] == [1, 1, 1, 1, 0, 0]
    assert (done["chunks_embedded"], done["chunks_reused"]) == (2, 1)
    plan = of_command(capsys, str(folder), "--plan")
    assert (plan["unchanged"], plan["estimated_chunks"]) == (3, 0)

    status = of_command(capsys, "--status")
    assert {file["uri"]: file["outcome"] for file in status["files"]} == {
        "notes/b.txt": "updated",
        "notes/d.txt": "added",
        "notes/photo.jpg": "skipped",
        # A server is sent the new name, and told of the old one afterwards.
        "notes/z.txt": "renamed" if place == "here" else "added",
    }
    assert {file["root"] for file in status["files"]} == {str(folder)}


def test_most_of_a_folder_is_removed_only_when_that_is_said(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_command(capsys, str(folder))
    for name in "abc":
        (folder / f"{name}.txt").unlink()
    assert run("ingest", str(folder), "--collection", "pets") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "3 of the 3 documents that came from it would be removed" in said
    assert "give --yes to remove them, or --keep" in said
    assert run("ingest", str(folder), "--collection", "pets", "--plan") == 0
    assert "Without --yes this would be refused" in capsys.readouterr().out
    assert of_command(capsys, str(folder), "--keep")["removed"] == 0
    assert of_command(capsys, str(folder), "--yes")["removed"] == 3
    assert of_command(capsys, str(folder))["removed"] == 0


def test_what_failed_is_listed_first_with_its_code(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "z.pdf").write_bytes(b"%PDF-1.4 nothing")
    assert of_command(capsys, str(folder), code=1)["failed"] == 1
    plan = of_command(capsys, str(folder), "--plan")
    assert plan["failed_before"] == 1
    assert run("ingest", "--collection", "pets", "--status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("notes/z.pdf")
    assert lines[-1] == "pets: 3 added, 1 failed, 1 skipped"


@pytest.mark.parametrize("words", [(), ("no/such/file",), ("no/such/file", "--plan")])
def test_what_is_not_there_is_told(words: tuple[str, ...]) -> None:
    assert run("ingest", *words, "--collection", "pets") == 2
