"""What the names of a bot's expressions stand for at this point of a conversation."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.bot.expressions import Expression, Scope, Unknown
from dialog.slot_types.base import Bounds, TextContext
from dialog.task.canonical import digest
from dialog.task.commands import JSON
from dialog.task.state import Cell, DialogState, PairKind, TaskFrame


def now_of(state: DialogState) -> datetime:
    """Return the moment of the turn, in the user's zone."""
    return datetime.fromisoformat(state.now).astimezone(ZoneInfo(state.timezone))


def scope_of(
    bot: BotDefinition,
    state: DialogState,
    frame: TaskFrame | None,
    extra: Mapping[str, JSON] | None = None,
) -> Scope:
    """Return the scope of a frame: its slots, `result`, the user's facts, the counters."""
    counters = state.counters
    values: dict[str, JSON] = {
        "user": dict(state.user),
        "user_asks": any(notice.kind == "handoff" for notice in state.notices),
        "tool_failed": counters.tool_failed,
        "unclear": counters.unclear,
        "out_of_scope": counters.out_of_scope,
        "abstained": counters.abstained,
        "turns": counters.turns,
        "tries": tries_now(state),
    }
    values |= {name: cell.value for name, cell in state.memory.items() if cell.has_value}
    values |= dict(state.user)
    scope = Scope(values=values, now=now_of(state), locale=state.locale)
    if frame is None:
        values |= extra or {}
        return scope
    task = bot.tasks[frame.task]
    for name, slot in task.slots.items():
        cell = frame.cell(name)
        values[name] = cell.value if cell.has_value else None
        if not cell.is_answered and slot.default is not None:
            values[name] = known(slot.default, scope)
    for name, cell in frame.slots.items():
        if name not in task.slots:  # the slot that a search fills
            values[name] = cell.value
    values["result"] = frame.result
    values |= extra or {}
    return scope


def tries_now(state: DialogState) -> int:
    """Return how often the open question was put."""
    pair = state.open_pair
    return pair.tries if pair is not None and pair.kind is not PairKind.CLOSING else 0


def known(expression: Expression, scope: Scope) -> JSON:
    """Return the value of an expression, None where it is unknown."""
    value = expression.evaluate(scope)
    return None if isinstance(value, Unknown) else value


def is_active(slot: SlotDefinition, scope: Scope) -> bool:
    """Tell whether the slot's `when` holds; an unknown one does not."""
    return slot.when is None or slot.when.holds(scope)


def value_of(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, slot: SlotDefinition
) -> JSON:
    """Return what the slot is worth: its value, else its default, else None."""
    cell = frame.cell(slot.name)
    if cell.has_value:
        return cell.value
    if cell.is_answered or slot.default is None:
        return None
    return known(slot.default, scope_of(bot, state, frame))


def bounds_of(slot: SlotDefinition, scope: Scope) -> Bounds:
    """Return what the slot allows now."""

    def bound(expression: Expression | None) -> JSON:
        return None if expression is None else known(expression, scope)

    return Bounds(
        least=bound(slot.min),
        most=bound(slot.max),
        after=bound(slot.after),
        before=bound(slot.before),
    )


def text_context(
    bot: BotDefinition, state: DialogState, frame: TaskFrame | None, slot: SlotDefinition
) -> TextContext:
    """Return the context in which the slot's type reads a text of this turn."""
    cell = frame.cell(slot.name) if frame is not None else Cell()
    pair = state.open_pair
    return TextContext(
        now=now_of(state),
        timezone=state.timezone,
        locale=state.locale,
        slot=slot.name,
        is_asked=pair is not None and pair.slot == slot.name,
        current=cell.value if cell.has_value else None,
        bounds=bounds_of(slot, scope_of(bot, state, frame)),
    )


def values_of(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> dict[str, JSON]:
    """Return all that is known for the task, by slot, in the written order."""
    scope = scope_of(bot, state, frame)
    found = {}
    for name, slot in bot.tasks[frame.task].slots.items():
        if is_active(slot, scope) and scope.values.get(name) is not None:
            found[name] = scope.values[name]
    return found


def confirmation_digest(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> str:
    """Return what a yes to the summary agrees to: exactly these values of this task."""
    return digest([frame.task, values_of(bot, state, frame)])
