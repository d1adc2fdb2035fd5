"""Which conversation with a bot has which transcript, for clients that send all of it each time."""

import threading
from collections import OrderedDict
from typing import Final

_MAX_KEPT: Final = 10_000


class Transcripts:
    """Which conversations have which transcript; the newest `_MAX_KEPT` of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, list[tuple[str, int]]] = OrderedDict()

    def note(self, digest: str, conversation_id: str, turns: int) -> None:
        """Remember that a conversation has a transcript after so many turns."""
        with self._lock:
            self._ids.setdefault(digest, []).append((conversation_id, turns))
            self._ids.move_to_end(digest)
            while len(self._ids) > _MAX_KEPT:
                self._ids.popitem(last=False)

    def of(self, digest: str) -> list[tuple[str, int]]:
        """Return the conversations that had this transcript and after how many turns."""
        with self._lock:
            return list(self._ids.get(digest, ()))
