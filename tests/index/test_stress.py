"""Writers, readers and upkeep at once; `benchmarks.stress` does so for longer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stress import CHUNKS, wrong_reads

ROOT = Path(__file__).parents[2]
WRITES = [["write", "u", 1, 1.0, 2.0], ["write", "u", 3, 3.0, 4.0], ["write", "u", 4, 5.0, 6.0]]


def read(began: float, ended: float, version: int | None, num: int = CHUNKS) -> list[object]:
    found = {} if version is None else {"u": [str(version)] * num}
    return ["read", "r", began, ended, found]


@pytest.mark.parametrize(
    "reads",
    [
        [read(0.1, 0.2, None), read(1.5, 1.6, None), read(2.5, 3.5, 3), read(7.0, 8.0, None)],
        [read(1.5, 1.6, 1), read(2.5, 3.5, 1), read(5.5, 5.6, 3), read(5.7, 5.8, None)],
    ],
)
def test_what_could_have_been_is_let_pass(reads: list[list[object]]) -> None:
    assert wrong_reads([*WRITES, *reads]) == []


@pytest.mark.parametrize(
    "reads",
    [
        [read(2.5, 2.6, None)],  # an acknowledged write is missing
        [read(0.1, 0.2, 1)],  # before it was begun
        [read(4.5, 4.6, 1)],  # a replaced version
        [read(6.5, 6.6, 3)],  # a deleted one
        [read(4.5, 4.6, 3, CHUNKS - 1)],  # half of it
        [read(3.1, 3.2, 3), read(3.3, 3.4, 1)],  # and back again
    ],
)
def test_what_cannot_have_been_is_noticed(reads: list[list[object]]) -> None:
    assert wrong_reads([*WRITES, *reads]) != []


@pytest.mark.slow
def test_every_search_fits_the_history(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = ["-m", "benchmarks.stress", "--seconds", "3", "--json", str(report)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *counts, wrong = json.loads(report.read_text())["figures"]
    assert wrong["value"] == 0, done.stdout
    assert all(row["value"] > 0 for row in counts)
