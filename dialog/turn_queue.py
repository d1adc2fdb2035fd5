"""One turn of a conversation at a time, in the order of arrival.

Without it two turns of one conversation would each read the same log, and the slower one would
find out only after its whole generation that it may not be recorded.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dialog.errors import ConversationBusyError
from llm.errors import CancelledGenerationError

_POLL_S = 0.1


class TurnQueue:
    """Hands each conversation to one turn after another; others are not held up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tickets: dict[str, list[object]] = {}  # the first of each is under way

    @contextmanager
    def turn(
        self,
        conversation_id: str | None,
        cancel: threading.Event,
        *,
        timeout_s: float | None = None,
    ) -> Iterator[None]:
        """Hold the conversation while the block runs; a chat that is not stored (None) is free.

        Raises:
            CancelledGenerationError: `cancel` was set before the turn's time came.
            ConversationBusyError: it did not come within `timeout_s` seconds (None: no bound).
        """
        if conversation_id is None:
            yield
            return
        ticket = object()
        with self._changed:
            self._tickets.setdefault(conversation_id, []).append(ticket)
        try:
            self._await(conversation_id, ticket, cancel, timeout_s)
            yield
        finally:
            with self._changed:
                tickets = self._tickets[conversation_id]
                tickets.remove(ticket)
                if not tickets:
                    del self._tickets[conversation_id]
                self._changed.notify_all()

    def _await(
        self,
        conversation_id: str,
        ticket: object,
        cancel: threading.Event,
        timeout_s: float | None,
    ) -> None:
        began = time.monotonic()
        with self._changed:
            while self._tickets[conversation_id][0] is not ticket:
                if cancel.is_set():
                    raise CancelledGenerationError(
                        "the turn was cancelled while another one of its conversation was under way"
                    )
                if timeout_s is not None and time.monotonic() - began >= timeout_s:
                    raise ConversationBusyError(
                        conversation_id=conversation_id, timeout_s=timeout_s
                    )
                # Nobody notifies this condition when `cancel` is set, hence the time-out.
                self._changed.wait(_POLL_S)
