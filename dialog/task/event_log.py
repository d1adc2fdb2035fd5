"""The port to stored task conversations, and a store in memory.

The log is the truth. Each event is appended with the sequence number that the writer believes to be
next, before its effect takes place; a person's queue is written in the same transaction as the
words that announce it. Knows no bot and no turn.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from dialog.errors import ConcurrentTurnError, TimerGoneError, UnknownConversationError
from dialog.task.commands import JSON
from dialog.task.events import BotUttered, Migrated, TaskEvent, UserUttered
from dialog.task.user_memory import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskConversation:
    """A stored conversation: whose it is, and which bot in which version it is with."""

    id: str
    owner: str
    bot: str
    bot_hash: str
    parent: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedHandoff:
    """A conversation that waits for a person, with what the person should know."""

    conversation_id: str
    queue: str
    summary: Mapping[str, JSON]
    status: str = "waiting"  # waiting, taken, returned
    operator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """When a timer of a conversation is due and what for; a new one replaces one of its name."""

    conversation_id: str
    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What goes with events into one transaction."""

    handoff: QueuedHandoff | None = None
    claim: Timer | None = None  # a due timer that must still be there, and is then gone
    set_timer: Timer | None = None
    drop_timer: str = ""
    remember: Remembered | None = None


class TaskEventLog(Protocol):
    """Conversations as event logs."""

    def create(self, conversation: TaskConversation, *events: TaskEvent) -> None:
        """Open a conversation whose log begins with these events."""
        ...

    def read(
        self, conversation_id: str, *, start: int = 0
    ) -> tuple[TaskConversation, Sequence[TaskEvent]]:
        """Return a conversation and its events from number `start` on.

        Raises:
            UnknownConversationError: there is no such conversation (any more).
        """
        ...

    def append(
        self,
        conversation_id: str,
        expected_seq: int,
        *events: TaskEvent,
        written: Written | None = None,
    ) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number.

        Raises:
            ConcurrentTurnError: the log does not end there.
            UnknownConversationError: there is no such conversation (any more).
            TimerGoneError: the timer to claim was changed, or fired by somebody else.
        """
        ...

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with its events, timers, handoffs and memories.

        Raises:
            UnknownConversationError: there is no such conversation.
        """
        ...


class Desk(Protocol):
    """What else is kept beside the logs: conversations by owner, timers, handoffs."""

    def conversations(self, bot: str = "", owner: str = "") -> Sequence[TaskConversation]:
        """Return conversations, the newest first; "" stands for all."""
        ...

    def due_timers(self, now: datetime) -> Sequence[Timer]:
        """Return the timers that are due, the earliest first."""
        ...

    def handoffs(self, status: str = "waiting") -> Sequence[QueuedHandoff]:
        """Return the handoffs of a status, the oldest first."""
        ...


def reply_to(events: Sequence[TaskEvent], message_id: str) -> BotUttered | None:
    """Return the recorded reply to a message, None if it is not known or not answered yet."""
    for event in reversed(events):
        if isinstance(event, BotUttered) and event.message_id == message_id:
            return event
        if isinstance(event, UserUttered) and message_id in event.merged:
            return reply_to(events, event.message_id)
    return None


def unknown(conversation_id: str) -> UnknownConversationError:
    """Return the error that names the id and the remedy."""
    return UnknownConversationError(
        f"no task conversation has the id {conversation_id!r}; open a new one with the bot"
    )


def timer_gone(timer: Timer) -> TimerGoneError:
    """Return the error that names the timer."""
    return TimerGoneError(
        f"the timer {timer.name!r} of {timer.conversation_id!r} is not due at"
        f" {timer.due_at.isoformat()} any more: it was put off, or has fired"
    )


