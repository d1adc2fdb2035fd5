"""Progress bars of the terminal, on standard error; without one, nothing but a line per stage."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

OnProgress = Callable[[str, int, int], None]


@contextmanager
def progress_bars(console: Console) -> Iterator[OnProgress]:
    """Give a function `(label, done, total)` that keeps one bar per label; safe for threads."""
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
        console=console,
    ) as bars:

        def advance(label: str, done: int, total: int) -> None:
            with lock:
                if label not in tasks:
                    tasks[label] = bars.add_task(label, total=total or None)
                bars.update(tasks[label], completed=done, total=total or None)

        yield advance
