"""Whether the service may be sent questions, and if not, why."""

import threading


class Readiness:
    """One sentence while the service loads or stops, none while it answers."""

    def __init__(self, reason: str | None = "the service is starting") -> None:
        self._lock = threading.Lock()
        self._reason = reason

    @property
    def reason(self) -> str | None:
        """Why the service is not ready; None when it is."""
        with self._lock:
            return self._reason

    def mark_ready(self) -> None:
        """Let questions come."""
        with self._lock:
            self._reason = None

    def mark_not_ready(self, reason: str) -> None:
        """Say why no question should come now."""
        with self._lock:
            self._reason = reason