class MemoryTaskLog:
    """A `TaskEventLog`, `Desk` and `UserMemory` in memory, for tests and the command line."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._heads: dict[str, TaskConversation] = {}
        self._events: dict[str, list[TaskEvent]] = {}
        self._timers: dict[tuple[str, str], Timer] = {}
        self._handoffs: dict[str, QueuedHandoff] = {}
        self._memories: dict[str, Remembered] = {}

    def create(self, conversation: TaskConversation, *events: TaskEvent) -> None:
        """Open a conversation whose log begins with these events."""
        with self._lock:
            self._heads[conversation.id] = conversation
            self._events[conversation.id] = list(events)

    def read(
        self, conversation_id: str, *, start: int = 0
    ) -> tuple[TaskConversation, Sequence[TaskEvent]]:
        """Return a conversation and its events from number `start` on."""
        with self._lock:
            if conversation_id not in self._heads:
                raise unknown(conversation_id)
            return self._heads[conversation_id], tuple(self._events[conversation_id][start:])

    def append(
        self,
        conversation_id: str,
        expected_seq: int,
        *events: TaskEvent,
        written: Written | None = None,
    ) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number."""
        with self._lock:
            if conversation_id not in self._heads:
                raise unknown(conversation_id)
            self._check_claim((written or Written()).claim)
            log = self._events[conversation_id]
            if len(log) != expected_seq:
                raise ConcurrentTurnError(
                    conversation_id=conversation_id,
                    expected_seq=expected_seq,
                    actual_seq=len(log),
                )
            log.extend(events)
            for event in events:
                if isinstance(event, Migrated):
                    head = self._heads[conversation_id]
                    self._heads[conversation_id] = replace(head, bot_hash=event.bot_hash)
            self._write(conversation_id, written or Written())
            return len(log)

    def _check_claim(self, timer: Timer | None) -> None:
        if timer and self._timers.get((timer.conversation_id, timer.name)) != timer:
            raise timer_gone(timer)

    def _write(self, conversation_id: str, written: Written) -> None:
        if written.claim is not None:
            del self._timers[conversation_id, written.claim.name]
        if written.handoff is not None:
            self._handoffs[conversation_id] = written.handoff
        if written.set_timer is not None:
            self._timers[conversation_id, written.set_timer.name] = written.set_timer
        if written.drop_timer:
            self._timers.pop((conversation_id, written.drop_timer), None)
        if written.remember is not None:
            self._memories.pop(conversation_id, None)  # the newest stands last
            self._memories[conversation_id] = written.remember

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with its events, timers, handoffs and memories."""
        with self._lock:
            if self._heads.pop(conversation_id, None) is None:
                raise unknown(conversation_id)
            del self._events[conversation_id]
            self._handoffs.pop(conversation_id, None)
            self._memories.pop(conversation_id, None)
            for key in [key for key in self._timers if key[0] == conversation_id]:
                del self._timers[key]

    def conversations(self, bot: str = "", owner: str = "") -> Sequence[TaskConversation]:
        """Return conversations, the newest first; "" stands for all."""
        with self._lock:
            found = [c for c in self._heads.values() if bot in ("", c.bot)]
        return [c for c in reversed(found) if owner in ("", c.owner)]

    def due_timers(self, now: datetime) -> Sequence[Timer]:
        """Return the timers that are due, the earliest first."""
        with self._lock:
            due = [timer for timer in self._timers.values() if timer.due_at <= now]
        return sorted(due, key=lambda timer: timer.due_at)

    def handoffs(self, status: str = "waiting") -> Sequence[QueuedHandoff]:
        """Return the handoffs of a status, the oldest first."""
        with self._lock:
            return [h for h in self._handoffs.values() if h.status == status]

    def recall(self, owner: str, bot: str, person: str) -> Mapping[str, JSON]:
        """Return the newest value of each slot that a bot knows of a user, {} for a stranger."""
        with self._lock:
            known = [
                one.values
                for one in self._memories.values()
                if (one.owner, one.bot, one.person) == (owner, bot, person)
            ]
        return {name: value for values in known for name, value in values.items()}
