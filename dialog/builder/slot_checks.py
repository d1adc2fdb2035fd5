"""Checks of slots: can each be asked, filled, and given a value that is allowed?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from dialog.bot.definition import BotDefinition, Fill, SlotDefinition, TaskDefinition
from dialog.bot.dependencies import DependencyGraph, all_steps, dependencies, waits_of
from dialog.bot.expressions import Expression, Scope, Unknown
from dialog.bot.problems import Problem
from dialog.builder.findings import error, warning
from dialog.slot_types.base import Bounds, JsonValue, TextContext

_NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)  # any day: bounds are compared with each other
_SCOPE = Scope(now=_NOW)


def slot_findings(bot: BotDefinition) -> Iterator[Problem]:
    """Yield what is wrong with slots."""
    for task in bot.tasks.values():
        yield from _circles(task)
        for slot in task.slots.values():
            if slot.fill in {Fill.TOOL, Fill.NEVER}:
                yield from _unfilled(bot, task, slot)
            yield from _shadowed(bot, slot)
            yield from _bounds(slot)
            yield from _cancelled_use(task, slot)
    yield from _unused(bot)


def _circles(task: TaskDefinition) -> Iterator[Problem]:
    uses = {}
    for name, slot in task.slots.items():
        names = frozenset().union(*(e.names for e in waits_of(slot)))
        uses[name] = names & set(task.slots)
    circle = DependencyGraph(uses=uses).cycle()
    if circle:
        slot = task.slots[circle[0]]
        yield error(
            "unaskable", slot.source,
            f"{task.name}: {' waits for '.join(circle)}, so that none of them is ever asked",
            remedy="take one of the names out of when: or default:",
        )  # fmt: skip


def _unfilled(bot: BotDefinition, task: TaskDefinition, slot: SlotDefinition) -> Iterator[Problem]:
    is_set = any(slot.name in dict(step.set) for _, step in all_steps(task.do))
    is_given = slot.default or slot.carried_from or slot.name == task.into or slot.options_from
    if is_set or is_given:
        return
    uses = dependencies(bot, task).uses
    users = [node for node, used in uses.items() if slot.name in used]
    if slot.required or users:
        where = f"; {', '.join(users)} waits for it" if users else ""
        yield error(
            "unaskable", slot.source,
            f"{task.name}.{slot.name} has fill: {slot.fill} and nothing gives it a value{where}",
            remedy="give it a default, a from, a set in do:, or let the user fill it",
            example=f"{slot.name}: {{type: {slot.type.name}, fill: when_asked}}",
        )  # fmt: skip


def _shadowed(bot: BotDefinition, slot: SlotDefinition) -> Iterator[Problem]:
    for key, own in (("ask", slot.ask), ("reask", slot.reask)):
        said = bot.say.texts.get(f"{key}.{slot.name}")
        if own is not None and said is not None:
            yield warning(
                "unused", own.source,
                f"say: words {key}.{slot.name} at {said.source}, and {slot.task}.{slot.name} does"
                " here; only one of the two is said",
                remedy="keep one",
            )  # fmt: skip
    if slot.reask is not None and slot.max_tries == 1:
        yield warning(
            "unused", slot.reask.source,
            f"{slot.name} is asked once (max_tries: 1), so that its reask is never said",
            remedy="remove the reask, or ask more often",
        )  # fmt: skip


def _constant(expression: Expression | None) -> JsonValue:
    """Return the value of a bound that depends on nothing but the present day."""
    if expression is None or expression.names:
        return None
    value = expression.evaluate(_SCOPE)
    return None if isinstance(value, Unknown) else value


def _bounds(slot: SlotDefinition) -> Iterator[Problem]:
    bounds = Bounds(
        least=_constant(slot.min),
        most=_constant(slot.max),
        after=_constant(slot.after),
        before=_constant(slot.before),
    )
    context = TextContext(now=_NOW, bounds=bounds)
    for low, high in (("min", "max"), ("after", "before")):
        first, last = getattr(slot, low), getattr(slot, high)
        lower, upper = _constant(first), _constant(last)
        if lower is None or upper is None:
            continue
        crossed = replace(context, bounds=replace(bounds, least=None, after=None))
        _, violation = slot.type.canonical(lower, crossed)
        if violation is not None:
            yield error(
                "contradiction", slot.source,
                f"no value of {slot.name} is allowed: {low} {first.text} at {first.source} and"
                f" {high} {last.text} at {last.source}",
                remedy="swap the two, or remove one",
            )  # fmt: skip
            return
    value = _constant(slot.default)
    if value is None:
        return
    for one in value if isinstance(value, list) else [value]:
        try:
            _, violation = slot.type.canonical(one, context)
        except ValueError as wrong:
            text = str(wrong)
        else:
            text = f"it breaks its bound ({violation.kind})" if violation else ""
        if text and slot.default is not None:
            yield error(
                "contradiction", slot.default.source,
                f"the default of {slot.name} is not allowed: {text}",
                remedy="mend the one or the other",
            )  # fmt: skip


def _cancelled_use(task: TaskDefinition, slot: SlotDefinition) -> Iterator[Problem]:
    """Warn of a required slot that is asked only under a condition on a slot that comes later."""
    if slot.when is None:
        return
    names = list(task.slots)
    later = [n for n in slot.when.names if n in names and names.index(n) > names.index(slot.name)]
    optional = [n for n in later if not task.slots[n].required and task.slots[n].default is None]
    if optional and task.order == "fixed":
        yield warning(
            "unaskable", slot.when.source,
            f"{slot.name} is asked once {', '.join(optional)} is known, which comes later and is"
            " optional: it may never be asked",
            remedy=f"put {optional[0]} before {slot.name}, or require it",
        )  # fmt: skip


def _unused(bot: BotDefinition) -> Iterator[Problem]:
    used_shared = {s.name for t in bot.tasks.values() for s in t.slots.values() if s.is_shared}
    for name, slot in bot.slots.items():
        if name not in used_shared:
            yield warning(
                "unused", slot.source, f"no task uses the shared slot {name!r}",
                remedy="take it up in a task, or remove it", example=f"slots: {{{name}: required}}",
            )  # fmt: skip
    slots = [s for t in bot.tasks.values() for s in t.slots.values()]
    searched = {t.find.function for t in bot.tasks.values() if t.find is not None}
    types = {s.type.name for s in (*slots, *bot.slots.values(), *bot.user.values())}
    for name, table in bot.tables.items():
        if name not in searched and f"entity:{name}" not in types:
            yield warning(
                "unused", table.source, f"nothing uses the table {name!r}",
                remedy="search it by find:, give a slot its type, or remove it",
            )  # fmt: skip
    never_asked = {s.name for s in slots if s.fill in {Fill.TOOL, Fill.NEVER}}
    asked = {s.name for s in slots if s.fill not in {Fill.TOOL, Fill.NEVER}}
    for key, texts in bot.say.texts.items():
        act, _, name = key.partition(".")
        if act in {"ask", "reask"} and name in never_asked - asked:
            yield warning(
                "unused", texts.source, f"{name!r} is never asked, so that {key!r} is never said",
                remedy="remove the text, or let the slot be filled by the user",
            )  # fmt: skip
