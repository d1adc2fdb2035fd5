"""`index tune`: a choice stored, a table and a picture shown, wishes that cannot be met named."""

import json
from pathlib import Path

import numpy as np
import pytest

from api.cli.main import main
from api.cli.tune import parse_milliseconds, parse_size
from api.settings import load_settings
from api.state_database import state_database
from index.protocol import Item
from index.store import CollectionStore
from index.tuning_store import TuningStore


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a collection of 400 vectors."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    vectors = np.random.default_rng(1).normal(size=(400, 24)).astype(np.float32)
    with state_database(load_settings()) as database:
        store = CollectionStore(database, threads=1)
        store.create("songs", embedder="test", fingerprint="f", dim=24)
        store.open("songs").upsert(
            uri="a",
            title="a",
            media_type="text/plain",
            source_sha256="0" * 64,
            text="x" * 400,
            items=[Item(start=i, end=i + 1) for i in range(400)],
            vectors=vectors,
            fingerprint="f",
            metadata={},
        )
    return tmp_path


def test_the_choice_is_shown_drawn_and_stored(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_ends(0, "index", "tune", "songs", "--p95", "5s")
    out = capsys.readouterr().out
    assert "songs: flat effort=1, recall 1.000" in out
    assert (state / "songs-tuning.png").read_bytes()[:4] == b"\x89PNG"
    with state_database(load_settings()) as database:
        stored = TuningStore(database).latest("songs")
    assert stored is not None
    assert stored.choice.method == "flat"
    assert stored.num_rows == 400


@pytest.mark.slow
def test_it_measures_methods_where_exact_search_takes_too_much(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--memory", "0.03MB", "--recall", "0.8", "--k", "5", "--prefer", "memory")
    main_ends(0, "index", "tune", "songs", *arguments, "--plot", "p.png", "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["choice"]["method"] not in {"flat", "hnsw"}
    assert record["target"]["memory"] == 30_000
    assert (state / "p.png").is_file()
    main_ends(1, "index", "tune", "songs", "--memory", "10B")
    assert "nothing holds recall 0.95 at 10" in capsys.readouterr().err


def test_what_is_wrong_is_named(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ends(1, "index", "tune", "sonnets")
    assert "no collection is called 'sonnets'; there are 'songs'" in capsys.readouterr().err
    for option, value in (
        ("--recall", "1.0"),
        ("--memory", "much"),
        ("--p95", "10"),
        ("--prefer", "looks"),
    ):
        main_ends(2, "index", "tune", "songs", option, value)
    assert parse_size("1.5 GB") == 1_500_000_000
    assert parse_milliseconds("0.5s") == 500.0


def main_ends(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
