"""Uptake of what a user says about slots: set, change, add, remove, clear, any, skip, back."""

from dataclasses import replace

from dialog.bot.definition import BotDefinition, Fill, SlotDefinition
from dialog.task.canonical import canonical_json
from dialog.task.commands import (
    JSON,
    Add,
    Back,
    Clear,
    DontCare,
    Remove,
    Skip,
    SlotEdit,
    ValueSource,
)
from dialog.task.confirmation import Confirmation
from dialog.task.frames import noted
from dialog.task.grounding import (
    agreed,
    broken_name,
    cell_for,
    emptied,
    past,
    revalidate,
    validated,
    weighed,
)
from dialog.task.scope import scope_of
from dialog.task.state import (
    Cell,
    DialogState,
    Evidence,
    Notice,
    PairKind,
    Queued,
    Status,
    TaskFrame,
)


def frame_with(
    bot: BotDefinition, state: DialogState, slot: str, task: str = ""
) -> TaskFrame | None:
    """Return the innermost open frame that has the slot."""
    for frame in reversed(state.frames):
        if slot in bot.tasks[frame.task].slots and task in ("", frame.task):
            return frame
    return None


def edit_slot(bot: BotDefinition, state: DialogState, edit: SlotEdit) -> DialogState:
    """Return the state after set, change, add or remove."""
    frame = frame_with(bot, state, edit.slot, edit.task)
    if frame is None:
        return _edit_queued(bot, state, edit)
    slot = bot.slot(frame.task, edit.slot)
    if not _may_fill(bot, state, frame, slot, edit):
        return noted(state, "not_admitted", frame=frame.id, slot=slot.name, text=edit.head)
    return put(bot, state, frame, slot, edit)


def _may_fill(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, slot: SlotDefinition, edit: SlotEdit
) -> bool:
    if edit.source is ValueSource.TOOL:
        return slot.fill is not Fill.NEVER
    if slot.fill in (Fill.NEVER, Fill.TOOL):
        return False
    if slot.when is not None:
        holds = slot.when.evaluate(scope_of(bot, state, frame))
        if holds is False:
            return False
    if slot.fill is Fill.WHEN_ASKED:
        pair = state.open_pair
        return (pair is not None and pair.slot == slot.name) or frame.cell(slot.name).is_answered
    return True


def put(
    bot: BotDefinition,
    state: DialogState,
    frame: TaskFrame,
    slot: SlotDefinition,
    edit: SlotEdit,
) -> DialogState:
    """Return the state with a value put into a slot, or refused with a reason."""
    turn = state.counters.turns
    old = frame.cell(slot.name)
    value, broken = _checked(bot, state, frame, slot, edit)
    if broken is not None:
        cell = replace(old, history=past(old, turn, value, broken))
        state = state.with_frame(frame.with_cell(slot.name, cell))
        return noted(
            state,
            "invalid",
            frame=frame.id,
            slot=slot.name,
            value=value,
            text=broken,
            source=str(slot.source),
        )
    value = _joined(slot, old, edit, value)
    if old.has_value and canonical_json(old.value) == canonical_json(value):
        if old.status is not Status.GROUNDED and edit.p >= old.p:
            state = state.with_frame(frame.with_cell(slot.name, agreed(old, Evidence.EXPLICIT_YES)))
        return _settled_question(state, frame, slot.name)
    if slot.many and value == []:
        return clear_slot(bot, state, Clear(slot=slot.name))
    found = weighed(bot.tasks[frame.task], slot, edit)
    if found.choice is Confirmation.ASK_AGAIN:
        return noted(state, "unclear", frame=frame.id, slot=slot.name)
    frame = frame.with_cell(slot.name, cell_for(edit, value, found.choice, turn, old))
    frame = replace(frame, ask_next=tuple(name for name in frame.ask_next if name != slot.name))
    state = _settled_question(state.with_frame(frame), frame, slot.name)
    if old.has_value:
        kind = {"add": "added", "remove": "removed"}.get(edit.head, "changed")
        shown = edit.value if kind != "changed" else value
        state = noted(state, kind, frame=frame.id, slot=slot.name, value=shown)
    return _without_what_broke(bot, state, frame)


def _checked(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, slot: SlotDefinition, edit: SlotEdit
) -> tuple[JSON, str | None]:
    """Return the canonical value, and which bound or rule it breaks as a short name."""
    values = edit.value if slot.many and isinstance(edit.value, list | tuple) else [edit.value]
    found = []
    for given in values:
        value, broken = validated(bot, state, frame, slot, given)
        if broken is not None:
            return value, broken_name(broken)
        found.append(value)
    return (found if slot.many else found[0]), None


def _joined(slot: SlotDefinition, old: Cell, edit: SlotEdit, value: JSON) -> JSON:
    if not slot.many:
        return value
    before = list(old.value) if old.has_value else []
    if isinstance(edit, Remove):
        return [part for part in before if part not in value]
    if isinstance(edit, Add):
        return [*before, *(part for part in value if part not in before)]
    return value


def _settled_question(state: DialogState, frame: TaskFrame, slot: str) -> DialogState:
    """Return the state without the open questions about a slot that has just been answered."""
    return replace(
        state,
        pairs=tuple(
            pair
            for pair in state.pairs
            if pair.frame != frame.id
            or (
                (pair.slot != slot and pair.kind not in (PairKind.CHECK, PairKind.OFFER))
                and not (pair.kind is PairKind.QUESTION and not pair.slot)
                and not (pair.act.key == "clarify_slot" and slot in pair.act.options)
            )
        ),
    )


