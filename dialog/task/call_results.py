"""What the beginning and the end of a tool call change in the state."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.canonical import digest
from dialog.task.commands import JSON
from dialog.task.events import ToolReturned, ToolStarted
from dialog.task.frames import close_frame, noted
from dialog.task.grounding import emptied, is_write, past
from dialog.task.program import program_of
from dialog.task.scope import confirmation_digest
from dialog.task.settling import react, with_rows
from dialog.task.state import Call, Checked, DialogState, FrameStatus, TaskFrame

_MAY_PASS_LATER: Final = frozenset({"unavailable", "timeout", "retryable"})


def call_started(bot: BotDefinition, state: DialogState, event: ToolStarted) -> DialogState:
    """Return the state with a call under way."""
    frame = state.frame(event.frame)
    if frame is None or frame not in state.frames:
        return state  # a log of another version of the bot, whose task is not there any more
    does_write = is_write(bot, event.tool)
    call = Call(
        id=event.call_id,
        tool=event.tool,
        purpose=event.purpose,
        place=event.place,
        arguments=event.arguments,
        is_write=does_write,
        is_confirmed=frame.confirmed == confirmation_digest(bot, state, frame),
    )
    counters = replace(state.counters, calls=state.counters.calls + 1)
    return replace(state, counters=counters).with_frame(replace(frame, pending=call))


def call_returned(bot: BotDefinition, state: DialogState, event: ToolReturned) -> DialogState:
    """Return the state after a call's end; a result that nobody waits for changes nothing."""
    frame = next(
        (f for f in state.frames if f.pending is not None and f.pending.id == event.call_id), None
    )
    if frame is None or frame.pending is None:
        return state
    call = frame.pending
    frame = replace(frame, pending=None)
    if event.error:
        return _failed(bot, state, frame, call, event)
    state = replace(state, counters=replace(state.counters, tool_failed=0))
    match call.purpose:
        case "check":
            return _checked(bot, state, frame, call, event.value)
        case "find":
            return state.with_frame(_rows(bot, frame, call, event.value))
    effects = (*frame.effects, call) if call.is_write else frame.effects
    result = event.value if event.value is not None else frame.result
    frame = replace(frame, effects=effects, result=result, step=frame.step + 1, retries=0)
    return state.with_frame(frame)


def _checked(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, call: Call, value: JSON
) -> DialogState:
    done = Checked(arguments=digest(dict(call.arguments)), value=value)
    frame = replace(frame, checked={**frame.checked, call.place: done})
    state = state.with_frame(frame)
    if _is_true(value):
        return state
    number, checks = int(call.place.partition(":")[2]), bot.tasks[frame.task].check
    if number >= len(checks):
        return state
    check = checks[number]
    names = frozenset(call.arguments)
    if check.call is not None and check.call.arguments is not None:
        names = frozenset().union(*(value.names for _, value in check.call.arguments))
    key = f"task:{frame.task}:{call.place}"
    return react(bot, state, frame, check.otherwise, key, names, str(check.source))


def _is_true(value: JSON) -> bool:
    if isinstance(value, Mapping) and "ok" in value:
        return bool(value["ok"])
    return bool(value)


def _rows(bot: BotDefinition, frame: TaskFrame, call: Call, value: JSON) -> TaskFrame:
    """Return the frame with the rows that a tool found: keys, or records that hold theirs."""
    task = bot.tasks[frame.task]
    slot = task.slots.get(task.into)
    table = slot.type.name.partition(":")[2] if slot is not None else ""
    known = bot.tables.get(table)
    rows: list[JSON] = []
    for row in value if isinstance(value, list | tuple) else []:
        is_record = isinstance(row, Mapping)
        rows.append(row.get(known.key) if is_record and known is not None else row)
    return with_rows(bot, frame, table, digest(dict(call.arguments)), tuple(rows))


def _failed(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, call: Call, event: ToolReturned
) -> DialogState:
    task = bot.tasks[frame.task]
    state = state.with_frame(frame)
    program = program_of(task, frame.program)
    is_step = call.purpose == "call" and frame.step < len(program)
    step = program[frame.step].step if is_step else None
    limit = step.retry if step is not None else 1
    if event.error in _MAY_PASS_LATER and not event.is_in_doubt and frame.retries < limit:
        return state.with_frame(replace(frame, retries=frame.retries + 1))
    if event.error == "invalid" and event.slot in task.slots:
        return _refused(state, frame, event)
    counters = replace(state.counters, tool_failed=state.counters.tool_failed + 1)
    state = replace(state, counters=counters)
    frame = replace(frame, failure=event.error, retries=0)
    state = state.with_frame(frame)
    if event.is_in_doubt and call.is_write:
        frame = replace(frame, effects=(*frame.effects, call))
        state = noted(state, "in_doubt", frame=frame.id, task=frame.task, text=call.tool)
        state = noted(state, "handoff", frame=frame.id, text="in_doubt")
        return close_frame(bot, state, frame, FrameStatus.FAILED)
    reaction = step.failed if step is not None and step.failed is not None else task.failed
    if reaction is not None:
        own = step is not None and step.failed is not None
        key = f"task:{frame.task}:{frame.program}:{frame.step}" if own else f"task:{frame.task}"
        source = str(reaction.source)
        names: frozenset[str] = frozenset()
        return react(bot, state, frame, reaction, key, names, source, message=event.message)
    state = noted(state, "failed", frame=frame.id, task=frame.task, text=event.message)
    return close_frame(bot, state, frame, FrameStatus.FAILED)


def _refused(state: DialogState, frame: TaskFrame, event: ToolReturned) -> DialogState:
    """Return the state with a value that the tool does not take out of its slot."""
    turn = state.counters.turns
    cell = frame.cell(event.slot)
    history = past(cell, turn, cell.value, event.message or "invalid")
    frame = frame.with_cell(event.slot, replace(emptied(cell, turn), history=history))
    frame = replace(frame, ask_next=(event.slot,), retries=0)
    return noted(
        state.with_frame(frame),
        "invalid",
        frame=frame.id,
        slot=event.slot,
        value=cell.value,
        text=f"tool|{event.message}",
    )
