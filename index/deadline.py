"""The moment by which a search should have answered with what it then has."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock; never, unless one is given."""

    at: float = math.inf

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """Return the moment so many seconds from now.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        if seconds is None:
            return cls()
        if not seconds > 0:  # not `<= 0`, which lets NaN pass
            raise ValueError(f"deadline_s must be above 0, got {seconds}")
        return cls(time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        """Say whether it has passed."""
        return time.monotonic() >= self.at

    @contextmanager
    def holding(self, *locks: threading.Lock) -> Iterator[bool]:
        """Hold locks, taken in their order; gives False where one was not to be had in time."""
        held: list[threading.Lock] = []
        try:
            for lock in locks:
                left = self.at - time.monotonic()
                if not lock.acquire(timeout=-1 if math.isinf(left) else max(left, 0.0)):
                    yield False
                    return
                held.append(lock)
            yield True
        finally:
            for lock in reversed(held):
                lock.release()
