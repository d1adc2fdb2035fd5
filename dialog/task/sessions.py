"""Conversations at hand: folded states with their place in the log, one turn at a time.

The cost of a turn must not grow with the turns before it, so that a state is folded once and then
kept; whoever finds that the log has moved on drops it and folds anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.commands import JSON
from dialog.task.event_log import TaskConversation, TaskEventLog, Written
from dialog.task.events import BotUttered, Opened, TaskEvent, UserUttered
from dialog.task.fold import after
from dialog.task.state import DialogState
from dialog.turn_queue import TurnQueue

MAX_SESSIONS: Final = 1_000
_MAX_REPLIES: Final = 64


@dataclass(slots=True, kw_only=True)
class Session:
    """A conversation at hand; `seq` is the number of the next event in the log.

    Events take effect on the state at once and on the log with `flush`, together in one
    transaction: before anything that they bring about outside, and before a reply is sent.
    """

    bot: BotDefinition
    log: TaskEventLog
    conversation: TaskConversation
    state: DialogState = field(default_factory=DialogState)
    seq: int = 0
    replies: dict[str, BotUttered] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    last_reply: BotUttered | None = None
    merged: tuple[str, ...] = ()  # ids of messages that are in the one being answered
    waiting: list[TaskEvent] = field(default_factory=list)
    recalled: Mapping[str, JSON] = field(default_factory=dict)  # of the user, from before
    kept: Mapping[str, JSON] = field(default_factory=dict)  # of the user, written in this one

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.conversation.id

    def has_seen(self, message_id: str) -> bool:
        """Tell whether a message of this id was recorded."""
        return message_id in self.seen

    def append(self, event: TaskEvent) -> DialogState:
        """Let an event take effect on the state; it is recorded with the next `flush`."""
        self.waiting.append(event)
        self.take(event)
        return self.state

    def flush(self, written: Written | None = None) -> None:
        """Record what waits for it, and what goes with it, in one transaction.

        Raises:
            ConcurrentTurnError: the log has moved on.
            TimerGoneError: a timer to claim is not there any more.
        """
        if self.waiting or written is not None:
            self.seq = self.log.append(self.id, self.seq, *self.waiting, written=written)
            self.waiting.clear()

    def take(self, event: TaskEvent) -> None:
        """Let an event that is in the log take effect."""
        self.state = after(self.bot, self.state, event)
        match event:
            case UserUttered():
                self.seen.update((event.message_id, *event.merged))
                self.merged = event.merged
            case BotUttered():
                self.last_reply = event
                for message_id in (event.message_id, *self.merged):
                    self.replies[message_id] = event
                self.merged = ()
                while len(self.replies) > _MAX_REPLIES:
                    del self.replies[next(iter(self.replies))]
            case Opened():
                self.recalled = event.remembered


class Sessions:
    """Hands out sessions, each to one turn at a time."""

    def __init__(self, bot: BotDefinition, log: TaskEventLog) -> None:
        self._bot, self._log = bot, log
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()
        self._queue = TurnQueue()

    @contextmanager
    def held(self, conversation_id: str) -> Iterator[Session]:
        """Hold a conversation while the block runs; others of the same one wait.

        Raises:
            UnknownConversationError: there is no such conversation.
        """
        with self._queue.turn(conversation_id, threading.Event()):
            session = self._session(conversation_id)
            try:
                yield session
            except BaseException:
                self.drop(conversation_id)  # what was not recorded must not be remembered
                raise

    def _session(self, conversation_id: str) -> Session:
        with self._lock:
            session = self._kept.pop(conversation_id, None)
        if session is None:
            head, events = self._log.read(conversation_id)
            session = Session(bot=self._bot, log=self._log, conversation=head)
            for event in events:
                session.take(event)
            session.seq = len(events)
        with self._lock:
            self._kept[conversation_id] = session
            while len(self._kept) > MAX_SESSIONS:
                self._kept.popitem(last=False)
        return session

    def drop(self, conversation_id: str) -> None:
        """Forget a session, so that the next turn folds the log anew."""
        with self._lock:
            self._kept.pop(conversation_id, None)
