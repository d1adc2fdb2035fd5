"""A thread that lets due timers run out: at the start, and then every minute."""

import logging
import threading
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 60.0

logger = logging.getLogger(__name__)


class TimerSweep:
    """Calls `sweep` at once and then every `period_s` seconds, until it is stopped."""

    def __init__(self, sweep: Callable[[], int], *, period_s: float = PERIOD_S) -> None:
        self._sweep = sweep
        self._period_s = period_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the sweep that is under way."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._sweep()
            except Exception:  # a timer that fails must not end all others
                logger.exception("timers could not be swept")
            if self._is_over.wait(self._period_s):
                return
