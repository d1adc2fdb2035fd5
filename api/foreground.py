"""Work that somebody is waiting for, so that background work can give way and a stop reaches it.

Knows neither chats nor ingest: it counts, waits and sets events.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_POLL_S = 0.2


class Foreground:
    """Counts what is under way for a waiting user; safe to share between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_busy = 0
        self._cancels: set[threading.Event] = set()
        self._is_stopping = False

    @property
    def num_busy(self) -> int:
        """How many `busy` blocks are open."""
        with self._changed:
            return self._num_busy

    @contextmanager
    def busy(self, cancel: threading.Event | None = None) -> Iterator[None]:
        """Hold background work off while the block runs; `stop` sets `cancel`."""
        with self.tracked(cancel):
            with self._changed:
                self._num_busy += 1
            try:
                yield
            finally:
                with self._changed:
                    self._num_busy -= 1
                    self._changed.notify_all()

    @contextmanager
    def tracked(self, cancel: threading.Event | None) -> Iterator[None]:
        """Let `stop` set `cancel` while the block runs, without holding background work off."""
        if cancel is None:
            yield
            return
        with self._changed:
            self._cancels.add(cancel)
            if self._is_stopping:
                cancel.set()
        try:
            yield
        finally:
            with self._changed:
                self._cancels.discard(cancel)

    def wait_idle(self, cancel: threading.Event | None = None) -> None:
        """Return once no `busy` block is open, or `cancel` is set, or everything stops."""
        with self._changed:
            while self._num_busy and not self._is_stopping:
                if cancel is not None and cancel.is_set():
                    return
                # Nobody notifies this condition when `cancel` is set, hence the time-out.
                self._changed.wait(_POLL_S)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        with self._changed:
            return self._is_stopping

    def stop(self) -> None:
        """Cancel everything under way, and whatever begins from now on."""
        with self._changed:
            self._is_stopping = True
            for cancel in self._cancels:
                cancel.set()
            self._changed.notify_all()
