"""`python -m api ingest`: plans, removals and notes, in this process and beside a server."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.cli.ingest_view import print_reports, remark
from api.cli.ingest_watch import change_line
from api.settings import load_settings
from api.state_lock import held
from api.testing import application_of_doubles
from llm.errors import ModelStoreError
from llm.model_store import ModelStore
from rag.ingest_report import FileReport, Outcome
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


def test_a_plan_counts_what_failed_once_and_says_what_is_not_read(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "xyz":
        (folder / f"{name}.pdf").write_bytes(b"%PDF-1.4 nothing " + name.encode())
    assert of_command(capsys, str(folder), code=1)["failed"] == 3
    (folder / "d.txt").write_text("Ants march.")
    plan = of_command(capsys, str(folder), "--plan")
    names = ["added", "unchanged", "not_read", "failed_before", "estimated_chunks"]
    assert [plan[name] for name in names] == [1, 3, 1, 3, 1]
    assert run("ingest", str(folder), "--collection", "pets", "--plan") == 0
    lines = capsys.readouterr().out.splitlines()
    (photo,) = [line for line in lines if line.startswith("notes/photo.jpg")]
    assert "not read" in photo
    assert ".jpg" in photo.partition("not read")[2]  # the reason, on the same line
    assert "up to about 1 chunk to embed" in lines[-2]


def test_a_line_a_file_where_the_output_is_no_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = FileReport(uri="n" * 60, outcome=Outcome.FAILED, reason="a long reason " * 20)
    print_reports("pets", [report])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(("a long reason " * 20).rstrip())
    assert lines[0] == lines[0].rstrip()


def test_a_copy_is_said_to_be_one() -> None:
    report = FileReport(uri="b", outcome=Outcome.ADDED, near_duplicate_of="a")
    assert remark(report) == "nearly the same text as a"
    assert remark(replace(report, is_same_text=True)) == "the same text as a"


def test_a_change_of_one_chunk_is_told_in_the_singular() -> None:
    report = FileReport(uri="b", outcome=Outcome.ADDED, num_chunks=1, num_embedded=1)
    assert "(1 chunk embedded, 0 reused)" in change_line(report)


class Models:
    """Counts how often the embedding model is loaded; an error where there is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.num_loads = 0
        self.is_missing = False
        monkeypatch.setattr(bootstrap, "embedder_alone", self.load)
        monkeypatch.setattr(ModelStore, "resolve", lambda *_: None)
        monkeypatch.setenv("CAUSERIE_EMBEDDING_MODEL", "hashing")

    def load(self, _: object) -> HashingEmbedder:
        if self.is_missing:
            raise ModelStoreError("hashing is not on this machine")
        self.num_loads += 1
        return HashingEmbedder()


def test_the_model_is_loaded_once_something_is_to_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Models(monkeypatch)
    url = "http://127.0.0.1:9/x"
    found = of_command(capsys, url, code=1)
    assert [file["code"] for file in found["files"]] == ["address refused"]
    assert models.num_loads == 0
    assert run("ingest", "--collection", "pets", "--status") == 1  # no collection was made
    assert of_command(capsys, str(folder))["chunks_embedded"] == 3
    assert models.num_loads == 1
    (folder / "c.txt").unlink()
    done = of_command(capsys, str(folder))
    assert (done["unchanged"], done["removed"], done["skipped"]) == (2, 1, 1)
    assert of_command(capsys, str(folder), url, code=1)["unchanged"] == 2
    assert models.num_loads == 1
    (folder / "d.txt").write_text("Ants march.")
    (folder / "b.txt").unlink()
    models.is_missing = True
    capsys.readouterr()
    assert run("ingest", str(folder), "--collection", "pets") == 1
    assert "hashing is not on this machine" in capsys.readouterr().err
    models.is_missing = False
    assert of_command(capsys, str(folder))["removed"] == 1  # nothing was done before
    assert models.num_loads == 2
    # Where another model is set, even an unchanged folder says so.
    monkeypatch.setenv("CAUSERIE_EMBEDDING_MODEL", "other")
    of_command(capsys, str(folder))
    assert models.num_loads == 3


def test_help_shows_how_a_page_of_a_private_network_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("ingest", "--help") == 0
    example = "python -m api ingest http://intranet/rules --collection papers --allow-private"
    assert example in " ".join(capsys.readouterr().out.split())
