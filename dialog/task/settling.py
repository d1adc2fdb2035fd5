"""What follows from a state without a word or a call: steps that are silent, searches, ends.

Pure: tables are part of the bot. Runs after each event until something must be said, called or
waited for.
"""

from dataclasses import replace

from dialog.bot.definition import BotDefinition, ReactionDefinition
from dialog.task.agenda import (
    due_check,
    due_search,
    is_chosen,
    matching_rows,
    next_instruction,
    search_arguments,
    to_confirm,
    unasked,
    unmet_check,
)
from dialog.task.canonical import digest
from dialog.task.commands import JSON, Set, ValueSource
from dialog.task.frames import close_frame, next_queued, noted, remembered, start_task
from dialog.task.grounding import emptied
from dialog.task.moves import undo
from dialog.task.program import Instruction, Op
from dialog.task.scope import known, scope_of
from dialog.task.slot_edits import put
from dialog.task.state import DialogState, FrameStatus, Search, TaskFrame

_MAX_ROUNDS = 64


def settle(bot: BotDefinition, state: DialogState) -> DialogState:
    """Return the state after all that follows from it."""
    for notice in state.notices:
        if notice.kind == "undo":
            frame = state.frame(notice.frame)
            rest = tuple(n for n in state.notices if n is not notice)
            state = replace(state, notices=rest)
            state = undo(state, frame) if frame is not None else state
    for _ in range(_MAX_ROUNDS):
        after = remembered(bot, _round(bot, state))
        if after is state:
            return state
        state = after
    top = state.top  # a task that starts itself without end
    if top is not None:
        state = noted(state, "failed", frame=top.id, task=top.task, text="it comes to no end")
        state = close_frame(bot, state, top, FrameStatus.FAILED)
    return state


def _round(  # noqa: PLR0911 - one return per thing that is waited for
    bot: BotDefinition, state: DialogState
) -> DialogState:
    frame = state.top
    if frame is None:
        return next_queued(bot, state)
    if frame.status is not FrameStatus.ACTIVE or frame.pending is not None:
        return state
    if frame.program == "do":
        i = unmet_check(bot, state, frame)
        if i is not None:
            check = bot.tasks[frame.task].check[i]
            names = check.condition.names if check.condition is not None else frozenset()
            key = f"task:{frame.task}:check:{i}"
            return react(bot, state, frame, check.otherwise, key, names, str(check.source))
        if unasked(bot, state, frame):
            return state
        searched = _searched(bot, state, frame)
        if searched is not None:
            return searched
        if due_check(bot, state, frame) or due_search(bot, state, frame):
            return state
        if any(cell.plan in ("explicit", "choice") for cell in frame.slots.values()):
            return state
        if to_confirm(bot, state, frame) is not None:
            return state
    at = next_instruction(bot, frame)
    return _ended(bot, state, frame) if at is None else _executed(bot, state, frame, at)


