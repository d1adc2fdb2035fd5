"""Beginning, leaving, taking up again and ending tasks: the stack of frames and the queue."""

from collections.abc import Mapping
from dataclasses import replace

from dialog.bot.definition import BotDefinition, Keep, Resume, SlotDefinition
from dialog.task.grounding import broken_name, emptied, validated
from dialog.task.scope import scope_of
from dialog.task.state import (
    Cell,
    DialogState,
    Evidence,
    FrameStatus,
    Notice,
    PairKind,
    Queued,
    Status,
    TaskFrame,
)

_MAX_CLOSED = 20


def noted(state: DialogState, kind: str, **about: object) -> DialogState:
    """Return the state with something more to take up in the reply."""
    return replace(state, notices=(*state.notices, Notice(kind=kind, **about)))  # type: ignore[arg-type]


def start_task(
    bot: BotDefinition,
    state: DialogState,
    name: str,
    seeds: Mapping[str, Cell] | None = None,
    *,
    parent: int = 0,
) -> DialogState:
    """Return the state with a task on top of the stack, unless what it needs does not hold."""
    task = bot.tasks[name]
    if task.needs is not None and not task.needs.holds(scope_of(bot, state, None)):
        return noted(state, "needs", task=name, source=str(task.needs.source))
    below = state.top
    if below is not None:
        state = state.with_frame(replace(below, status=FrameStatus.SUSPENDED))
    counters = replace(state.counters, frames=state.counters.frames + 1)
    frame = TaskFrame(task=name, id=counters.frames, parent=parent)
    state = replace(
        state,
        counters=counters,
        frames=(*state.frames, frame),
        pairs=tuple(pair for pair in state.pairs if pair.frame or pair.kind is PairKind.STEP),
        is_closed=False,
    )
    for slot in task.slots.values():
        state = _prefilled(bot, state, frame.id, slot, (seeds or {}).get(slot.name))
    return state


def _prefilled(
    bot: BotDefinition, state: DialogState, frame_id: int, slot: SlotDefinition, seed: Cell | None
) -> DialogState:
    cell = seed or (None if slot.ask_first else _carried(state, slot))
    frame = state.frame(frame_id)
    if cell is None or frame is None:
        return state
    values = cell.value if slot.many else [cell.value]
    for value in values:
        _, broken = validated(bot, state, frame, slot, value)
        if broken is not None:
            return noted(
                state,
                "invalid",
                frame=frame_id,
                slot=slot.name,
                value=value,
                text=broken_name(broken),
                source=str(slot.source),
            )
    return state.with_frame(frame.with_cell(slot.name, cell))


def _carried(state: DialogState, slot: SlotDefinition) -> Cell | None:
    """Return what another task, or the conversation, knows of the slot."""
    found: Cell | None = None
    if slot.carried_from is not None:
        for frame in (*state.closed, *state.frames):
            if frame.task == slot.carried_from.task:
                other = frame.cell(slot.carried_from.slot)
                found = other if other.has_value else found
    if found is None and slot.keep is not Keep.TASK:
        found = state.memory.get(slot.name)
    if found is None or not found.has_value:
        return None
    return Cell(
        value=found.value,
        raw=found.raw,
        status=Status.GROUNDED,
        evidence=Evidence.CARRIED_OVER,
        p=found.p,
        is_inferred=True,
        set_turn=state.counters.turns,
    )


def remembered(bot: BotDefinition, state: DialogState) -> DialogState:
    """Return the state with the values that outlive their task written to the memory."""
    memory = dict(state.memory)
    for frame in state.frames:
        for name, slot in bot.tasks[frame.task].slots.items():
            cell = frame.cell(name)
            if slot.keep is not Keep.TASK and cell.has_value and cell.status is Status.GROUNDED:
                memory[name] = replace(cell, history=())
    return state if memory == dict(state.memory) else replace(state, memory=memory)


def close_frame(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, status: FrameStatus
) -> DialogState:
    """Return the state with a frame ended, its open pairs closed, and the one below considered."""
    ended = replace(frame, status=status, pending=None, ask_next=())
    if status is FrameStatus.CANCELLED:
        turn = state.counters.turns
        ended = replace(ended, slots={n: emptied(c, turn) for n, c in frame.slots.items()})
    state = replace(
        state,
        frames=tuple(other for other in state.frames if other.id != frame.id),
        closed=(*state.closed, ended)[-_MAX_CLOSED:],
        pairs=tuple(pair for pair in state.pairs if pair.frame != frame.id),
    )
    below = state.top
    if below is None or below.status is not FrameStatus.SUSPENDED:
        return state
    if frame.parent == below.id:
        return state.with_frame(replace(below, status=FrameStatus.ACTIVE))
    match bot.tasks[below.task].resume:
        case Resume.AUTO:
            return resumed(state, below)
        case Resume.DROP:
            state = noted(state, "cancelled", frame=below.id, task=below.task)
            return close_frame(bot, state, below, FrameStatus.CANCELLED)
        case Resume.ASK:
            return state


def resumed(state: DialogState, frame: TaskFrame) -> DialogState:
    """Return the state with a suspended frame on top and active again."""
    top = state.top
    if top is not None and top.id != frame.id:
        state = state.with_frame(replace(top, status=FrameStatus.SUSPENDED))
    others = tuple(other for other in state.frames if other.id != frame.id)
    state = replace(
        state,
        frames=(*others, replace(frame, status=FrameStatus.ACTIVE)),
        pairs=tuple(pair for pair in state.pairs if pair.kind is not PairKind.RESUME),
    )
    return noted(state, "resumed", frame=frame.id, task=frame.task)


def queue_task(state: DialogState, name: str) -> DialogState:
    """Return the state with a task waiting for its turn."""
    if any(waiting.task == name for waiting in state.queue):
        return state
    state = replace(state, queue=(*state.queue, Queued(task=name)))
    return noted(state, "queued", task=name)


def next_queued(bot: BotDefinition, state: DialogState) -> DialogState:
    """Return the state with the first waiting task begun, once none is under way."""
    while state.queue and not state.frames:
        first, rest = state.queue[0], state.queue[1:]
        state = start_task(bot, replace(state, queue=rest), first.task, first.slots)
        if state.frames:
            state = noted(state, "queue_started", task=first.task)
    return state
