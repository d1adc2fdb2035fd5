"""How often each tool was called, and how that ended, since the program started.

Names come from the registry alone: what a model made up is counted as `UNKNOWN`, so that nothing
that a user or a model wrote becomes a name among the counts.
"""

import threading
from collections import Counter
from typing import Final

from tools.result import ResultKind

UNKNOWN: Final = "(unknown)"  # no tool can have this name


class CallCounts:
    """Counts of calls by tool and outcome; any thread may count."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ResultKind]] = Counter()
        self._lock = threading.Lock()

    def count(self, tool: str, outcome: ResultKind) -> None:
        """Count one call of `tool` that ended so."""
        with self._lock:
            self._counts[tool, outcome] += 1

    def counted(self) -> dict[tuple[str, ResultKind], int]:
        """Return what was counted so far, by tool and outcome."""
        with self._lock:
            return dict(self._counts)