def _searched(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DialogState | None:
    """Return the state with the search made, or as it is while its rows are open; None if done."""
    task = bot.tasks[frame.task]
    if task.find is None or is_chosen(bot, frame):
        return None
    if not task.find_is_table:
        return state
    arguments = digest(search_arguments(bot, state, frame, task))
    if frame.search is not None and frame.search.arguments == arguments:
        return state
    rows = matching_rows(bot, state, frame)
    relaxed = frame.search.relaxed if frame.search is not None and not rows else ()
    offer = task.offer
    for name in offer.relax if offer is not None and not rows else ():
        if name in relaxed or not frame.cell(name).has_value:
            continue
        relaxed = (*relaxed, name)
        looser = replace(frame, search=Search(relaxed=relaxed))
        rows = matching_rows(bot, state, looser)
        if rows:
            arguments = digest(search_arguments(bot, state, looser, task))
            break
    if not rows:
        relaxed = ()
    return state.with_frame(
        with_rows(bot, frame, task.find.function, arguments, tuple(rows), relaxed)
    )


def with_rows(
    bot: BotDefinition,
    frame: TaskFrame,
    table: str,
    arguments: str,
    rows: tuple[object, ...],
    relaxed: tuple[str, ...] = (),
) -> TaskFrame:
    """Return the frame with the rows of a search, the first of them to be shown."""
    offer = bot.tasks[frame.task].offer
    shown = rows[: offer.show if offer is not None else 3]
    search = Search(
        table=table, arguments=arguments, rows=rows, shown=shown, seen=shown, relaxed=relaxed
    )
    return replace(frame, search=search)


def react(  # noqa: PLR0913  # a reaction, and where it stands
    bot: BotDefinition,
    state: DialogState,
    frame: TaskFrame,
    reaction: ReactionDefinition | None,
    key: str,
    names: frozenset[str],
    source: str,
    *,
    message: str = "",
) -> DialogState:
    """Return the state after a check or a call failed, as the bot file says.

    Where it says nothing, the slots among `names` are asked again; where there are none, the task
    fails.
    """
    slots = bot.tasks[frame.task].slots
    again = reaction.reask if reaction is not None else ()
    is_final = reaction is not None and (
        reaction.stop or reaction.handoff is not None or reaction.start is not None
    )
    if not again and not is_final and key.partition(":check:")[1]:
        again = tuple(name for name in slots if name in names)[-1:]
        if reaction is not None and reaction.say is not None and not again:
            is_final = True
    state = noted(
        state,
        "check_failed",
        frame=frame.id,
        task=frame.task,
        key=f"{key}:else" if reaction is not None and reaction.say is not None else "",
        text=message,
        value=_values_then(frame),
        source=source,
    )
    if again:
        for name in again:
            frame = frame.with_cell(name, emptied(frame.cell(name), state.counters.turns))
        search = None if any(name == bot.tasks[frame.task].into for name in again) else frame.search
        frame = replace(frame, ask_next=again, search=search)
        state = state.with_frame(frame)
    if reaction is not None and reaction.handoff is not None:
        state = noted(state, "handoff", text="failed", key=reaction.handoff, frame=frame.id)
    if reaction is not None and reaction.start is not None:
        return start_task(bot, state, reaction.start, parent=frame.id if again else 0)
    if again:
        return state
    return close_frame(bot, state, frame, FrameStatus.FAILED)


def _values_then(frame: TaskFrame) -> dict[str, JSON]:
    """Return what a text about a failure may name: values as they were, though asked for again."""
    values = {name: cell.value for name, cell in frame.slots.items() if cell.has_value}
    return {**values, "result": frame.result}


def _ended(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DialogState:
    task = bot.tasks[frame.task]
    if frame.program == "on_cancel":
        state = noted(state, "cancelled", frame=frame.id, task=frame.task)
        return close_frame(bot, state, frame, FrameStatus.CANCELLED)
    if not frame.is_silent:
        state = noted(state, "success", frame=frame.id, task=frame.task, source=str(task.source))
    state = close_frame(bot, state, frame, FrameStatus.DONE)
    if task.next:
        state = noted(state, "next", frame=frame.id, options=task.next)
    return state


def _executed(  # noqa: C901, PLR0911 - one case per instruction
    bot: BotDefinition, state: DialogState, frame: TaskFrame, at: Instruction
) -> DialogState:
    step = at.step
    after = replace(frame, step=frame.step + 1)
    match at.op:
        case Op.CALL:
            return state
        case Op.TEST:
            holds = step.condition is not None and step.condition.holds(scope_of(bot, state, frame))
            return state.with_frame(after if holds else replace(frame, step=at.target))
        case Op.JUMP:
            return state.with_frame(replace(frame, step=at.target))
        case Op.ASK:
            answer = frame.answered.get(str(frame.step))
            if answer is None:
                return state
            return state.with_frame(after if answer else replace(frame, step=at.target))
        case Op.SAY:
            key = f"task:{frame.task}:{frame.program}:{frame.step}:say"
            state = noted(
                state,
                "say",
                frame=frame.id,
                key=key,
                value={"result": frame.result},
                source=str(step.source),
            )
            return state.with_frame(after)
        case Op.SET:
            return _set(bot, state.with_frame(after), after, step.set)
        case Op.START:
            return start_task(bot, state.with_frame(after), str(step.start), parent=frame.id)
        case Op.HANDOFF:
            queue = step.handoff or ""
            state = noted(state, "handoff", text="step", key=queue, frame=frame.id)
            return state.with_frame(after)
        case Op.STOP:
            state = noted(state, "stopped", frame=frame.id, task=frame.task)
            return close_frame(bot, state, after, FrameStatus.DONE)


def _set(bot: BotDefinition, state: DialogState, frame: TaskFrame, pairs: object) -> DialogState:
    assert isinstance(pairs, tuple)
    for name, expression in pairs:
        value = known(expression, scope_of(bot, state, frame))
        slot = bot.tasks[frame.task].slots.get(name)
        if slot is not None and value is not None:
            edit = Set(slot=name, value=value, source=ValueSource.TOOL)
            state = put(bot, state, frame, slot, edit)
            frame = state.frame(frame.id) or frame
    return state
