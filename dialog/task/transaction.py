"""What goes with a reply into its transaction: a person's queue, the timer of an idle user."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.event_log import QueuedHandoff, Timer, Written
from dialog.task.handoff import summary_of
from dialog.task.state import DialogState


def written_with(
    bot: BotDefinition,
    state: DialogState,
    conversation_id: str,
    acts: Sequence[Act],
    now: datetime,
) -> Written:
    """Return what is written together with these acts; `state` is the one before they are said."""
    handoff = next((act for act in acts if act.name is ActName.HANDOFF), None)
    queued = None
    if handoff is not None:
        queued = QueuedHandoff(
            conversation_id=conversation_id,
            queue=str(handoff.options[0]) if handoff.options else "people",
            summary=summary_of(bot, state, handoff.reason),
        )
    idle_s = bot.conversation.idle_s
    was_idle = any(notice.kind == "idle" for notice in state.notices)
    if idle_s is None or was_idle or not state.frames:
        return Written(handoff=queued, drop_timer="idle")
    timer = Timer(
        conversation_id=conversation_id, name="idle", due_at=now + timedelta(seconds=idle_s)
    )
    return Written(handoff=queued, set_timer=timer)
