"""Uptake of answers to what is open: yes, no, this one, others."""

from collections.abc import Sequence
from dataclasses import replace

from dialog.bot.definition import BotDefinition
from dialog.task.commands import JSON, Affirm, Change, Choose, Deny, More, Set, Skip, ValueSource
from dialog.task.frames import close_frame, noted, resumed, start_task
from dialog.task.grounding import agreed, emptied
from dialog.task.scope import confirmation_digest
from dialog.task.slot_edits import edit_slot, frame_with, put, skip_slot
from dialog.task.state import (
    Cell,
    DialogState,
    Evidence,
    FrameStatus,
    Pair,
    PairKind,
    Status,
    TaskFrame,
)


def without(state: DialogState, pair: Pair) -> DialogState:
    """Return the state with a pair closed."""
    return replace(state, pairs=tuple(other for other in state.pairs if other is not pair))


def pending_slots(frame: TaskFrame | None) -> list[str]:
    """Return the slots whose values were echoed and not yet agreed to."""
    if frame is None:
        return []
    return [name for name, cell in frame.slots.items() if cell.status is Status.PENDING]


def affirm(  # noqa: PLR0911 - one return per kind of pair
    bot: BotDefinition, state: DialogState, command: Affirm
) -> DialogState:
    """Return the state after a yes."""
    pair = state.open_pair
    if command.slot or pair is None:
        return _agree(state, [command.slot] if command.slot else pending_slots(state.top))
    frame = state.frame(pair.frame)
    match pair.kind:
        case PairKind.CHECK if frame is not None:
            return _checked(bot, state, pair, frame)
        case PairKind.OFFER if frame is not None:
            return _accepted_offer(bot, state, frame)
        case PairKind.STEP if frame is not None:
            return _stepped(state, pair, frame, is_yes=True)
        case PairKind.QUESTION | PairKind.CLARIFY:
            return _yes_to_question(bot, state, pair)
        case PairKind.INTENT:
            return start_task(bot, without(state, pair), pair.act.task)
        case PairKind.RESUME if frame is not None:
            return resumed(without(state, pair), frame)
        case PairKind.HANDOFF:
            return noted(without(state, pair), "handoff", text="agreed")
        case PairKind.CLOSING:
            return noted(without(state, pair), "what_else")
    return state


def _agree(state: DialogState, slots: Sequence[str]) -> DialogState:
    frame = state.top
    if frame is None or not slots:
        return noted(state, "ack")
    for name in slots:
        if frame.cell(name).has_value:
            frame = frame.with_cell(name, agreed(frame.cell(name), Evidence.EXPLICIT_YES))
    return state.with_frame(frame)


def _checked(bot: BotDefinition, state: DialogState, pair: Pair, frame: TaskFrame) -> DialogState:
    state = without(state, pair)
    if pair.act.key == "undo":
        return noted(state, "undo", frame=frame.id, task=frame.task)
    names = [pair.slot] if pair.slot else list(pair.act.values)
    for name in names:
        if frame.cell(name).has_value:
            frame = frame.with_cell(name, agreed(frame.cell(name), Evidence.EXPLICIT_YES))
    state = state.with_frame(frame)
    if pair.slot:
        return state
    return state.with_frame(replace(frame, confirmed=confirmation_digest(bot, state, frame)))


