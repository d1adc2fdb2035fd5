"""The questions that a bot may put, as rules in the order of their priority.

Each rule looks at the state and returns its question, or None where it does not apply.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.agenda import is_chosen, next_instruction, to_confirm, unasked
from dialog.task.program import Op
from dialog.task.state import DialogState, FrameStatus, Notice, PairKind, TaskFrame

_MAX_OPTIONS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A first part, and what is to be said before it."""

    act: Act
    before: tuple[Act, ...] = ()


Rule = Callable[[BotDefinition, DialogState], Question | None]


def question_rules(bot: BotDefinition, state: DialogState) -> Sequence[tuple[str, Rule]]:
    """Return the rules by name, the one that goes first first."""
    del bot, state
    return _RULES


def _notice(state: DialogState, kind: str) -> Notice | None:
    return next((notice for notice in state.notices if notice.kind == kind), None)


def _active(state: DialogState) -> TaskFrame | None:
    top = state.top
    return top if top is not None and top.status is FrameStatus.ACTIVE else None


def _handoff_offer(bot: BotDefinition, state: DialogState) -> Question | None:
    del bot
    notice = _notice(state, "offer_handoff")
    if notice is None:
        return None
    return Question(act=Act(name=ActName.OFFER_INTENT, key="offer_handoff", reason="max_tries"))


def _undo(bot: BotDefinition, state: DialogState) -> Question | None:
    notice = _notice(state, "may_undo")
    if notice is None:
        return None
    act = Act(
        name=ActName.CONFIRM,
        task=notice.task,
        frame=notice.frame,
        key="undo",
        source=str(bot.tasks[notice.task].source),
        reason="on_cancel",
    )
    return Question(act=act)


def _which_task(bot: BotDefinition, state: DialogState) -> Question | None:
    del bot
    notice = _notice(state, "clarify_task")
    if notice is None:
        return None
    act = Act(name=ActName.CLARIFY, key="clarify_task", options=notice.options, reason="n-best")
    return Question(act=act)


def _which_slot(bot: BotDefinition, state: DialogState) -> Question | None:
    """Ask of which slot a value was said; put again until that is settled."""
    del bot
    frame, pair, notice = _active(state), state.open_pair, _notice(state, "clarify_slot")
    if frame is None:
        return None
    was_open = pair is not None and pair.act.key == "clarify_slot" and pair.frame == frame.id
    if notice is None and not (was_open and pair is not None):
        return None
    options = notice.options if notice is not None else pair.act.options if pair else ()
    value = notice.value if notice is not None else pair.act.given["value"] if pair else None
    act = Act(
        name=ActName.CLARIFY,
        task=frame.task,
        frame=frame.id,
        key="clarify_slot",
        options=options,
        values={str(name): value for name in options},
        given={"value": value},
        tries=pair.tries if was_open and pair is not None else 0,
        reason="it fits more than one slot",
    )
    return Question(act=act)


def _uncertain(bot: BotDefinition, state: DialogState) -> Question | None:
    """Ask about a value that is not to be taken without a word."""
    frame = _active(state)
    if frame is None:
        return None
    for name, cell in frame.slots.items():
        if not cell.has_value or cell.plan not in ("explicit", "choice"):
            continue
        slot = bot.tasks[frame.task].slots.get(name)
        is_choice = cell.plan == "choice" and bool(cell.alternatives)
        options = (cell.value, *(part.value for part in cell.alternatives[:2]))
        act = Act(
            name=ActName.CLARIFY if is_choice else ActName.CONFIRM,
            task=frame.task,
            frame=frame.id,
            slot=name,
            values={} if is_choice else {name: cell.value},
            options=options if is_choice else (),
            tries=_tries(state, frame, name),
            source=str(slot.source) if slot is not None else "",
            reason="expected cost",
        )
        return Question(act=act)
    return None


def _change_what(bot: BotDefinition, state: DialogState) -> Question | None:
    del bot
    frame = _active(state)
    if frame is None:
        return None
    notice = _notice(state, "change_what")
    pair = state.open_pair
    was_open = pair is not None and pair.act.key == "change_what" and pair.frame == frame.id
    if notice is None and not was_open:
        return None
    options = notice.options if notice is not None else (pair.act.options if pair else ())
    act = Act(
        name=ActName.REQUEST,
        task=frame.task,
        frame=frame.id,
        key="change_what",
        options=options,
        tries=pair.tries if was_open and pair is not None else 0,
        reason="the summary was refused",
    )
    return Question(act=act)


def _next_slot(bot: BotDefinition, state: DialogState) -> Question | None:
    frame = _active(state)
    if frame is None or frame.program != "do":
        return None
    waiting = unasked(bot, state, frame)
    if not waiting:
        return None
    slot = waiting[0]
    act = Act(
        name=ActName.REQUEST,
        task=frame.task,
        frame=frame.id,
        slot=slot.name,
        key=_question_key(bot, frame, slot, _tries(state, frame, slot.name)),
        options=options_of(slot),
        tries=_tries(state, frame, slot.name),
        source=str(slot.source),
        reason="next slot",
    )
    return Question(act=act)


def options_of(slot: SlotDefinition) -> tuple[object, ...]:
    """Return the values that buttons may offer for a slot, none where there are too many."""
    if slot.type.name == "bool":
        return (True, False)
    values = tuple(getattr(slot.type, "values", ()))
    return values if 0 < len(values) <= _MAX_OPTIONS else ()


