"""What a task still needs, in the order in which it is seen to. Pure questions about a state."""

from collections.abc import Mapping
from dataclasses import dataclass

from dialog.bot.definition import (
    BotDefinition,
    CallDefinition,
    Confirm,
    Fill,
    Order,
    SlotDefinition,
    TaskDefinition,
)
from dialog.bot.tables import EntityTable
from dialog.task.acts import CallTool
from dialog.task.canonical import digest
from dialog.task.commands import JSON
from dialog.task.grounding import STRONG, is_write, writes
from dialog.task.program import Instruction, Op, is_under_yes, program_of
from dialog.task.scope import confirmation_digest, is_active, known, scope_of, values_of
from dialog.task.state import DialogState, Status, TaskFrame


def unasked(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> list[SlotDefinition]:
    """Return the slots that are to be asked for, the next one first."""
    task = bot.tasks[frame.task]
    scope = scope_of(bot, state, frame)
    first = [task.slots[name] for name in frame.ask_next if name in task.slots]
    found = [slot for slot in first if is_active(slot, scope) and not _is_answered(frame, slot)]
    for slot in task.slots.values():
        if slot in found or _is_answered(frame, slot) or slot.name == task.into:
            continue
        if slot.fill in (Fill.NEVER, Fill.TOOL) or not is_active(slot, scope):
            continue
        if _is_to_be_asked(slot):
            found.append(slot)
    if task.order is Order.AGENDA and len(found) > len(first):
        return _by_gain(bot, state, frame, found, len(first))
    return found


def _is_answered(frame: TaskFrame, slot: SlotDefinition) -> bool:
    return frame.cell(slot.name).is_answered


def _is_to_be_asked(slot: SlotDefinition) -> bool:
    if slot.default is not None:
        return slot.ask_first
    is_asked_anyway = slot.ask_first or slot.ask is not None or slot.fill is Fill.WHEN_ASKED
    return slot.required or is_asked_anyway


def _by_gain(
    bot: BotDefinition,
    state: DialogState,
    frame: TaskFrame,
    found: list[SlotDefinition],
    num_first: int,
) -> list[SlotDefinition]:
    """Order the slots by how well their columns split the rows that are left; ties as written."""
    task = bot.tasks[frame.task]
    table = bot.tables.get(task.find.function) if task.find is not None else None
    if table is None or task.find is None or task.find.arguments is None:
        return found
    keys = matching_rows(bot, state, frame)
    columns = {name: column for column, argument in task.find.arguments for name in argument.names}
    rest = found[num_first:]
    ranked: list[SlotDefinition] = []
    while rest and len(keys) > 1:
        among = [columns[s.name] for s in rest if columns.get(s.name) in table.columns]
        column = table.splitting_column(keys, among=among) if among else None
        if column is None:
            break
        best = next(slot for slot in rest if columns.get(slot.name) == column)
        ranked.append(best)
        rest = [slot for slot in rest if slot is not best]
    return [*found[:num_first], *ranked, *rest]


def arguments_of(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, call: CallDefinition
) -> dict[str, JSON] | None:
    """Return the arguments of a call, None as long as one that it must have is not known."""
    scope = scope_of(bot, state, frame)
    schema: Mapping[str, JSON] = bot.tools[call.function].schema
    needed = set(schema.get("required", ()))
    if call.arguments is not None:
        given = {name: known(expression, scope) for name, expression in call.arguments}
    else:
        names = schema.get("properties", {})
        result = frame.result if isinstance(frame.result, Mapping) else {}
        given = {name: scope.values.get(name, result.get(name)) for name in names}
    missing = {name for name in needed if given.get(name) is None}
    if any(not _may_be_missing(bot, frame, name) for name in missing):
        return None
    return {name: value for name, value in given.items() if value is not None or name in needed}


def _may_be_missing(bot: BotDefinition, frame: TaskFrame, name: str) -> bool:
    """Tell whether nothing is a value for an argument: an optional slot, or any will do."""
    slot = bot.tasks[frame.task].slots.get(name)
    if slot is None:
        return frame.program == "on_cancel"
    return frame.cell(name).is_answered or not slot.required or slot.when is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCall:
    """A call that is to be made now, for what, and with which arguments."""

    call: CallDefinition
    purpose: str
    place: str
    arguments: Mapping[str, JSON]

    @property
    def digest(self) -> str:
        """The hash of its arguments."""
        return digest(dict(self.arguments))


def due_check(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DueCall | None:
    """Return the first check whose arguments are known and which was not made with them."""
    for i, check in enumerate(bot.tasks[frame.task].check):
        if check.call is None:
            continue
        arguments = arguments_of(bot, state, frame, check.call)
        if arguments is None:
            continue
        due = DueCall(call=check.call, purpose="check", place=f"check:{i}", arguments=arguments)
        before = frame.checked.get(due.place)
        if before is None or before.arguments != due.digest:
            return due
    return None


def unmet_check(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> int | None:
    """Return the number of a condition that does not hold for the values known; None if all may."""
    scope = scope_of(bot, state, frame)
    for i, check in enumerate(bot.tasks[frame.task].check):
        if check.condition is not None and check.condition.evaluate(scope) is False:
            return i
    return None


def search_arguments(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, task: TaskDefinition
) -> dict[str, JSON]:
    """Return the constraints of a table search by column: [values] of those that are known."""
    assert task.find is not None
    scope = scope_of(bot, state, frame)
    relaxed = frame.search.relaxed if frame.search is not None else ()
    if task.find.arguments is None:
        table = bot.tables[task.find.function]
        pairs = [(name, scope.values.get(name)) for name in task.slots if name in table.columns]
        names_of = {name: frozenset({name}) for name, _ in pairs}
    else:
        pairs = [(column, known(value, scope)) for column, value in task.find.arguments]
        names_of = {column: value.names for column, value in task.find.arguments}
    return {
        column: value
        for column, value in pairs
        if value is not None and not names_of[column] & set(relaxed)
    }


def matching_rows(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> list[str]:
    """Return the keys of the table's rows that fit what is known so far."""
    task = bot.tasks[frame.task]
    assert task.find is not None
    table = bot.tables[task.find.function]
    holders = [slot for slot in task.slots.values() if slot.type.name.startswith("entity:")]
    allowed = {
        column: value if isinstance(value, list) else [value]
        for column, value in search_arguments(bot, state, frame, task).items()
    }
    for column, values in allowed.items():
        for slot in holders:
            other = bot.tables.get(slot.type.name.partition(":")[2])
            if other is not None and [frame.cell(slot.name).value] == values:
                # A table may point at another one's rows by key, or by what people call them.
                allowed[column] = _as_held(table, column, values, other)
    return table.select(allowed)


def _as_held(table: EntityTable, column: str, keys: list[JSON], other: EntityTable) -> list[JSON]:
    held = {str(row.get(column)) for row in table.rows.values()}
    return keys if held & {str(key) for key in keys} else [other.show_name(str(k)) for k in keys]


def due_search(bot: BotDefinition, state: DialogState, frame: TaskFrame) -> DueCall | None:
    """Return the search of a task whose `find` is a tool, if it was not made with these values."""
    task = bot.tasks[frame.task]
    if task.find is None or task.find_is_table or is_chosen(bot, frame):
        return None
    arguments = arguments_of(bot, state, frame, task.find)
    if arguments is None:
        return None
    due = DueCall(call=task.find, purpose="find", place="find", arguments=arguments)
    if frame.search is not None and frame.search.arguments == due.digest:
        return None
    return due


def is_chosen(bot: BotDefinition, frame: TaskFrame) -> bool:
    """Tell whether what the task searches for was taken."""
    task = bot.tasks[frame.task]
    if task.into and frame.cell(task.into).has_value:
        return True
    return frame.search is not None and frame.search.chosen is not None


def next_instruction(bot: BotDefinition, frame: TaskFrame) -> Instruction | None:
    """Return the instruction at which the frame stands, None at the end of its program."""
    program = program_of(bot.tasks[frame.task], frame.program)
    return program[frame.step] if frame.step < len(program) else None


def to_confirm(  # noqa: PLR0911 - one return per mode
    bot: BotDefinition, state: DialogState, frame: TaskFrame
) -> Mapping[str, JSON] | None:
    """Return the values that the user must agree to before the task goes on; None if it may go on.

    A summary of all of them before a write (or where the task says `explicit`); only what is not
    common ground yet where each value is confirmed by itself. A deed without values is agreed to
    as well: {}. `never` spares reads the question, and writes that a question of the task itself
    guards; any other write is asked about all the same.
    """
    task = bot.tasks[frame.task]
    at = next_instruction(bot, frame)
    if frame.program != "do" or (at is None and task.confirm is not Confirm.EXPLICIT):
        return None
    does_write = writes(bot, task)
    if not does_write and task.confirm is not Confirm.EXPLICIT:
        return None
    is_due = at is None or (at.op is Op.CALL and at.step.call is not None)
    if does_write and frame.step > 0 and is_due and at is not None and at.step.call is not None:
        is_due = is_write(bot, at.step.call.function)
    if not is_due or (task.confirm is Confirm.NEVER and _is_guarded(bot, frame, at)):
        return None
    values = values_of(bot, state, frame)
    if frame.confirmed == confirmation_digest(bot, state, frame):
        return None
    if task.confirm is Confirm.EXPLICIT or not values:
        return values
    if task.confirm is Confirm.IMPLICIT:
        loose = {n: v for n, v in values.items() if frame.cell(n).status is not Status.GROUNDED}
        return loose or None  # defaults among them, which nobody has heard of yet
    are_agreed = all(
        frame.cell(name).evidence in STRONG and frame.cell(name).status is Status.GROUNDED
        for name in values
    )
    return None if are_agreed else values


def _is_guarded(bot: BotDefinition, frame: TaskFrame, at: Instruction | None) -> bool:
    """Tell whether the next call does no harm unasked: it reads, or a yes of the task led to it."""
    if at is None or at.step.call is None or not is_write(bot, at.step.call.function):
        return True
    return is_under_yes(program_of(bot.tasks[frame.task], frame.program), frame.step)


def may_call(bot: BotDefinition, state: DialogState, frame: TaskFrame, step: CallTool) -> bool:
    """Tell whether a call may be made: one that writes is a step of a task that was agreed to.

    Asked once more at the moment of the call, whatever policy wants it.
    """
    if not is_write(bot, step.tool) or frame.program == "on_cancel":
        return True
    return step.purpose == "call" and to_confirm(bot, state, frame) is None