def _accepted_offer(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DialogState:
    shown = frame.search.shown if frame.search is not None else ()
    if len(shown) == 1:
        return choose_row(bot, state, frame, shown[0], ValueSource.OFFER)
    return noted(state, "which", frame=frame.id)


def _stepped(state: DialogState, pair: Pair, frame: TaskFrame, *, is_yes: bool) -> DialogState:
    frame = replace(frame, answered={**frame.answered, str(frame.step): is_yes})
    return without(state, pair).with_frame(frame)


def _yes_to_question(bot: BotDefinition, state: DialogState, pair: Pair) -> DialogState:
    frame = frame_with(bot, state, pair.slot)
    if frame is not None and bot.slot(frame.task, pair.slot).type.name == "bool":
        return edit_slot(bot, state, Set(slot=pair.slot, value=True))
    if waiting := pending_slots(state.top):
        return _agree(state, waiting)
    return noted(state, "unclear", frame=pair.frame, slot=pair.slot)


def deny(  # noqa: PLR0911 - one return per kind of pair
    bot: BotDefinition, state: DialogState, command: Deny
) -> DialogState:
    """Return the state after a no."""
    pair, top = state.open_pair, state.top
    waiting = [command.slot] if command.slot else pending_slots(top)
    if (
        waiting
        and (pair is None or pair.kind is PairKind.QUESTION)
        and not _is_bool(bot, pair, state)
    ):
        return _refused(state, waiting)
    if pair is None:
        return noted(state, "ack")
    frame = state.frame(pair.frame)
    match pair.kind:
        case PairKind.CHECK if frame is not None:
            return _refused_check(bot, state, pair, frame)
        case PairKind.OFFER:
            return more(bot, state, More())
        case PairKind.STEP if frame is not None:
            return _stepped(state, pair, frame, is_yes=False)
        case PairKind.QUESTION | PairKind.CLARIFY:
            return _no_to_question(bot, state, pair)
        case PairKind.RESUME if frame is not None:
            state = noted(without(state, pair), "cancelled", frame=frame.id, task=frame.task)
            return close_frame(bot, state, frame, FrameStatus.CANCELLED)
        case PairKind.CLOSING:
            return noted(without(state, pair), "goodbye")
    return without(state, pair)


def _is_bool(bot: BotDefinition, pair: Pair | None, state: DialogState) -> bool:
    frame = frame_with(bot, state, pair.slot) if pair is not None and pair.slot else None
    return (
        frame is not None
        and pair is not None
        and bot.slot(frame.task, pair.slot).type.name == "bool"
    )


def _refused(state: DialogState, slots: Sequence[str]) -> DialogState:
    """Return the state without an echoed value that the user does not want."""
    frame = state.top
    if frame is None:
        return state
    if len(slots) > 1:
        return noted(state, "change_what", frame=frame.id, options=tuple(slots))
    name = slots[0]
    frame = frame.with_cell(name, emptied(frame.cell(name), state.counters.turns))
    frame = replace(frame, ask_next=(name, *(n for n in frame.ask_next if n != name)))
    return noted(state.with_frame(frame), "denied", frame=frame.id, slot=name)


def _refused_check(
    bot: BotDefinition, state: DialogState, pair: Pair, frame: TaskFrame
) -> DialogState:
    state = without(state, pair)
    if pair.act.key == "undo":
        return noted(state, "kept", frame=frame.id, task=frame.task)
    if pair.slot:
        return _refused(state, [pair.slot])
    if not pair.act.values:  # nothing could be otherwise: the deed itself is not wanted
        state = noted(state, "cancelled", frame=frame.id, task=frame.task)
        return close_frame(bot, state, frame, FrameStatus.CANCELLED)
    return noted(state, "change_what", frame=frame.id, options=tuple(pair.act.values))


def _no_to_question(bot: BotDefinition, state: DialogState, pair: Pair) -> DialogState:
    frame = frame_with(bot, state, pair.slot) if pair.slot else None
    if frame is None:
        return without(state, pair)
    slot = bot.slot(frame.task, pair.slot)
    if pair.kind is PairKind.CLARIFY:
        return _refused(without(state, pair), [pair.slot])
    if slot.type.name == "bool":
        return edit_slot(bot, state, Set(slot=pair.slot, value=False))
    if not slot.required or slot.default is not None:
        return skip_slot(bot, state, Skip(slot=pair.slot))
    return noted(state, "unclear", frame=frame.id, slot=pair.slot)


def choose(  # noqa: PLR0911 - one return per kind of pair
    bot: BotDefinition, state: DialogState, command: Choose
) -> DialogState:
    """Return the state after one of what was shown is taken."""
    pair = state.open_pair
    frame = state.frame(pair.frame) if pair is not None else None
    if pair is None:
        return noted(state, "unclear")
    if pair.kind is PairKind.OFFER and frame is not None and frame.search is not None:
        key = _picked(frame.search.shown, command)
        if key is None:
            return noted(state, "which", frame=frame.id)
        return choose_row(bot, state, frame, key, ValueSource.OFFER)
    option = _picked(pair.act.options, command)
    if option is None:
        return noted(state, "unclear", frame=pair.frame, slot=pair.slot)
    if pair.act.key == "clarify_slot" and frame is not None:
        value = pair.act.given["value"]
        return edit_slot(
            bot, without(state, pair), Change(slot=str(option), task=frame.task, value=value)
        )
    if pair.slot:
        edit = Set(slot=pair.slot, value=option, source=ValueSource.BUTTON)
        return edit_slot(bot, without(state, pair), edit)
    if isinstance(option, str) and option in bot.tasks:
        return start_task(bot, without(state, pair), option)
    return noted(state, "unclear", frame=pair.frame)


def _picked(options: Sequence[JSON], command: Choose) -> JSON:
    if command.entity is not None:
        return command.entity if command.entity in options else None
    if 1 <= command.n <= len(options):
        return options[command.n - 1]
    return options[-1] if command.n == -1 and options else None


def choose_row(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, key: JSON, source: ValueSource
) -> DialogState:
    """Return the state with a found row taken."""
    task = bot.tasks[frame.task]
    search = frame.search
    table = search.table if search is not None else ""
    if search is not None:
        frame = replace(frame, search=replace(search, chosen=key))
    pairs = tuple(p for p in state.pairs if p.frame != frame.id or p.kind is not PairKind.OFFER)
    state = replace(state.with_frame(frame), pairs=pairs, focus=[table, key])
    if not task.into:
        return state
    if task.into in task.slots:
        edit = Set(slot=task.into, value=key, source=source)
        return put(bot, state, frame, task.slots[task.into], edit)
    cell = Cell(
        value=key,
        status=Status.GROUNDED,
        evidence=Evidence.TYPED,
        p=1.0,
        set_turn=state.counters.turns,
    )
    return state.with_frame(frame.with_cell(task.into, cell))


def more(bot: BotDefinition, state: DialogState, command: More) -> DialogState:
    """Return the state with other rows shown, those first that go in the direction asked for."""
    frame = next((f for f in reversed(state.frames) if f.search is not None), None)
    if frame is None or frame.search is None:
        return noted(state, "unclear")
    search, task = frame.search, bot.tasks[frame.task]
    rest = [row for row in search.rows if row not in search.seen]
    if command.direction:
        rest = _directed(bot, frame, command.direction) or rest
    if not rest:
        return noted(state, "no_more", frame=frame.id)
    shown = tuple(rest[: task.offer.show if task.offer is not None else 3])
    search = replace(search, shown=shown, seen=(*search.seen, *shown))
    pairs = tuple(p for p in state.pairs if p.frame != frame.id or p.kind is not PairKind.OFFER)
    return replace(state.with_frame(replace(frame, search=search)), pairs=pairs)


_DIRECTIONS = {
    "cheaper": (("price", "cost", "rate", "fee"), 1),
    "dearer": (("price", "cost", "rate", "fee"), -1),
    "better": (("rating", "stars", "score"), -1),
    "nearer": (("distance",), 1),
    "earlier": (("time", "departure", "start"), 1),
    "later": (("time", "departure", "start"), -1),
}


def _directed(bot: BotDefinition, frame: TaskFrame, direction: str) -> list[JSON]:
    """Return the rows that lie further in a direction than all that are shown, in order."""
    search = frame.search
    table = bot.tables.get(search.table) if search is not None else None
    wanted = _DIRECTIONS.get(direction)
    if search is None or table is None or wanted is None:
        return []
    names, sign = wanted
    column = next((c for n in names for c in table.columns if n in c.lower()), None)
    if column is None:
        return []

    def worth(key: JSON) -> tuple[bool, float | str]:
        cell = (table.get(str(key)) or {}).get(column)
        return (cell is None, cell if isinstance(cell, int | float | str) else "")

    least = [worth(key) for key in search.shown if not worth(key)[0]]
    rows = [key for key in search.rows if key not in search.shown and not worth(key)[0]]
    if sign > 0:
        return sorted((r for r in rows if not least or worth(r) < min(least)), key=worth)[::-1]
    return sorted((r for r in rows if not least or worth(r) > max(least)), key=worth)
