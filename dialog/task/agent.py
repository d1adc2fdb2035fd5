"""One turn of a task-oriented conversation, from the user's message to the recorded reply.

    known? → put secrets away → record → read → fold → decide ⇄ call, find → say → record

Events are appended, with the numbers they must have, before their effect outside: a crash repeats
no write. A turn without a deed is one transaction; a message whose turn was cut off before that
was never answered, and is sent again under its id.
The spine of the folder; what is decided, said and stored is the work of the files beside it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.errors import ConcurrentTurnError, TimerGoneError
from dialog.task.acts import Act, ActName, CallTool, Decision, FindPassages
from dialog.task.agenda import may_call
from dialog.task.buttons import command_of_button
from dialog.task.commands import Command
from dialog.task.event_log import (
    TaskConversation,
    TaskEventLog,
    Timer,
    Written,
    reply_to,
)
from dialog.task.events import (
    BotUttered,
    CommandsParsed,
    Opened,
    OperatorActed,
    TaskEvent,
    TimerFired,
    ToolReturned,
    ToolStarted,
    UserUttered,
)
from dialog.task.grounding import is_write
from dialog.task.knowledge import Chatter, KnowledgeBase, found, with_small_talk
from dialog.task.merging import MergeWindow
from dialog.task.messages import Reply, UserMessage
from dialog.task.nlg import NLG, TemplateNLG
from dialog.task.policy import Policy, RulePolicy, check_legal
from dialog.task.redaction import Redacted, Vault, redact, with_placeholders
from dialog.task.sessions import Session, Sessions
from dialog.task.state import DialogState, HandoffStatus, TaskFrame
from dialog.task.tool_runner import CallOrigin, ToolRunner
from dialog.task.transaction import written_for_operator, written_with
from dialog.task.understanding import Tracker, Understanding
from dialog.task.user_memory import UserMemory, kept_slots

MAX_STEPS: Final = 8
_MAX_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """What an agent works with; the defaults need neither model nor documents."""

    policy: Policy = field(default_factory=RulePolicy)
    nlg: NLG = field(default_factory=TemplateNLG)
    knowledge: KnowledgeBase | None = None
    chatter: Chatter | None = None
    memory: UserMemory | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class TaskAgent:
    """Answers the messages of conversations with one version of one bot."""

    def __init__(
        self,
        bot: BotDefinition,
        tracker: Tracker,
        log: TaskEventLog,
        tools: ToolRunner,
        *,
        vault: Vault | None = None,
        parts: AgentParts | None = None,
    ) -> None:
        self.bot = bot
        self._tracker = tracker
        self._log = log
        self._tools = tools
        self._vault = vault or Vault()
        self._parts = parts or AgentParts()
        self._sessions = Sessions(bot, log)
        self._window = MergeWindow(bot.conversation.merge_window_s)
        self._busy: Counter[str] = Counter()  # calls under way, by conversation

    def open(
        self,
        conversation_id: str,
        *,
        owner: str = "",
        opened: Opened | None = None,
        parent: str = "",
    ) -> None:
        """Open a conversation; without `opened` it begins now, in the bot's language and zone.

        Where `opened` names the person, the bot remembers what it learned of them before.
        """
        zone = self.bot.locales.timezone
        begin = opened or Opened(
            locale=self.bot.locales.default,
            timezone="UTC" if zone == "user" else zone,
            now=self._parts.clock().isoformat(),
        )
        memory = self._parts.memory
        if begin.person and memory is not None:
            known = memory.recall(owner, self.bot.name, begin.person)
            names = kept_slots(self.bot)
            begin = replace(begin, remembered={n: v for n, v in known.items() if n in names})
        head = TaskConversation(
            id=conversation_id,
            owner=owner,
            bot=self.bot.name,
            bot_hash=self.bot.hash,
            parent=parent,
        )
        self._log.create(head, begin)

    def greet(self, conversation_id: str) -> Reply:
        """Say the first words of a conversation, before the user has written anything."""
        with self._sessions.held(conversation_id) as session:
            if not session.state.is_greeted:
                self._speak(session, self._parts.policy.decide(self.bot, session.state), "")
            return self._reply(
                session,
                session.last_reply
                or BotUttered(
                    message_id="", text=session.state.last_text, acts=session.state.last_acts
                ),
            )

    def respond(self, conversation_id: str, message: UserMessage) -> Reply:
        """Answer one user message and record what happened.

        Raises:
            UnknownConversationError: there is no such conversation.
            ConcurrentTurnError: other processes kept writing to it.
            CommandError: the button is none of ours.
        """
        was_busy = self._busy[conversation_id] > 0
        return self._window.answered(
            conversation_id, message, lambda whole: self._answer(conversation_id, whole, was_busy)
        )

    def _answer(self, conversation_id: str, message: UserMessage, was_busy: bool) -> Reply:
        for attempt in range(_MAX_ATTEMPTS):
            with self._sessions.held(conversation_id) as session:
                try:
                    return self._respond(session, message, was_busy)
                except ConcurrentTurnError:
                    self._sessions.drop(conversation_id)
                    if attempt == _MAX_ATTEMPTS - 1:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _respond(self, session: Session, message: UserMessage, was_busy: bool) -> Reply:
        known = session.replies.get(message.id)
        if known is None and session.has_seen(message.id):
            known = reply_to(self._log.read(session.id)[1], message.id)
        if known is not None:
            return replace(self._reply(session, known), is_replayed=True)
        if not session.state.is_answered:
            unfinished = session.state.message_id
            reply = self._finish(session, unfinished)
            if message.id in session.replies:  # itself, or one that it was put to
                return reply
        button = command_of_button(message.button) if message.button else None
        said = redact(self.bot, session.state, session.id, message.text, self._vault)
        now = message.now or self._parts.clock().isoformat()
        session.append(
            UserUttered(
                message_id=message.id,
                text=said.text,
                now=now,
                button=message.button,
                channel=message.channel,
                locale=message.locale,
                timezone=message.timezone,
                placeholders=said.placeholders,
                merged=message.merged,
                was_busy=was_busy,
            )
        )
        given = message.commands if button is None else (button,)
        self._read(session, given)
        return self._finish(session, message.id)

    def _read(self, session: Session, given: tuple[Command, ...] | None) -> None:
        """Turn the last message into commands, and record them."""
        state = session.state
        if given is not None:
            found = Understanding(commands=given, tracker="given")
        elif state.handoff is HandoffStatus.WITH_PERSON:
            found = Understanding(tracker="none")
        else:
            found = self._tracker.read(self.bot, state, state.last_message)
            said = Redacted(text=state.last_message, placeholders=state.placeholders)
            found = replace(found, commands=with_placeholders(said, found.commands))
        session.append(
            CommandsParsed(
                commands=tuple(found.commands),
                posteriors=found.posteriors,
                tracker=found.tracker,
                grammar=found.grammar,
                model=found.model,
                tokens_computed=found.tokens_computed,
            )
        )

    def _finish(self, session: Session, message_id: str) -> Reply:
        """Bring a turn to its end: from wherever it stands to the recorded reply."""
        if not session.state.is_parsed:
            button = session.state.last_button
            self._read(session, (command_of_button(button),) if button else None)
        self._settle_doubts(session)
        for _ in range(MAX_STEPS):
            decision = self._parts.policy.decide(self.bot, session.state)
            if decision.step is None:
                return self._speak(session, decision, message_id)
            self._take(session, decision.step)
        _log.error("a turn of %s took more than %d steps", session.id, MAX_STEPS)
        acts = (
            Act(name=ActName.REPAIR, key="sorry", reason="max_steps"),
            Act(name=ActName.OFFER_INTENT, key="offer_handoff", reason="max_steps"),
        )
        return self._speak(session, Decision(acts=acts, rule="max_steps"), message_id)

    def _settle_doubts(self, session: Session) -> None:
        """End the calls that a crash left open: made again if the same deed, else in doubt."""
        for frame in session.state.frames:
            call = frame.pending
            if call is None:
                continue
            started = ToolStarted(
                call_id=call.id,
                tool=call.tool,
                arguments=call.arguments,
                frame=frame.id,
                purpose=call.purpose,
                place=call.place,
            )
            if self._tools.may_repeat(call.tool):
                session.append(self._run(session, started, frame))
            else:
                session.append(ToolReturned(call_id=call.id, error="in_doubt", is_in_doubt=True))

    def _take(self, session: Session, step: CallTool | FindPassages) -> None:
        if isinstance(step, FindPassages):
            session.append(found(self._parts.knowledge, self.bot, session.state, step))
            return
        frame = session.state.frame(step.frame)
        assert frame is not None, "a call belongs to an open frame"
        started = ToolStarted.of(step, f"{session.id}:{session.state.counters.calls + 1}")
        if not may_call(self.bot, session.state, frame, step):
            _log.error(
                "%s writes, and nobody agreed to that (%s): it is not called; see 'bot check'",
                started.tool,
                started.source,
            )
            session.append(started)
            session.append(ToolReturned(call_id=started.call_id, error="needs_confirmation"))
            return
        session.append(started)
        does_write = is_write(self.bot, step.tool)
        if does_write:
            session.flush()  # the deed must not be done before it is known to have begun
        session.append(self._run(session, started, frame))
        if does_write:
            session.flush()  # nor be in doubt for longer than need be

    def _run(self, session: Session, started: ToolStarted, frame: TaskFrame) -> ToolReturned:
        origin = CallOrigin(
            user=session.conversation.owner, conversation=session.id, frame=frame.id
        )
        self._busy[session.id] += 1
        try:
            # No call comes so far that the user has not agreed to as the bot demands.
            return self._tools.run(started, origin, is_agreed=True)
        finally:
            self._busy[session.id] -= 1
            if not self._busy[session.id]:
                del self._busy[session.id]

    def _speak(self, session: Session, decision: Decision, message_id: str) -> Reply:
        state = session.state
        acts = with_small_talk(self._parts.chatter, self.bot, state, decision.acts)
        check_legal(self.bot, state, acts)
        said = self._parts.nlg.say(self.bot, state, acts)
        uttered = said.event(message_id, replace(decision, acts=acts))
        written = written_with(self.bot, session, acts, self._parts.clock())
        session.append(uttered)
        session.flush(written)
        return self._reply(session, uttered)

    def _reply(self, session: Session, uttered: BotUttered) -> Reply:
        state = session.state
        top = state.top
        slots = {n: c.value for n, c in top.slots.items() if c.has_value} if top else {}
        return Reply(
            conversation_id=session.id,
            message_id=uttered.message_id,
            text=uttered.text,
            acts=uttered.acts,
            buttons=uttered.buttons,
            citations=tuple(c for act in uttered.acts for c in act.citations),
            slots=slots,
            task=top.task if top is not None else "",
            handoff=state.handoff.value,
            is_closed=state.is_closed,
        )

    def state(self, conversation_id: str) -> DialogState:
        """Return where a conversation stands.

        Raises:
            UnknownConversationError: there is no such conversation.
        """
        with self._sessions.held(conversation_id) as session:
            return session.state

    def fire(self, timer: Timer, *, is_stored: bool = True) -> Reply | None:
        """Let a due timer run out, once; None if another one was faster or it no longer counts."""
        with self._sessions.held(timer.conversation_id) as session:
            now = self._parts.clock().isoformat()
            try:
                fired: TaskEvent = TimerFired(name=timer.name, now=now)
                session.append(fired)
                session.flush(Written(claim=timer if is_stored else None))
            except (ConcurrentTurnError, TimerGoneError):
                self._sessions.drop(timer.conversation_id)
                return None
            return self._finish(session, "")

    def operate(self, conversation_id: str, event: OperatorActed) -> Reply | None:
        """Record what a person did; giving the conversation back, the bot speaks again.

        Raises:
            UnknownConversationError: there is no such conversation.
            ValueError: no such action, or nobody has asked for a person.
        """
        if event.action not in ("take", "say", "return"):
            raise ValueError(f"an operator can take, say or return, got {event.action!r}")
        with self._sessions.held(conversation_id) as session:
            if session.state.handoff is HandoffStatus.NONE and event.action != "take":
                raise ValueError(f"{event.action}: no person has this conversation; take it first")
            written = written_for_operator(self.bot, session, event)
            session.append(event)
            session.flush(written)
            return self._finish(session, "") if event.action == "return" else None

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation: its events, timers, handoffs and what was kept for it."""
        self._log.delete(conversation_id)
        self._sessions.drop(conversation_id)
        self._vault.forget(conversation_id)
