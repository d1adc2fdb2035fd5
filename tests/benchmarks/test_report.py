import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import Figure, as_json, commit, machine, read, share, wilson, write


def test_the_wilson_interval_agrees_with_published_values() -> None:
    """Newcombe (1998), table I: 81 of 263 and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 right of 2"):
        wilson(3, 2)


def test_a_target_is_met_from_the_right_side() -> None:
    assert Figure(name="a", value=2.0, unit="s").met is None
    assert Figure(name="a", value=2.0, unit="s", target=2.0).met is True
    slow = Figure(name="a", value=2.5, unit="s", target=2.0, higher_is_better=False)
    assert slow.met is False
    assert Figure(name="a", value=np.float64(1.0), unit="s", target=2.0).met is False


def test_the_report_has_the_agreed_form_and_no_host_name(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write(path, [share("right", 3, 4, target=0.5), share("none", 0, 0)], threads=2, seed=7)
    report = json.loads(path.read_text())
    assert report.keys() == {"machine", "commit", "threads", "seed", "figures"}
    right, none = report["figures"]
    assert right.keys() == {"name", "value", "unit", "spread", "baseline", "target", "met"}
    assert (right["value"], right["unit"], right["met"]) == (0.75, "share of 4", True)
    assert (none["value"], none["met"]) == (None, None)
    assert math.isclose(right["spread"][0], wilson(3, 4)[0])
    assert report["machine"].keys() == {"cpu", "cores", "memory_gb", "system", "python", "torch"}
    assert str(Path.cwd()) not in path.read_text()


def test_the_machine_and_the_commit_are_known_here() -> None:
    assert machine()["cpu"]
    assert machine()["cores"]
    assert commit() == "unknown" or len(commit().removesuffix("-dirty")) == 40


def test_a_report_can_be_added_to_by_the_same_commit_and_seed(tmp_path: Path) -> None:
    rows = [
        Figure(name="a", value=0.5, unit="share", spread=(0.4, 0.6), baseline=0.3),
        Figure(name="b", value=2.0, unit="s", target=1.0, higher_is_better=False),
        Figure(name="c", value=0.0, unit="cells", target=0.0, higher_is_better=False),
    ]
    path = tmp_path / "a.json"
    write(path, rows, threads=1, seed=3)
    again = read(path, seed=3)
    assert as_json(again, threads=1, seed=3) == path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="seed 3"):
        read(path, seed=4)
