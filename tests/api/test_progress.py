"""Progress on a terminal and without one."""

import re
from io import StringIO

from rich.console import Console

from api.cli.progress import progress_bars


def shown(*reports: tuple[float, int, int]) -> str:
    """Return what a terminal shows of a stage's reports, each `(seconds, done, total)`."""
    clock, out = [0.0], StringIO()
    console = Console(file=out, force_terminal=True, width=100, get_time=lambda: clock[0])
    with progress_bars(console) as on_progress:
        for clock[0], done, total in reports:
            on_progress("asking the questions", done, total)
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", out.getvalue()).replace("\r", "\n")


def test_a_bar_tells_the_time_left() -> None:
    last = shown((0, 1, 10), (10, 2, 10), (20, 3, 10)).rstrip().splitlines()[-1]
    assert "3/10" in last
    assert "0:01:10 left" in last


def test_slow_steps_have_a_time_left_too() -> None:
    assert "0:05:00 left" in shown((0, 1, 8), (60, 2, 8), (120, 3, 8))


def test_what_an_interrupted_run_did_makes_no_haste() -> None:
    assert "0:05:00 left" in shown((0, 95, 102), (60, 96, 102), (120, 97, 102))


def test_a_stage_without_a_known_end_has_none() -> None:
    assert "left" not in shown((0, 1, 0), (10, 2, 0))


def test_what_is_done_has_none() -> None:
    assert "left" not in shown((0, 1, 2), (10, 2, 2)).splitlines()[-1]


def test_without_a_terminal_each_stage_is_one_line() -> None:
    out = StringIO()
    with progress_bars(Console(file=out)) as on_progress:
        on_progress("one", 1, 2)
        on_progress("one", 2, 2)
        on_progress("two", 1, 1)
    assert out.getvalue() == "one\ntwo\n"
