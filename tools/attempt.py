"""One run of a tool's function in a thread of its own, under a deadline.

A thread cannot be killed. One that hangs is left behind: its caller goes on, what it returns later
is handed to `on_late`, and it dies with the program. A function that keeps Python's interpreter
lock while it hangs (one huge power, a C extension) stops everything all the same: such code belongs
into another process. A function that takes long should take a `CallContext` and ask it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tools.base import Tool
from tools.call_context import CallContext
from tools.errors import RetryableError
from tools.result import result_text

POLL_S = 0.02  # how soon a cancelled call returns


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave: the text of its result, or what it raised."""

    text: str = ""
    error: BaseException | None = None


class Attempt:
    """A run that is waited for, and may be left behind."""

    def __init__(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        context: CallContext,
        on_late: Callable[[Outcome], None],
    ) -> None:
        self._tool, self._arguments, self._context = tool, arguments, context
        self._on_late = on_late
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._outcome: Outcome | None = None
        self._is_left = False
        self._thread = threading.Thread(target=self._run, name=f"tool-{tool.name}", daemon=True)

    def wait(self, cancel: threading.Event) -> Outcome | Literal["timeout", "cancelled"]:
        """Run, and return what comes of it, or why nobody waits any more."""
        try:
            self._thread.start()
        except RuntimeError:  # the system gives no further thread
            return Outcome(error=RetryableError("the machine is too busy"))
        deadline = self._context.deadline
        while not self._done.wait(min(POLL_S, max(0.0, deadline - time.monotonic()))):
            if cancel.is_set():
                return self._leave("cancelled")
            if time.monotonic() >= deadline:
                return self._leave("timeout")
        assert self._outcome is not None
        return self._outcome

    def _leave(
        self, why: Literal["timeout", "cancelled"]
    ) -> Outcome | Literal["timeout", "cancelled"]:
        with self._lock:
            if self._outcome is not None:  # it ended in this very moment
                return self._outcome
            self._is_left = True
        self._context.cancel.set()
        return why

    def _run(self) -> None:
        outcome = self._result()
        with self._lock:
            self._outcome = outcome
            is_left = self._is_left
        self._done.set()
        if is_left:
            self._on_late(outcome)

    def _result(self) -> Outcome:
        try:
            value = self._tool.call(self._arguments, self._context)
            return Outcome(text=result_text(value, max_bytes=self._tool.max_result_bytes))
        except BaseException as error:  # noqa: BLE001  # even `SystemExit` must not pass for success
            return Outcome(error=error)
