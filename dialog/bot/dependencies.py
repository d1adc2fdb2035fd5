"""What depends on what in a task: the graph by which a correction invalidates, and no more.

A slot depends on the slots that its `when`, `valid`, bounds, `default` and `options_from` mention;
`check:0`, `find`, `needs` and the steps of `do` depend on the slots that they use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dialog.bot.definition import (
    BotDefinition,
    CallDefinition,
    SlotDefinition,
    StepDefinition,
    TaskDefinition,
)
from dialog.bot.expressions import Expression
from dialog.bot.tool_module import parameters_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyGraph:
    """The nodes of one task with what each uses directly; only names of the task's slots count."""

    uses: Mapping[str, frozenset[str]]

    def dependents(self, slot: str) -> frozenset[str]:
        """Return all nodes that depend on a slot, directly or not."""
        found: set[str] = set()
        waiting = [slot]
        while waiting:
            name = waiting.pop()
            new = {node for node, used in self.uses.items() if name in used} - found
            found |= new
            waiting += new
        return frozenset(found - {slot})

    def cycle(self) -> tuple[str, ...]:
        """Return slots that wait for each other in a circle, () if there are none."""
        for start in self.uses:
            path = self._path_back(start)
            if path:
                return path
        return ()

    def _path_back(self, start: str) -> tuple[str, ...]:
        waiting: list[tuple[str, tuple[str, ...]]] = [(start, (start,))]
        seen = {start}
        while waiting:
            node, path = waiting.pop()
            for used in sorted(self.uses.get(node, frozenset())):
                if used == start:
                    return (*path, start)
                if used not in seen:
                    seen.add(used)
                    waiting.append((used, (*path, used)))
        return ()


def names_of_call(bot: BotDefinition, call: CallDefinition) -> frozenset[str]:
    """Return the names that a call uses, those that it takes by the names of its parameters too."""
    if call.arguments is not None:
        return frozenset().union(*(expression.names for _, expression in call.arguments))
    tool = bot.tools.get(call.function)
    return frozenset(parameters_of(tool)) if tool else frozenset()


def waits_of(slot: SlotDefinition) -> Iterator[Expression]:
    """Yield the expressions that must have a value before the slot can be asked."""
    yield from (e for e in (slot.when, slot.default) if e is not None)


def uses_of(bot: BotDefinition, slot: SlotDefinition) -> frozenset[str]:
    """Return the names that a slot's own keys mention, its own name not counted."""
    expressions = [
        *waits_of(slot),
        *(rule.condition for rule in slot.valid),
        *(e for e in (slot.min, slot.max, slot.after, slot.before) if e is not None),
    ]
    names = frozenset().union(*(expression.names for expression in expressions))
    if slot.options_from is not None:
        names |= names_of_call(bot, slot.options_from)
    return names - {slot.name, "value"}


def dependencies(bot: BotDefinition, task: TaskDefinition) -> DependencyGraph:
    """Return the graph of a task."""
    uses = {name: uses_of(bot, slot) for name, slot in task.slots.items()}
    if task.find is not None:
        uses["find"] = names_of_call(bot, task.find)
        if task.into:
            uses[task.into] = uses.get(task.into, frozenset()) | {"find"}
    if task.needs is not None:
        uses["needs"] = task.needs.names
    for i, check in enumerate(task.check):
        names = check.condition.names if check.condition is not None else frozenset()
        if check.call is not None:
            names |= names_of_call(bot, check.call)
        uses[f"check:{i}"] = names
    for place, step in all_steps(task.do):
        uses[f"do:{place}"] = names_of_step(bot, step)
    slots = set(task.slots) | {"find"}
    return DependencyGraph(uses={node: used & slots for node, used in uses.items()})


def names_of_step(bot: BotDefinition, step: StepDefinition) -> frozenset[str]:
    """Return the names that a step's condition, values and call use."""
    names = step.condition.names if step.condition is not None else frozenset()
    names |= frozenset().union(*(expression.names for _, expression in step.set))
    return names | (names_of_call(bot, step.call) if step.call is not None else frozenset())


def all_steps(
    steps: tuple[StepDefinition, ...], place: str = ""
) -> Iterator[tuple[str, StepDefinition]]:
    """Yield steps with their places: "0", "1.yes.0"."""
    for i, step in enumerate(steps):
        here = f"{place}{i}"
        yield here, step
        yield from all_steps(step.yes, f"{here}.yes.")
        yield from all_steps(step.no, f"{here}.no.")
