"""The progress of an ingest on standard error: bars on a terminal, else a line now and then."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from api.cli.remaining_time import RemainingTime, in_words
from rag.ingest_report import Progress

_EVERY_S: Final = 10.0


class IngestProgress:
    """Follows a run: how many files are done with, how many chunks are embedded, how long it takes.

    `estimate` is how many chunks the plan expects; it counts while files are still being read.
    """

    def __init__(self, estimate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._estimate = estimate
        self._remaining = RemainingTime(clock)
        self._is_read = False
        self.files = self.total_files = self.chunks = self.total_chunks = 0

    def note(self, step: Progress) -> None:
        """Take a step of the run."""
        match step.phase:
            case "read":
                self._is_read = step.done >= step.total
                self.total_files = step.total
            case "store":
                self.files, self.total_files = step.done, step.total
            case "embed":
                self._remaining.note(step.done)
                self.chunks, self.total_chunks = step.done, step.total

    @property
    def expected_chunks(self) -> int:
        """How many chunks will have been embedded at the end, as far as can be told."""
        return self.total_chunks if self._is_read else max(self.total_chunks, self._estimate)

    def left(self) -> str:
        """Return how long it still takes, in words; empty while that is not known."""
        seconds = self._remaining.left_s(self.expected_chunks)
        return "" if seconds is None else f"{in_words(seconds)} left"

    def line(self) -> str:
        """Return all of it as one line."""
        about = "" if self._is_read else "about "
        said = [f"{self.files} of {self.total_files} files"]
        if self.chunks:
            said.append(f"{self.chunks} of {about}{self.expected_chunks} chunks embedded")
        return ", ".join([*said, *filter(None, [self.left()])])


@contextmanager
def shown_progress(console: Console, estimate: int) -> Iterator[Callable[[Progress], None]]:
    """Give a function that shows the steps of a run; safe for threads."""
    lock = threading.Lock()
    state = IngestProgress(estimate)
    if not console.is_terminal:
        told = time.monotonic()

        def tell(step: Progress) -> None:
            nonlocal told
            with lock:
                state.note(step)
                if time.monotonic() - told >= _EVERY_S:
                    told = time.monotonic()
                    console.print(state.line(), markup=False, highlight=False, soft_wrap=True)

        yield tell
        return
    columns = (
        TextColumn("{task.description:<6}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        files = bars.add_task("files", total=None, left="")
        chunks = bars.add_task("chunks", total=None, left="", visible=False)

        def show(step: Progress) -> None:
            with lock:
                state.note(step)
                bars.update(files, completed=state.files, total=state.total_files or None)
                bars.update(
                    chunks,
                    completed=state.chunks,
                    total=state.expected_chunks or None,
                    visible=state.chunks > 0,
                    left=state.left(),
                )

        yield show
