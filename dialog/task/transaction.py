"""What goes with events into their transaction: a person's queue, timers, the user's memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.event_log import QueuedHandoff, Timer, Written
from dialog.task.events import OperatorActed
from dialog.task.handoff import summary_of
from dialog.task.sessions import Session
from dialog.task.user_memory import Remembered, kept_values


def written_with(
    bot: BotDefinition, session: Session, acts: Sequence[Act], now: datetime
) -> Written:
    """Return what is written together with these acts, which are not said yet."""
    state = session.state
    handoff = next((act for act in acts if act.name is ActName.HANDOFF), None)
    queued = None
    if handoff is not None:
        queued = QueuedHandoff(
            conversation_id=session.id,
            queue=str(handoff.options[0]) if handoff.options else "people",
            summary=summary_of(bot, state, handoff.reason),
        )
    written = Written(handoff=queued, remember=_learned(bot, session))
    idle_s = bot.conversation.idle_s
    was_idle = any(notice.kind == "idle" for notice in state.notices)
    if idle_s is None or was_idle or not state.frames:
        return replace(written, drop_timer="idle")
    due_at = now + timedelta(seconds=idle_s)
    return replace(written, set_timer=Timer(conversation_id=session.id, name="idle", due_at=due_at))


def _learned(bot: BotDefinition, session: Session) -> Remembered | None:
    """Return what the bot has learned of the user, None if that is written already."""
    person = session.state.person
    if not person:
        return None
    known = session.recalled
    values = {n: v for n, v in kept_values(bot, session.state).items() if known.get(n) != v}
    if values == session.kept:
        return None
    session.kept = values
    head = session.conversation
    return Remembered(owner=head.owner, bot=head.bot, person=person, values=values)


def written_for_operator(bot: BotDefinition, session: Session, event: OperatorActed) -> Written:
    """Return what is written together with what a person did."""
    status = {"take": "taken", "return": "returned"}.get(event.action)
    if status is None:
        return Written()
    return Written(
        handoff=QueuedHandoff(
            conversation_id=session.id,
            queue=bot.behaviour.handoff_to or "people",
            summary=summary_of(bot, session.state, event.action),
            status=status,
            operator=event.operator,
        )
    )
