"""The bots of a service: loaded from folders, each version with its agent, the talks stored.

A conversation goes on with the version of the bot that it began with, as long as that version is
loaded; `POST /v1/bots` loads another one beside it, and new conversations take the newest.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from dialog.errors import BotVersionError, DialogError, UnknownBotError
from dialog.session import ALL_OWNERS
from dialog.task.agent import TaskAgent
from dialog.task.event_log import QueuedHandoff, TaskConversation, TaskEventLog, Timer, unknown
from dialog.task.events import Opened, OperatorActed, TaskEvent
from dialog.task.fold import fold
from dialog.task.messages import Reply, UserMessage
from dialog.task.nlg import one_moment
from dialog.task.state import DialogState

PREFIX: Final = "bot:"
BOT_FILE: Final = "bot.yaml"

logger = logging.getLogger(__name__)


class BotLog(TaskEventLog, Protocol):
    """Where conversations with bots are stored, with their timers and handoffs."""

    def due_timers(self, now: datetime) -> Sequence[Timer]:
        """Return the timers that are due, the earliest first."""
        ...

    def handoffs(self, status: str = "waiting") -> Sequence[QueuedHandoff]:
        """Return the handoffs of a status, the oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBot:
    """A bot under the name that requests give it: the name of its folder."""

    name: str
    agent: TaskAgent

    @property
    def definition(self) -> BotDefinition:
        """What its file says."""
        return self.agent.bot


class BotService:
    """Bots by name, and conversations by id; safe to call from several threads."""

    def __init__(
        self,
        folders: Sequence[Path],
        log: BotLog,
        make_agent: Callable[[BotDefinition], TaskAgent],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folders = folders
        self._log = log
        self._make_agent = make_agent
        self._clock = clock
        self._lock = threading.Lock()
        self._bots: dict[str, ServedBot] = {}
        self._versions: dict[str, TaskAgent] = {}

    def load_all(self) -> None:
        """Load the bots of all folders; one that cannot be read is told in the log and left out."""
        for folder in self._folders:
            for path in sorted(folder.glob(f"*/{BOT_FILE}")):
                try:
                    self.load(path.parent.name)
                except BotFileErrors as error:
                    logger.warning("the bot %s is not served:\n%s", path.parent.name, error)

    def load(self, name: str) -> ServedBot:
        """Read a bot's files (again); new conversations are with this version.

        Raises:
            UnknownBotError: no folder of this name holds a bot.
            BotFileErrors: what is wrong with its files.
        """
        definition = load_bot(self._folder(name))
        with self._lock:
            agent = self._versions.get(definition.hash)
            if agent is None:
                agent = self._make_agent(definition)
                self._versions[definition.hash] = agent
            self._bots[name] = ServedBot(name=name, agent=agent)
            return self._bots[name]

    def _folder(self, name: str) -> Path:
        is_name = name not in ("", ".", "..") and Path(name).name == name
        for folder in self._folders if is_name else ():
            if (folder / name / BOT_FILE).is_file():
                return folder / name
        raise UnknownBotError(
            f"no bot is called {name!r}: none of the folders of bots has {name}/{BOT_FILE}"
        )

    def bots(self) -> list[ServedBot]:
        """Return the bots by name."""
        with self._lock:
            return [self._bots[name] for name in sorted(self._bots)]

    def bot(self, name: str) -> ServedBot:
        """Return a bot.

        Raises:
            UnknownBotError: none has this name.
        """
        with self._lock:
            found = self._bots.get(name)
            names = sorted(self._bots)
        if found is None:
            raise UnknownBotError(
                f"no bot is called {name!r}; there is {', '.join(names) or 'none'}. Bots are the"
                " subfolders of CAUSERIE_BOTS; POST /v1/bots reads a new one"
            )
        return found

    def open(
        self, name: str, *, owner: str, opened: Callable[[BotDefinition], Opened]
    ) -> tuple[str, Reply | None]:
        """Open a conversation; return its id, and the bot's first words if it greets.

        Raises:
            UnknownBotError: no bot has this name.
        """
        agent = self.bot(name).agent
        conversation_id = f"b-{uuid4().hex}"
        agent.open(conversation_id, owner=owner, opened=opened(agent.bot))
        greets = agent.bot.conversation.greet
        return conversation_id, agent.greet(conversation_id) if greets else None

    def knows(self, conversation_id: str) -> bool:
        """Tell whether a conversation of this id is with a bot."""
        try:
            self._log.read(conversation_id)
        except DialogError:
            return False
        return True

    def agent(self, conversation_id: str, owner: str) -> TaskAgent:
        """Return the agent that a conversation is with.

        Raises:
            UnknownConversationError: there is none of this id, or it is somebody else's.
            BotVersionError: the version of the bot that it began with is not loaded any more.
        """
        head, _ = self.log(conversation_id, owner)
        with self._lock:
            agent = self._versions.get(head.bot_hash)
        if agent is None:
            raise BotVersionError(
                f"conversation {conversation_id!r} began with a version of {head.bot!r} that is not"
                " loaded any more; open a new conversation, or move this one to the new version"
                f" with 'python -m api bot replay FOLDER {conversation_id} --migrate'"
            )
        return agent

    def log(self, conversation_id: str, owner: str) -> tuple[TaskConversation, Sequence[TaskEvent]]:
        """Return a conversation and its events.

        Raises:
            UnknownConversationError: there is none of this id, or it is somebody else's.
        """
        head, events = self._log.read(conversation_id)
        if owner not in (ALL_OWNERS, head.owner):
            raise unknown(conversation_id)
        return head, events

    def respond(self, conversation_id: str, owner: str, message: UserMessage) -> Reply:
        """Answer a message; a known id is answered from the log."""
        return self.agent(conversation_id, owner).respond(conversation_id, message)

    def state(self, conversation_id: str, owner: str) -> tuple[BotDefinition, DialogState]:
        """Return the bot of a conversation, and where that stands."""
        agent = self.agent(conversation_id, owner)
        return agent.bot, agent.state(conversation_id)

    def hold_words(self, conversation_id: str, owner: str) -> str:
        """Return what is said while a reply takes long; waits for no turn that is under way."""
        agent = self.agent(conversation_id, owner)
        return one_moment(agent.bot, fold(agent.bot, self.log(conversation_id, owner)[1]))

    def operate(self, conversation_id: str, owner: str, event: OperatorActed) -> Reply | None:
        """Record what a person did in a conversation."""
        return self.agent(conversation_id, owner).operate(conversation_id, event)

    def delete(self, conversation_id: str, owner: str) -> None:
        """Erase a conversation with all its events."""
        head, _ = self.log(conversation_id, owner)
        with self._lock:
            agent = self._versions.get(head.bot_hash)
        if agent is None:
            self._log.delete(conversation_id)
        else:
            agent.delete(conversation_id)

    def handoffs(self, status: str = "waiting") -> Sequence[QueuedHandoff]:
        """Return the conversations that wait for a person, the longest waiting first."""
        return self._log.handoffs(status)

    def sweep(self) -> int:
        """Let the timers that are due run out, each once; return how many did."""
        fired = 0
        for timer in self._log.due_timers(self._clock()):
            try:
                agent = self.agent(timer.conversation_id, ALL_OWNERS)
                fired += agent.fire(timer) is not None
            except DialogError as error:
                logger.warning("the timer of %s is left: %s", timer.conversation_id, error)
        return fired
