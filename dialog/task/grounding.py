"""How a value becomes common ground: accepted, echoed, asked about; and how it is lost again.

from              by                                           to
empty             a value, accepted / a button / a tool        grounded
empty, ungrounded a value that is to be confirmed              ungrounded → pending when said
pending           yes, a button / a turn that does not object  grounded
pending           no / another value                           empty / ungrounded
grounded          another value / one that no longer holds     ungrounded / empty
any               cleared, its task cancelled                  empty
"""

from dataclasses import replace

from dialog.bot.definition import BotDefinition, Confirm, SlotDefinition, TaskDefinition
from dialog.bot.expressions import Unknown
from dialog.slot_types.base import Violation
from dialog.task.canonical import canonical_json
from dialog.task.commands import JSON, SlotEdit, ValueSource
from dialog.task.confirmation import Confirmation, Weighed, weigh
from dialog.task.scope import scope_of, text_context
from dialog.task.state import Cell, DialogState, Evidence, PastValue, Status, TaskFrame
from tools.base import Effect

_EVIDENCE = {
    ValueSource.BUTTON: Evidence.BUTTON,
    ValueSource.TOOL: Evidence.TOOL,
    ValueSource.COPY: Evidence.CARRIED_OVER,
    ValueSource.INFERRED: Evidence.INFERRED,
}
_MAX_HISTORY = 8
STRONG = frozenset({Evidence.EXPLICIT_YES})
"""Evidence by which the user has agreed to the very value, so that no summary need ask again."""


def writes(bot: BotDefinition, task: TaskDefinition) -> bool:
    """Tell whether the task calls anything that changes the world."""
    pending = list(task.do)
    while pending:
        step = pending.pop()
        pending += [*step.yes, *step.no]
        if step.call is not None and is_write(bot, step.call.function):
            return True
    return False


def is_write(bot: BotDefinition, tool: str) -> bool:
    """Tell whether a tool writes; an unknown one counts as one that does."""
    found = bot.tools.get(tool)
    return found is None or found.effect is Effect.WRITE


def broken_name(broken: Violation | str) -> str:
    """Return what a value breaks as a short text: "too_large|12", "valid:0"."""
    if isinstance(broken, str):
        return broken
    return f"{broken.kind}|{canonical_json(broken.bound)}"


def is_placeholder(value: JSON) -> bool:
    """Tell whether a value stands for something sensitive that is kept elsewhere."""
    return isinstance(value, str) and value.startswith("\u27e8") and value.endswith("\u27e9")


def validated(
    bot: BotDefinition,
    state: DialogState,
    frame: TaskFrame,
    slot: SlotDefinition,
    value: JSON,
) -> tuple[JSON, Violation | str | None]:
    """Return a value in canonical form, and what it breaks: a bound, or the text of a rule.

    The text of a broken `valid` rule without words of its own is "".
    """
    if is_placeholder(value):
        return value, None  # its words were checked before they were put away
    context = text_context(bot, state, frame, slot)
    try:
        canonical, violation = slot.type.canonical(value, context)
    except ValueError as error:
        return value, str(error)
    if violation is not None:
        return canonical, violation
    scope = scope_of(bot, state, frame, {slot.name: canonical})
    for i, rule in enumerate(slot.valid):
        holds = rule.condition.evaluate(scope)
        if not isinstance(holds, Unknown) and not holds:
            return canonical, f"valid:{i}"
    return canonical, None


def weighed(task: TaskDefinition, slot: SlotDefinition, edit: SlotEdit) -> Weighed:
    """Return how a value is to be grounded, with the costs that were compared."""
    mode = slot.confirm or task.confirm
    if edit.source is ValueSource.BUTTON or mode is Confirm.NEVER:
        return Weighed(choice=Confirmation.ACCEPT)
    if slot.confirm is Confirm.EXPLICIT:
        return Weighed(choice=Confirmation.EXPLICIT)
    if mode is Confirm.IMPLICIT:
        return Weighed(choice=Confirmation.IMPLICIT)
    # Before a write there is a summary (see `dialog.task.agenda`): a wrong value costs a repair
    # there, not a wrong deed, so that each value alone is weighed as for a read.
    second = max((part.p for part in edit.alternatives), default=0.0)
    p = min(edit.p, 1.0 - second)
    return weigh(p, second, is_write=False, cost=slot.cost)


def cell_for(edit: SlotEdit, value: JSON, way: Confirmation, turn: int, old: Cell) -> Cell:
    """Return the cell of an accepted, or still to be confirmed, value."""
    evidence = _EVIDENCE.get(edit.source, Evidence.TYPED)
    is_accepted = way is Confirmation.ACCEPT
    return Cell(
        value=value,
        raw=edit.raw,
        span=edit.span,
        status=Status.GROUNDED if is_accepted else Status.UNGROUNDED,
        evidence=evidence,
        p=edit.p,
        alternatives=edit.alternatives,
        is_inferred=evidence in (Evidence.INFERRED, Evidence.CARRIED_OVER),
        plan="" if is_accepted else way.value,
        set_turn=turn,
        history=past(old, turn),
    )


def past(cell: Cell, turn: int, refused: JSON = None, why: str = "") -> tuple[PastValue, ...]:
    """Return a cell's history with its present value, or a refused one, at the end.

    Of a long one the end, so that a state does not grow with the corrections before it.
    """
    if why:
        last = PastValue(value=refused, turn=turn, refused=why)
    elif cell.has_value:
        last = PastValue(value=cell.value, turn=cell.set_turn)
    else:
        return cell.history
    return (*cell.history, last)[-_MAX_HISTORY:]


def emptied(cell: Cell, turn: int) -> Cell:
    """Return the cell without its value, which its history keeps."""
    return Cell(history=past(cell, turn))


def agreed(cell: Cell, evidence: Evidence) -> Cell:
    """Return the cell as common ground."""
    return replace(
        cell, status=Status.GROUNDED, evidence=evidence, plan="", alternatives=(), is_inferred=False
    )


def revalidate(
    bot: BotDefinition, state: DialogState, frame: TaskFrame
) -> tuple[TaskFrame, list[str]]:
    """Empty the slots whose values no longer hold after another one changed; return which."""
    lost: list[str] = []
    task = bot.tasks[frame.task]
    for name, slot in task.slots.items():
        cell = frame.cell(name)
        if not cell.has_value or not _depends(slot):
            continue
        values = cell.value if slot.many else [cell.value]
        if any(validated(bot, state, frame, slot, value)[1] is not None for value in values):
            frame = frame.with_cell(name, emptied(cell, state.counters.turns))
            lost.append(name)
    return frame, lost


def _depends(slot: SlotDefinition) -> bool:
    names: set[str] = set()
    for expression in (slot.min, slot.max, slot.after, slot.before):
        names |= expression.names if expression is not None else set()
    for rule in slot.valid:
        names |= rule.condition.names
    return bool(names - {slot.name})
