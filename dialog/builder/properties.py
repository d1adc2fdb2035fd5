"""What must never happen in a conversation, found in its events: the properties of `never:`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dialog.bot.definition import BotDefinition, Confirm, TaskDefinition
from dialog.task.acts import QUESTIONS
from dialog.task.canonical import canonical_json
from dialog.task.commands import SlotEdit, ValueSource
from dialog.task.events import (
    BotUttered,
    CommandsParsed,
    TaskEvent,
    ToolReturned,
    ToolStarted,
)
from dialog.task.fold import after
from dialog.task.grounding import STRONG, is_placeholder, is_write
from dialog.task.program import is_under_yes, program_of
from dialog.task.scope import confirmation_digest
from dialog.task.state import DialogState, HandoffStatus, Status, TaskFrame


def violations(bot: BotDefinition, events: Sequence[TaskEvent], names: Sequence[str]) -> list[str]:
    """Return a sentence for each time that one of the properties was broken."""
    found: list[str] = []
    state = DialogState()
    for event in events:
        before, state = state, after(bot, state, event)
        for name in names:
            problem = _CHECKS[name](bot, before, state, event)
            if problem:
                found.append(f"{name}: turn {state.counters.turns}: {problem}")
    if "repeated_write" in names:
        found += _repeated_writes(bot, events)
    return found


def _unconfirmed(
    bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent
) -> str:
    del state
    if not isinstance(event, ToolStarted) or not is_write(bot, event.tool):
        return ""
    frame = before.frame(event.frame)
    if frame is None or frame.program == "on_cancel":
        return ""
    task = bot.tasks[frame.task]
    if event.purpose != "call":
        return f"{event.tool} writes, and was called for a {event.purpose}"
    is_led_by_yes = is_under_yes(program_of(task, "do"), frame.step)
    if (
        (task.confirm is Confirm.NEVER and is_led_by_yes)
        or frame.confirmed == confirmation_digest(bot, before, frame)
        or _is_agreed_by_value(task, frame)
    ):
        return ""
    return f"{event.tool} was called with {dict(event.arguments)!r}, which nobody agreed to"


def _is_agreed_by_value(task: TaskDefinition, frame: TaskFrame) -> bool:
    cells = [cell for cell in frame.slots.values() if cell.has_value]
    are_grounded = all(c.status is Status.GROUNDED and not c.is_inferred for c in cells)
    is_by_value = task.confirm is Confirm.IMPLICIT or all(c.evidence in STRONG for c in cells)
    return bool(cells) and are_grounded and is_by_value


def _ungrounded(
    bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent
) -> str:
    del state
    if not isinstance(event, ToolStarted) or not is_write(bot, event.tool):
        return ""
    frame = before.frame(event.frame)
    cells = frame.slots.items() if frame is not None else ()
    loose = [n for n, c in cells if c.has_value and c.status is not Status.GROUNDED]
    loose = [name for name in loose if name in event.arguments]
    return f"{event.tool} took {loose}, which are not common ground" if loose else ""


def _exact_repeat(
    bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent
) -> str:
    del bot
    if state.counters.exact_repeats == before.counters.exact_repeats:
        return ""
    return f"{event.text!r} was said before" if isinstance(event, BotUttered) else ""


def _re_ask(bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent) -> str:
    del bot, event
    if state.counters.re_asks == before.counters.re_asks:
        return ""
    slot = state.open_pair.slot if state.open_pair is not None else ""
    return f"{slot} has a value and was asked for again"


def _two_questions(
    bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent
) -> str:
    del bot, before, state
    if not isinstance(event, BotUttered):
        return ""
    asked = [act.name.value for act in event.acts if act.name in QUESTIONS]
    return f"{asked} in one turn" if len(asked) > 1 else ""


def _invented(bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent) -> str:
    """A value whose span is not in the message, or that claims a source it cannot have."""
    del bot, state
    if not isinstance(event, CommandsParsed) or event.tracker == "given":
        return ""
    message = before.last_message
    for command in event.commands:
        if not isinstance(command, SlotEdit) or is_placeholder(command.value):
            continue
        by_words = command.source in (ValueSource.SPAN, ValueSource.NORMALISER, ValueSource.TABLE)
        if not by_words or command.span is None:
            continue
        if command.span.end > len(message):
            return f"{command.slot} = {command.value!r} has no words in {message!r}"
    return ""


def _silence(bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent) -> str:
    del bot, before
    if isinstance(event, BotUttered) and not event.text:
        return "" if state.handoff is HandoffStatus.WITH_PERSON else "the bot said nothing"
    return ""


def _nothing(bot: BotDefinition, before: DialogState, state: DialogState, event: TaskEvent) -> str:
    del bot, before, state, event
    return ""


def _repeated_writes(bot: BotDefinition, events: Sequence[TaskEvent]) -> list[str]:
    done: dict[str, str] = {}
    started: dict[str, ToolStarted] = {}
    found = []
    for event in events:
        if isinstance(event, ToolStarted) and is_write(bot, event.tool):
            started[event.call_id] = event
        if isinstance(event, ToolReturned) and not event.error and event.call_id in started:
            call = started[event.call_id]
            deed = canonical_json([call.tool, call.frame, dict(call.arguments), call.place])
            if deed in done:
                found.append(f"repeated_write: {call.tool} was called twice for the same")
            done[deed] = event.call_id
    return found


_Check = Callable[[BotDefinition, DialogState, DialogState, TaskEvent], str]
_CHECKS: Final[Mapping[str, _Check]] = {
    "unconfirmed_write": _unconfirmed,
    "ungrounded_write": _ungrounded,
    "repeated_write": _nothing,
    "exact_repeat": _exact_repeat,
    "re_ask": _re_ask,
    "two_questions": _two_questions,
    "invented_value": _invented,
    "silence": _silence,
}

PROPERTY_NAMES: Final = tuple(_CHECKS)
"""All properties, those that `never:` of a test may name."""
