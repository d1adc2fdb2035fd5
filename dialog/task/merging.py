"""Messages that come in quick succession, taken up together: `conversation: {merge_window: 2s}`.

    "a table for two"   "on Friday"   →   one turn, whose reply answers both

The first message waits for the window; what comes until then is put to it, in the order of arrival.
Each of the ids is known afterwards, and answered from the log.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dialog.task.messages import Reply, UserMessage


@dataclass(slots=True)
class _Gathering:
    messages: list[UserMessage]
    is_answered: threading.Event = field(default_factory=threading.Event)


class MergeWindow:
    """Gathers the messages of one agent's conversations."""

    def __init__(self, seconds: float, *, wait: Callable[[float], None] = time.sleep) -> None:
        """Take the length of the window, 0 for none, and what waits for it."""
        self._seconds, self._wait = seconds, wait
        self._lock = threading.Lock()
        self._open: dict[str, _Gathering] = {}

    def answered(
        self,
        conversation_id: str,
        message: UserMessage,
        answer: Callable[[UserMessage], Reply],
    ) -> Reply:
        """Return the answer to a message, or to the one that it was put to.

        A button's press is no part of a sentence, and waits for nothing.
        """
        if not self._seconds or not message.text or message.button or message.commands is not None:
            return answer(message)
        with self._lock:
            gathering = self._open.get(conversation_id)
            is_first = gathering is None
            if gathering is None:
                gathering = self._open[conversation_id] = _Gathering([message])
            elif all(other.id != message.id for other in gathering.messages):
                gathering.messages.append(message)
        if not is_first:
            gathering.is_answered.wait()
            return answer(message)  # known by now; a message of its own if the first one failed
        try:
            self._wait(self._seconds)
            with self._lock:
                del self._open[conversation_id]
            return answer(_merged(gathering.messages))
        finally:
            gathering.is_answered.set()


def _merged(messages: list[UserMessage]) -> UserMessage:
    first, *others = messages
    return replace(
        first,
        text="\n".join(message.text for message in messages),
        merged=tuple(message.id for message in others),
    )
