"""How many turns may be under way at once; one more is refused at the door.

The engine bounds its own queue, too, but a turn comes there only after its search, when a stream
may already have begun and no status can be sent. Does not know what a turn does.
"""

import threading

from llm.errors import EngineBusyError


class Admission:
    """Seats for turns; safe to share between threads."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit must be >= 1, got {limit}")
        self.limit = limit
        self._lock = threading.Lock()
        self._num_turns = 0

    @property
    def num_turns(self) -> int:
        """How many turns hold a seat."""
        with self._lock:
            return self._num_turns

    def enter(self) -> None:
        """Take a seat, which `leave` gives back.

        Raises:
            EngineBusyError: all of them are taken.
        """
        with self._lock:
            if self._num_turns >= self.limit:
                raise EngineBusyError(
                    f"{self._num_turns} answers are under way or waiting, and no more may; try"
                    " again in a moment"
                )
            self._num_turns += 1

    def leave(self) -> None:
        """Give a seat back."""
        with self._lock:
            assert self._num_turns > 0, "who leaves has entered"
            self._num_turns -= 1
