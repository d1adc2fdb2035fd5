"""Folders that are watched: tells when something in them has changed and come to rest.

What changed is not passed on: a plan finds it, and finds it right also where events were lost.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.errors import WatchError

_REST_MS = 300  # without another event, before a change is told
_MOST_MS = 3000  # a change is told after this long in any case
_TICK_MS = 1000  # how often it is looked whether the folders are still those that are watched


class FolderWatch:
    """Watches folders, with all that is in them, until `stop` is set.

    Raises:
        WatchError: the library that does it is not installed.
    """

    def __init__(self, folders: Sequence[Path], *, stop: threading.Event) -> None:
        try:
            import watchfiles  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise WatchError(
                "watching folders needs the library watchfiles; install it with:"
                " python -m pip install watchfiles"
            ) from error
        self._watch = watchfiles.watch
        self._folders = tuple(folders)
        self._stop = stop

    def changes(self) -> Iterator[tuple[Path, ...]]:
        """Yield when something changed, and once after watching began; at the end of it, return.

        What is yielded are the folders that are gone, mostly none. While one is, the others are
        looked after all the same; when it comes back, it is watched again.
        """
        while not self._stop.is_set():
            there = {folder: _identity(folder) for folder in self._folders}
            gone = tuple(folder for folder, identity in there.items() if identity is None)
            yield gone
            if len(gone) == len(self._folders):
                self._stop.wait(_TICK_MS / 1000)
                while not self._stop.is_set() and self._are(there):
                    self._stop.wait(_TICK_MS / 1000)
                continue
            yield from self._until_others(there, gone)

    def _until_others(
        self, there: dict[Path, tuple[int, int] | None], gone: tuple[Path, ...]
    ) -> Iterator[tuple[Path, ...]]:
        """Yield at changes, until a folder is gone, has come back, or is another."""
        watched = [folder for folder in self._folders if folder not in gone]
        is_first = True
        try:
            for found in self._watch(
                *watched,
                watch_filter=lambda _, path: not _is_hidden(path, watched),
                step=_REST_MS,
                debounce=_MOST_MS,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                if not self._are(there):
                    return
                if found or is_first:  # what changed before the first tick may have been missed
                    yield gone
                is_first = False
        except FileNotFoundError:  # gone between the look and the watch
            return

    def _are(self, there: dict[Path, tuple[int, int] | None]) -> bool:
        return all(_identity(folder) == identity for folder, identity in there.items())


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another in its place; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if folder.is_dir() else None


def _is_hidden(path: str, folders: Sequence[Path]) -> bool:
    """Whether a path lies in something hidden, which an ingest passes over."""
    for folder in folders:
        root = folder.absolute()
        if Path(path).is_relative_to(root):
            return any(part.startswith(".") for part in Path(path).relative_to(root).parts)
    return False
