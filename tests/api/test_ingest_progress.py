"""The progress of an ingest, and how long it says that it takes."""

import io

import pytest
from rich.console import Console

from api.cli.ingest_progress import IngestProgress, shown_progress
from api.cli.remaining_time import RemainingTime, in_words
from rag.ingest_report import Phase, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def step(phase: Phase, done: int, total: int) -> Progress:
    return Progress(phase=phase, done=done, total=total, uri="x")


def test_nothing_is_said_before_the_rate_is_known() -> None:
    clock = Clock()
    remaining = RemainingTime(clock)
    assert remaining.left_s(100) is None
    remaining.note(0)
    clock.now += 2
    remaining.note(32)
    assert remaining.left_s(100) is None  # too soon
    clock.now += 2
    assert remaining.left_s(96) == pytest.approx(8)
    remaining = RemainingTime(clock)
    remaining.note(0)
    clock.now += 50
    remaining.note(8)
    assert remaining.left_s(100) is None  # too few


def test_the_rate_is_that_of_the_last_minute() -> None:
    clock = Clock()
    remaining = RemainingTime(clock)
    done = 0
    for a_second in [8] * 120 + [80] * 90:
        done += a_second
        remaining.note(done)
        clock.now += 1
    assert remaining.left_s(done + 800) == pytest.approx(10, rel=0.1)
    clock.now += 60  # it stands still, and that is noticed
    assert (remaining.left_s(done + 800) or 0) > 18
    assert remaining.left_s(done - 5) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "a few seconds"), (44, "about 40 s"), (130, "about 2 min"), (9000, "about 2.5 h")],
)
def test_a_duration_is_said_as_exactly_as_it_is_known(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_estimate_of_the_plan_counts_until_all_is_read() -> None:
    clock = Clock()
    progress = IngestProgress(400, clock)
    progress.note(step("read", 10, 100))
    progress.note(step("embed", 8, 50))
    clock.now += 10
    progress.note(step("embed", 88, 90))
    assert progress.expected_chunks == 400
    assert progress.line() == ("0 of 100 files, 88 of about 400 chunks embedded, about 40 s left")
    progress.note(step("read", 100, 100))
    progress.note(step("store", 60, 100))
    progress.note(step("embed", 88, 168))
    assert progress.line() == "60 of 100 files, 88 of 168 chunks embedded, about 10 s left"


def test_without_a_terminal_there_are_plain_lines_and_not_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("api.cli.ingest_progress.time.monotonic", clock)
    out = io.StringIO()
    with shown_progress(Console(file=out), 100) as note:
        for i in range(300):
            clock.now += 0.125
            note(step("store", i, 300))
    lines = ["79 of 300 files", "159 of 300 files", "239 of 300 files"]
    assert out.getvalue().splitlines() == lines


def test_a_terminal_shows_bars() -> None:
    out = io.StringIO()
    with shown_progress(Console(file=out, force_terminal=True, width=80), 100) as note:
        note(step("read", 1, 3))
        note(step("embed", 8, 30))
        note(step("store", 1, 3))
    assert "files" in out.getvalue()
