"""The state as a fold of the events: no clock, no randomness, no model, no world.

fold(bot, [*events, event]) == after(bot, fold(bot, events), event)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from dialog.bot.definition import BotDefinition
from dialog.slot_types.base import TextContext
from dialog.task import events as e
from dialog.task.call_results import call_returned, call_started
from dialog.task.commands import Done, Set, ValueSource
from dialog.task.frames import noted
from dialog.task.moves import counted
from dialog.task.repair import escalated
from dialog.task.scope import now_of
from dialog.task.settling import settle
from dialog.task.slot_edits import edit_slot
from dialog.task.state import DialogState, HandoffStatus
from dialog.task.uptake import take_up
from dialog.task.user_memory import recalled
from dialog.task.utterance import uttered


def fold(bot: BotDefinition, log: Iterable[e.TaskEvent]) -> DialogState:
    """Return the state that a log leads to."""
    state = DialogState()
    for event in log:
        state = after(bot, state, event)
    return state


def after(bot: BotDefinition, state: DialogState, event: e.TaskEvent) -> DialogState:
    """Return the state after one more event."""
    return _AFTER[event.kind](bot, state, event)


def _opened(bot: BotDefinition, state: DialogState, event: e.Opened) -> DialogState:
    state = replace(
        state,
        bot_hash=bot.hash,
        locale=event.locale,
        timezone=event.timezone,
        now=event.now,
    )
    facts = {}
    for name, value in event.user.items():
        slot = bot.user.get(name)
        if slot is None:
            facts[name] = value
            continue
        context = TextContext(now=now_of(state), timezone=state.timezone, locale=state.locale)
        facts[name] = slot.type.canonical(value, context)[0]
    return recalled(bot, replace(state, user=facts, person=event.person), event.remembered)


def _heard(bot: BotDefinition, state: DialogState, event: e.UserUttered) -> DialogState:
    locale = event.locale if event.locale in bot.locales.all else state.locale
    return replace(
        state,
        now=event.now,
        locale=locale,
        timezone=event.timezone or state.timezone,
        last_message=event.text,
        last_button=event.button,
        placeholders=event.placeholders,
        message_id=event.message_id,
        was_busy=event.was_busy,
        is_parsed=False,
        is_answered=False,
        notices=tuple(n for n in state.notices if n.kind == "operator"),
        is_closed=False,
        counters=replace(state.counters, turns=state.counters.turns + 1),
    )


def _parsed(bot: BotDefinition, state: DialogState, event: e.CommandsParsed) -> DialogState:
    state = replace(state, is_parsed=True)
    if state.handoff is HandoffStatus.WAITING and _is_waiting_over(event):
        state = noted(replace(state, handoff=HandoffStatus.NONE), "operator")
        heads = {command.head for command in event.commands}
        return settle(bot, take_up(bot, state, [Done()]) if "done" in heads else state)
    if state.handoff is not HandoffStatus.NONE:
        return state
    state = take_up(bot, state, event.commands)
    state = replace(state, counters=counted(state))
    return escalated(bot, settle(bot, state))


def _is_waiting_over(event: e.CommandsParsed) -> bool:
    """Tell whether the user gives up waiting for a person and wants the bot again, or to leave."""
    return any(c.head in ("cancel", "resume", "restart", "done") for c in event.commands)


def _started(bot: BotDefinition, state: DialogState, event: e.ToolStarted) -> DialogState:
    return call_started(bot, state, event)


def _returned(bot: BotDefinition, state: DialogState, event: e.ToolReturned) -> DialogState:
    return escalated(bot, settle(bot, call_returned(bot, state, event)))


def _found(bot: BotDefinition, state: DialogState, event: e.PassagesFound) -> DialogState:
    del bot
    notices = tuple(n for n in state.notices if n.kind != "knowledge" or n.text != event.query)
    state = replace(state, notices=notices)
    if event.answer:
        state = noted(
            state, "answer", text=event.answer, key=event.knowledge, citations=event.citations
        )
        return replace(state, counters=replace(state.counters, abstained=0))
    state = noted(state, "abstained", text=event.query, key=event.knowledge)
    counters = replace(state.counters, abstained=state.counters.abstained + 1)
    return replace(state, counters=counters)


def _uttered(bot: BotDefinition, state: DialogState, event: e.BotUttered) -> DialogState:
    return uttered(bot, state, event)


def _timer(bot: BotDefinition, state: DialogState, event: e.TimerFired) -> DialogState:
    del bot
    return noted(replace(state, now=event.now), "idle", text=event.name)


def _operator(bot: BotDefinition, state: DialogState, event: e.OperatorActed) -> DialogState:
    match event.action:
        case "take":
            return replace(state, handoff=HandoffStatus.WITH_PERSON, pairs=state.pairs)
        case "say":
            return replace(state, last_text=event.text, last_acts=())
    state = replace(state, handoff=HandoffStatus.NONE, notices=())
    for name, value in event.edits.items():
        edit = Set(slot=name, value=value, source=ValueSource.TOOL)
        state = edit_slot(bot, state, edit)
    return settle(bot, noted(replace(state, notices=()), "operator", text=event.operator))


def _migrated(bot: BotDefinition, state: DialogState, event: e.Migrated) -> DialogState:
    frames = []
    for frame in state.frames:
        if frame.task in bot.tasks:
            known = bot.tasks[frame.task].slots
            kept = {n: c for n, c in frame.slots.items() if n in known}
            frames.append(replace(frame, slots=kept, confirmed="", checked={}, search=None))
    ids = {frame.id for frame in frames}
    pairs = tuple(pair for pair in state.pairs if not pair.frame or pair.frame in ids)
    return replace(state, frames=tuple(frames), pairs=pairs, bot_hash=event.bot_hash)


_After = Callable[[BotDefinition, DialogState, Any], DialogState]
_AFTER: Final[Mapping[str, _After]] = {
    e.Opened.kind: _opened,
    e.UserUttered.kind: _heard,
    e.CommandsParsed.kind: _parsed,
    e.ToolStarted.kind: _started,
    e.ToolReturned.kind: _returned,
    e.PassagesFound.kind: _found,
    e.BotUttered.kind: _uttered,
    e.TimerFired.kind: _timer,
    e.OperatorActed.kind: _operator,
    e.Migrated.kind: _migrated,
}
