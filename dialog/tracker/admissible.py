"""What a state admits: the situation of a turn, made from bot, state and words.

The same for all trackers, so that they can be compared; no value outside of it can be understood.
"""

import re
from collections.abc import Iterable, Mapping

from dialog.bot.definition import BotDefinition, Fill, SlotDefinition, TaskDefinition
from dialog.slot_types.base import JsonValue
from dialog.task.scope import text_context
from dialog.task.state import Cell, DialogState, FrameStatus, Pair, PairKind, Status, TaskFrame
from dialog.tracker.situation import (
    Offered,
    OpenQuestion,
    Place,
    Situation,
    SlotView,
    TaskView,
)
from dialog.tracker.slot_words import slot_role, slot_words
from dialog.tracker.words import split

_TIMED = frozenset({"date", "time", "datetime"})
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


def situation_of(bot: BotDefinition, state: DialogState, text: str) -> Situation:
    """Return the situation of a message; the state's moment and locale are those of the turn."""
    frames = {frame.task: frame for frame in state.frames}
    question = _question(bot, state)
    offered = _offered(bot, state)
    return Situation(
        text=text,
        locale=state.locale,
        system=state.last_text,
        earlier=(state.last_message,) if state.last_message else (),
        slots=tuple(_slots(bot, state, frames, question)),
        tasks=tuple(_task(task, frames.get(name), state) for name, task in bot.tasks.items()),
        question=question,
        echoed=_echoed(state.top),
        offered=offered,
        can_show_more=_can_show_more(state),
        attributes=_attributes(bot, state, offered),
        entities={o.name: o.key for o in offered},
        has_knowledge=bool(bot.knowledge),
        terms=(*bot.glossary,),
        may_chat=bot.behaviour.chitchat != "off",
        locales=bot.locales.all,
        has_spoken=bool(state.last_text),
    )


def _task(task: TaskDefinition, frame: TaskFrame | None, state: DialogState) -> TaskView:
    return TaskView(
        name=task.name,
        phrases=tuple(
            dict.fromkeys(
                phrase
                for raw in (task.name.replace("_", " "), task.about, *task.examples)
                if (phrase := " ".join(_PLACEHOLDER.sub(" ", raw).split()))
            )
        ),
        not_phrases=task.not_examples,
        is_open=frame is not None,
        is_current=frame is not None and frame is state.top,
        is_suspended=frame is not None and frame.status is FrameStatus.SUSPENDED,
    )


def _slots(
    bot: BotDefinition,
    state: DialogState,
    frames: Mapping[str, TaskFrame],
    question: OpenQuestion,
) -> Iterable[SlotView]:
    for task in bot.tasks.values():
        frame = frames.get(task.name)
        for order, slot in enumerate(task.slots.values()):
            if slot.fill in (Fill.NEVER, Fill.TOOL):
                continue
            yield _slot(bot, state, task, frame, slot, order, question)


def _slot(
    bot: BotDefinition,
    state: DialogState,
    task: TaskDefinition,
    frame: TaskFrame | None,
    slot: SlotDefinition,
    order: int,
    question: OpenQuestion,
) -> SlotView:
    cell = frame.cell(slot.name) if frame is not None else Cell()
    is_asked = (
        frame is not None
        and question.kind == PairKind.QUESTION
        and question.slot == slot.name
        and question.task == task.name
    )
    kind = slot.type.name.split(":", maxsplit=1)[0]
    return SlotView(
        task=task.name,
        name=slot.name,
        type=slot.type,
        context=text_context(bot, state, frame, slot),
        words=slot_words(slot.name, slot.about),
        about=slot.about,
        role=slot_role(slot.name, slot.about, kind),
        edge=_edge(task, slot),
        order=order,
        value=cell.value if cell.has_value else None,
        has_value=cell.has_value,
        is_answered=cell.is_answered,
        is_asked=is_asked,
        is_many=slot.many,
        is_required=slot.required,
        is_current=frame is not None and frame is state.top,
        is_open=frame is not None,
        is_free=slot.fill is Fill.ANYTIME or cell.is_answered,
        is_constraint=task.find is not None and slot.name != task.into,
        is_sensitive=slot.sensitive,
    )


def _edge(task: TaskDefinition, slot: SlotDefinition) -> str:
    """Return which end of a period a slot is, "" for none.

    Of two days or times the bounds tell which is first (`after: arrival`), else the file's order.
    """
    others = [s for s in task.slots.values() if s.type.name == slot.type.name and s is not slot]
    if slot.type.name not in _TIMED or len(others) != 1:
        return ""
    other = others[0]
    if _is_behind(slot, other):
        return "end"
    if _is_behind(other, slot):
        return "start"
    names = list(task.slots)
    return "start" if names.index(slot.name) < names.index(other.name) else "end"


def _is_behind(slot: SlotDefinition, other: SlotDefinition) -> bool:
    below = [bound for bound in (slot.after, slot.min) if bound is not None]
    above = [bound for bound in (other.before, other.max) if bound is not None]
    return any(other.name in b.names for b in below) or any(slot.name in b.names for b in above)


def _question(bot: BotDefinition, state: DialogState) -> OpenQuestion:
    pair = state.open_pair
    if pair is None:
        return OpenQuestion()
    frame = state.frame(pair.frame)
    slot = None
    if frame is not None and pair.slot:
        slot = bot.tasks[frame.task].slots.get(pair.slot)
    options = pair.act.options
    return OpenQuestion(
        kind=pair.kind.value,
        task=pair.act.task if frame is None else frame.task,
        slot=pair.slot,
        options=options,
        option_words=tuple(_said(option, pair, slot, bot, state.locale) for option in options),
        is_optional=slot is not None and not slot.required,
    )


def _said(
    option: JsonValue, pair: Pair, slot: SlotDefinition | None, bot: BotDefinition, locale: str
) -> tuple[str, ...]:
    """Return what an option of the open question is called: a value, a task, or a slot."""
    if slot is not None:
        return (slot.type.say(option, locale),)
    if pair.act.key == "clarify_slot":
        named = bot.tasks[pair.act.task].slots[str(option)]
        return slot_words(named.name, named.about)
    task = bot.tasks.get(str(option))
    return (str(option) if task is None else task.about or " ".join(split(task.name)),)


def _echoed(frame: TaskFrame | None) -> tuple[Place, ...]:
    if frame is None:
        return ()
    return tuple(
        (frame.task, name) for name, cell in frame.slots.items() if cell.status is Status.PENDING
    )


def _offered(bot: BotDefinition, state: DialogState) -> tuple[Offered, ...]:
    top = state.top
    if top is None or top.search is None or top.search.table not in bot.tables:
        return ()
    table = bot.tables[top.search.table]
    return tuple(
        Offered(n=n, key=key, name=table.show_name(str(key)), row=table.get(str(key)) or {})
        for n, key in enumerate(top.search.shown, start=1)
    )


def _can_show_more(state: DialogState) -> bool:
    top = state.top
    return top is not None and top.search is not None and bool(top.search.rows)


def _attributes(
    bot: BotDefinition, state: DialogState, offered: tuple[Offered, ...]
) -> Mapping[str, tuple[str, ...]]:
    """Return what may be asked of the entity in focus, or of those that were shown."""
    name = state.focus[0] if state.focus is not None else ""
    if not name and offered and state.top is not None and state.top.search is not None:
        name = state.top.search.table
    table = bot.tables.get(name)
    if table is None:
        return {}
    return {
        column: tuple(dict.fromkeys([column.replace("_", " "), *split(column.replace("_", " "))]))
        for column in table.columns
        if column not in (table.key, table.show)
    }
