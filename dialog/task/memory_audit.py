"""Calls written down in memory, for the command line, tests and simulations: gone with them."""

import threading
from collections.abc import Sequence

from tools.audit import AuditEntry
from tools.result import ToolResult


class MemoryAudit:
    """An `AuditSink` that lives as long as the program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[AuditEntry] = []
        self._results: dict[str, ToolResult] = {}

    @property
    def entries(self) -> Sequence[AuditEntry]:
        """All calls in their order."""
        return tuple(self._entries)

    def started(self, entry: AuditEntry) -> int:
        """Write down a call that is about to be made; return the number of its row."""
        with self._lock:
            self._entries.append(entry)
            return len(self._entries)

    def finished(self, row: int, result: ToolResult) -> None:
        """Write down how it ended; the last word counts."""
        with self._lock:
            key = self._entries[row - 1].idempotency_key
            if key and (not result.is_error or result.is_in_doubt):
                self._results[key] = result

    def noted(self, entry: AuditEntry, result: ToolResult) -> None:
        """Write down a call together with its end."""
        self.finished(self.started(entry), result)

    def recorded(self, key: str) -> ToolResult | None:
        """Return the result of the deed of this idempotency key."""
        with self._lock:
            return self._results.get(key)
