"""Progress bars of the terminal, on standard error; without one, nothing but a line per stage."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_SPEED_OVER_S = 600  # a question that the chat model answers can take half a minute

OnProgress = Callable[[str, int, int], None]


class _TimeLeft(TimeRemainingColumn):
    """The time left, said so; nothing where the end is not known or is there."""

    def render(self, task: Task) -> Text:
        """Return the column of a task."""
        if task.total is None or task.finished:
            return Text()
        return Text.assemble(super().render(task), " left")


@contextmanager
def progress_bars(console: Console) -> Iterator[OnProgress]:
    """Give a function `(label, done, total)` that keeps one bar per label; safe for threads.

    The time left is told from the speed since the first call: what an earlier run did is no work.
    """
    lock = threading.Lock()
    if not console.is_terminal:
        seen: set[str] = set()

        def note(label: str, _done: int, _total: int) -> None:
            with lock:
                if label not in seen:
                    seen.add(label)
                    console.print(label, markup=False, highlight=False, soft_wrap=True)

        yield note
        return
    tasks = {}
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        console=console,
        speed_estimate_period=_SPEED_OVER_S,
    ) as bars:

        def advance(label: str, done: int, total: int) -> None:
            with lock:
                if label not in tasks:
                    tasks[label] = bars.add_task(label, total=total or None, completed=done)
                bars.update(tasks[label], completed=done, total=total or None)

        yield advance
