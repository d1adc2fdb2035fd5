"""Timers run out: swept at the start and every minute, each fired once."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from dialog.errors import DialogError
from dialog.task.agent import TaskAgent
from dialog.task.event_log import Desk, Timer
from dialog.task.messages import Reply

EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


def sweep(
    desk: Desk, agent_for: Callable[[str], TaskAgent | None], now: datetime
) -> Sequence[Reply]:
    """Fire the timers that are due; return what the bots said.

    `agent_for` returns the agent of a conversation's bot and version, None where it is not served
    any more: such a timer is left as it is.
    """
    said: list[Reply] = []
    for timer in desk.due_timers(now):
        reply = _fired(agent_for, timer)
        if reply is not None:
            said.append(reply)
    return said


def _fired(agent_for: Callable[[str], TaskAgent | None], timer: Timer) -> Reply | None:
    try:
        agent = agent_for(timer.conversation_id)
        return agent.fire(timer) if agent is not None else None
    except DialogError:  # one conversation must not keep the others' timers from firing
        _log.exception("the timer %s of %s failed", timer.name, timer.conversation_id)
        return None


class TimerSweep:
    """Sweeps in a thread of its own until it is stopped."""

    def __init__(
        self,
        desk: Desk,
        agent_for: Callable[[str], TaskAgent | None],
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if every_s <= 0:
            raise ValueError(f"timers are swept every so many seconds > 0, got {every_s}")
        self._desk, self._agent_for = desk, agent_for
        self._every_s, self._clock = every_s, clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="task-timers", daemon=True)

    def start(self) -> None:
        """Sweep now, and then again and again."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep no more; returns when the sweep under way has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            sweep(self._desk, self._agent_for, self._clock())
            if self._stopped.wait(self._every_s):
                return
