"""One turn of a conversation at a time: the next one waits for the one under way.

Without it two turns of one conversation would each read the same log, and the slower one would
find out only after its whole generation that it may not be recorded.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llm.errors import CancelledGenerationError

_POLL_S = 0.1


class TurnQueue:
    """Hands each conversation to one turn after another; others are not held up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[str] = set()

    @contextmanager
    def turn(self, conversation_id: str | None, cancel: threading.Event) -> Iterator[None]:
        """Hold the conversation while the block runs; a chat that is not stored (None) is free.

        Raises:
            CancelledGenerationError: `cancel` was set before the turn's time came.
        """
        if conversation_id is None:
            yield
            return
        with self._changed:
            while conversation_id in self._under_way:
                if cancel.is_set():
                    raise CancelledGenerationError(
                        "the turn was cancelled while another one of its conversation was under way"
                    )
                # Nobody notifies this condition when `cancel` is set, hence the time-out.
                self._changed.wait(_POLL_S)
            self._under_way.add(conversation_id)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(conversation_id)
                self._changed.notify_all()