def _without_what_broke(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DialogState:
    changed, lost = revalidate(bot, state, state.frame(frame.id) or frame)
    state = state.with_frame(changed)
    for name in lost:
        state = noted(state, "dropped", frame=frame.id, slot=name, value=frame.cell(name).value)
    return state


def _edit_queued(bot: BotDefinition, state: DialogState, edit: SlotEdit) -> DialogState:
    for i, waiting in enumerate(state.queue):
        task = bot.tasks[waiting.task]
        if edit.slot in task.slots and edit.task in ("", waiting.task):
            slot = task.slots[edit.slot]
            value = [edit.value] if slot.many and not isinstance(edit.value, list) else edit.value
            old = waiting.slots.get(edit.slot, Cell())
            cell = cell_for(edit, value, Confirmation.ACCEPT, state.counters.turns, old)
            filled = Queued(task=waiting.task, slots={**waiting.slots, edit.slot: cell})
            return replace(state, queue=(*state.queue[:i], filled, *state.queue[i + 1 :]))
    return noted(state, "not_admitted", slot=edit.slot, text=edit.head)


def clear_slot(bot: BotDefinition, state: DialogState, command: Clear) -> DialogState:
    """Return the state with a slot emptied."""
    frame = frame_with(bot, state, command.slot, command.task)
    if frame is None or not frame.cell(command.slot).is_answered:
        return noted(state, "not_admitted", slot=command.slot, text="clear")
    cell = emptied(frame.cell(command.slot), state.counters.turns)
    frame = frame.with_cell(command.slot, cell)
    state = _settled_question(state.with_frame(frame), frame, command.slot)
    state = noted(state, "cleared", frame=frame.id, slot=command.slot)
    return _without_what_broke(bot, state, frame)


def any_value(bot: BotDefinition, state: DialogState, command: DontCare) -> DialogState:
    """Return the state after "any will do"; a required slot that is no constraint stays open."""
    frame = frame_with(bot, state, command.slot, command.task)
    if frame is None:
        return noted(state, "not_admitted", slot=command.slot, text="dontcare")
    slot = bot.slot(frame.task, command.slot)
    if slot.required and not is_constraint(bot, frame, slot.name) and slot.default is None:
        return noted(state, "refused", frame=frame.id, slot=slot.name)
    old = frame.cell(slot.name)
    cell = Cell(
        is_dontcare=True,
        status=Status.GROUNDED,
        evidence=Evidence.TYPED,
        p=command.p,
        set_turn=state.counters.turns,
        history=past(old, state.counters.turns),
    )
    if slot.default is not None and slot.required:
        cell = emptied(old, state.counters.turns)  # the default stands
    frame = frame.with_cell(slot.name, cell)
    return _settled_question(state.with_frame(frame), frame, slot.name)


def is_constraint(bot: BotDefinition, frame: TaskFrame, slot: str) -> bool:
    """Tell whether the slot only narrows the task's search."""
    find = bot.tasks[frame.task].find
    if find is None:
        return False
    names = {name for _, argument in find.arguments or () for name in argument.names}
    return slot in names if find.arguments is not None else True


def skip_slot(bot: BotDefinition, state: DialogState, command: Skip) -> DialogState:
    """Return the state with an optional slot passed over; why a required one is asked is told."""
    pair = state.open_pair
    name = command.slot or (pair.slot if pair is not None else "")
    frame = frame_with(bot, state, name)
    if frame is None:
        return noted(state, "unclear")
    slot = bot.slot(frame.task, name)
    if is_constraint(bot, frame, name):
        return any_value(bot, state, DontCare(slot=name))
    if slot.required and slot.default is None:
        return noted(state, "refused", frame=frame.id, slot=name)
    cell = Cell(
        is_skipped=slot.default is None,
        status=Status.GROUNDED if slot.default is None else Status.EMPTY,
        evidence=Evidence.TYPED,
        set_turn=state.counters.turns,
        history=frame.cell(name).history,
    )
    frame = replace(
        frame.with_cell(name, cell), ask_next=tuple(n for n in frame.ask_next if n != name)
    )
    return _settled_question(state.with_frame(frame), frame, name)


def go_back(bot: BotDefinition, state: DialogState, command: Back) -> DialogState:
    """Return the state with an earlier answer, the last one unless named, open again."""
    frame = frame_with(bot, state, command.slot) if command.slot else state.top
    if frame is None:
        return noted(state, "nothing_back")
    task = bot.tasks[frame.task]
    answered = [
        name
        for name, slot in task.slots.items()
        if frame.cell(name).is_answered and slot.fill in (Fill.ANYTIME, Fill.WHEN_ASKED)
    ]
    order, cells = list(task.slots), frame.slots
    answered.sort(key=lambda name: (cells[name].set_turn, order.index(name)))
    name = command.slot or (answered[-1] if answered else "")
    if name not in answered:
        return noted(state, "nothing_back", frame=frame.id, slot=name)
    cell = emptied(frame.cell(name), state.counters.turns)
    frame = replace(frame.with_cell(name, cell), ask_next=(name, *frame.ask_next))
    state = _settled_question(state.with_frame(frame), frame, name)
    return replace(state, notices=(*state.notices, Notice(kind="back", frame=frame.id, slot=name)))
