"""The thread that writes the files of collections when enough has changed, while nobody waits.

It starts with the first thing to do, and ends with the program or `close`.
"""

import logging
import queue
import threading
from collections.abc import Callable

from index.errors import UnknownCollectionError

_log = logging.getLogger(__name__)


class Upkeep:
    """Runs `work` for collections by id, one after the other, each once however often it is due."""

    def __init__(self, work: Callable[[int, Callable[[], bool]], None]) -> None:
        self._work = work
        self._due: queue.Queue[int | None] = queue.Queue()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def notify(self, collection_id: int) -> None:
        """Say that something may be due; returns at once."""
        with self._lock:
            if collection_id in self._waiting or self._is_closed.is_set():
                return
            self._waiting.add(collection_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="index-upkeep", daemon=True)
                self._thread.start()
        self._due.put(collection_id)

    def close(self) -> None:
        """Stop after the step at hand, and wait for that."""
        self._is_closed.set()
        self._due.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (collection_id := self._due.get()) is not None:
            with self._lock:
                self._waiting.discard(collection_id)
            if self._is_closed.is_set():
                return
            try:
                self._work(collection_id, self._is_closed.is_set)
            except UnknownCollectionError:
                continue
            except Exception:  # noqa: BLE001  # whatever it is, the thread goes on
                # The files are derived: searches go on without them, more slowly.
                _log.exception("the index files of collection %d were not written", collection_id)
