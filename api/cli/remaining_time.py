"""How long something still takes, from how fast it went lately."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_S: Final = 60.0
_FEWEST_S: Final = 3.0
_FEWEST: Final = 16  # two batches of an embedder


class RemainingTime:
    """Measures the rate of the last minute; says nothing before it has seen enough of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> None:
        """Take note that so many are done now."""
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[0][0] < now - _WINDOW_S:
            self._seen.popleft()

    def left_s(self, total: int) -> float | None:
        """Return the seconds until `total` are done, or None while it cannot be said."""
        if not self._seen:
            return None
        (began, before), (_, done) = self._seen[0], self._seen[-1]
        # By the clock and not by the last note: a stand-still counts.
        elapsed = self._clock() - began
        if elapsed < _FEWEST_S or done - before < _FEWEST:
            return None
        return max(0, total - done) * elapsed / (done - before)


def in_words(seconds: float) -> str:
    """Return a duration as people say it, no more exactly than it is known."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 10) * 10} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