def _question_key(bot: BotDefinition, frame: TaskFrame, slot: SlotDefinition, tries: int) -> str:
    place = f"slot:{frame.task}:{slot.name}"
    if tries and slot.reask is not None:
        return f"{place}:reask"
    if tries and f"reask.{slot.name}" in bot.say.texts:
        return f"say:reask.{slot.name}"
    if slot.ask is not None:
        return f"{place}:ask"
    if f"ask.{slot.name}" in bot.say.texts:
        return f"say:ask.{slot.name}"
    return ""


def _tries(state: DialogState, frame: TaskFrame, slot: str) -> int:
    for pair in reversed(state.pairs):
        if pair.frame == frame.id and pair.slot == slot:
            return pair.tries
    return 0


def _offer(bot: BotDefinition, state: DialogState) -> Question | None:
    frame = _active(state)
    task = bot.tasks[frame.task] if frame is not None else None
    if frame is None or task is None or frame.search is None or is_chosen(bot, frame):
        return None
    if frame.program != "do":
        return None
    search = frame.search
    source = str(task.offer.source if task.offer is not None else task.source)
    count = Act(
        name=ActName.INFORM_COUNT,
        task=frame.task,
        frame=frame.id,
        values={},
        given={"count": len(search.rows)},
        options=search.relaxed,
        key="none_relaxed" if search.relaxed else "count" if search.rows else "none",
        source=source,
        reason="search",
    )
    if not search.rows:
        act = Act(
            name=ActName.REQUEST,
            task=frame.task,
            frame=frame.id,
            key="change_constraint",
            options=tuple(n for n, c in frame.slots.items() if c.has_value),
            tries=_tries(state, frame, ""),
            source=source,
            reason="nothing was found",
        )
        return Question(act=act, before=(count,))
    pair = state.open_pair
    was_put = pair is not None and pair.kind is PairKind.OFFER and pair.frame == frame.id
    act = Act(
        name=ActName.OFFER,
        task=frame.task,
        frame=frame.id,
        table=search.table,
        entities=search.shown,
        tries=pair.tries if was_put and pair is not None else 0,
        source=source,
        reason="search",
    )
    is_news = not was_put and (len(search.rows) > len(search.shown) or search.relaxed)
    return Question(act=act, before=(count,) if is_news and search.shown == search.seen else ())


def _summary(bot: BotDefinition, state: DialogState) -> Question | None:
    frame = _active(state)
    if frame is None or unasked(bot, state, frame):
        return None
    values = to_confirm(bot, state, frame)
    if values is None:
        return None
    pair = state.open_pair
    was_put = pair is not None and pair.kind is PairKind.CHECK and pair.frame == frame.id
    task = bot.tasks[frame.task]
    act = Act(
        name=ActName.CONFIRM,
        task=frame.task,
        frame=frame.id,
        values=values,
        key="" if values else "confirm_task",
        tries=pair.tries if was_put and pair is not None else 0,
        source=str(task.source),
        reason="before a write",
    )
    return Question(act=act)


def _step_question(bot: BotDefinition, state: DialogState) -> Question | None:
    frame = _active(state)
    at = next_instruction(bot, frame) if frame is not None else None
    if frame is None or at is None or at.op is not Op.ASK:
        return None
    pair = state.open_pair
    was_put = pair is not None and pair.kind is PairKind.STEP and pair.frame == frame.id
    act = Act(
        name=ActName.CONFIRM,
        task=frame.task,
        frame=frame.id,
        key=f"task:{frame.task}:{frame.program}:{frame.step}:ask",
        given={"result": frame.result},
        tries=pair.tries if was_put and pair is not None else 0,
        source=str(at.step.source),
        reason="a question of the task",
    )
    return Question(act=act)


def _resume(bot: BotDefinition, state: DialogState) -> Question | None:
    frame = state.top
    if frame is None or frame.status is not FrameStatus.SUSPENDED:
        return None
    pair = state.open_pair
    was_put = pair is not None and pair.kind is PairKind.RESUME
    act = Act(
        name=ActName.OFFER_INTENT,
        task=frame.task,
        frame=frame.id,
        key="resume",
        tries=pair.tries if was_put and pair is not None else 0,
        source=str(bot.tasks[frame.task].source),
        reason="resume: ask",
    )
    return Question(act=act)


def _next_task(bot: BotDefinition, state: DialogState) -> Question | None:
    notice = _notice(state, "next")
    if notice is None or state.frames:
        return None
    name = str(notice.options[0])
    source = str(bot.tasks[name].source)
    act = Act(name=ActName.OFFER_INTENT, task=name, key="next", source=source, reason="next")
    return Question(act=act)


def _anything_else(bot: BotDefinition, state: DialogState) -> Question | None:
    if state.frames or _notice(state, "idle") is not None:
        return None
    pair = state.open_pair
    was_put = pair is not None and pair.kind is PairKind.CLOSING
    is_first = not state.closed and not was_put
    act = Act(
        name=ActName.REQ_MORE,
        key="how_can_i_help" if is_first or _notice(state, "what_else") else "anything_else",
        options=tuple(bot.tasks)[:_MAX_OPTIONS] if is_first else (),
        tries=pair.tries if was_put and pair is not None else 0,
        reason="between tasks",
    )
    return Question(act=act)


_RULES: Final[tuple[tuple[str, Rule], ...]] = (
    ("offer_handoff", _handoff_offer),
    ("undo", _undo),
    ("clarify_task", _which_task),
    ("clarify_slot", _which_slot),
    ("pending_confirmation", _uncertain),
    ("change_what", _change_what),
    ("next_slot", _next_slot),
    ("offer", _offer),
    ("confirm_before_write", _summary),
    ("step_question", _step_question),
    ("resume", _resume),
    ("next_task", _next_task),
    ("anything_else", _anything_else),
)
