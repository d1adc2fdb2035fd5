"""Moving a stored conversation to another version of its bot."""

from dialog.bot.definition import BotDefinition
from dialog.errors import ReplayError
from dialog.task.event_log import TaskEventLog
from dialog.task.events import Migrated
from dialog.task.fold import after, fold
from dialog.task.state import DialogState


def migrate(log: TaskEventLog, conversation_id: str, bot: BotDefinition) -> DialogState:
    """Record that a conversation goes on with this version; return where it then stands.

    What was said and understood is folded anew by the new version: values of slots that it still
    has are kept, checks, searches and agreements are made again. Nothing is written where that
    fails.

    Raises:
        UnknownConversationError: there is no such conversation.
        ReplayError: it is with another bot, or with this version already.
        ConcurrentTurnError: a turn of it was recorded in the meantime.
    """
    head, events = log.read(conversation_id)
    if head.bot != bot.name:
        raise ReplayError(
            f"conversation {conversation_id!r} is with {head.bot!r}, not with {bot.name!r}"
        )
    if head.bot_hash == bot.hash:
        raise ReplayError(f"conversation {conversation_id!r} is with this version already")
    event = Migrated(bot_hash=bot.hash)
    state = after(bot, fold(bot, events), event)
    log.append(conversation_id, len(events), event)
    return state
