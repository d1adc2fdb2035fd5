"""Goals drawn from a bot file: tasks, values that its tables and checks allow, ways of behaving."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from dialog.bot.definition import (
    BotDefinition,
    CallDefinition,
    CheckDefinition,
    Fill,
    Keep,
    SlotDefinition,
    TaskDefinition,
)
from dialog.bot.expressions import Scope, Unknown
from dialog.errors import SimulationError
from dialog.simulation.dice import Dice
from dialog.simulation.goal import Goal, GoalTask, Impossibility, Persona
from dialog.simulation.habits import with_habits
from dialog.simulation.tool_behaviour import fresh_bot
from dialog.simulation.values import draw_value, is_allowed
from dialog.slot_types.pattern import PatternType
from dialog.task.commands import JSON
from tools.call_context import CallContext
from tools.errors import ToolCallError

_ATTEMPTS: Final = 80
_CHAIN: Final = 0.7  # how often a task follows on the one it takes its values from
_SECOND: Final = 0.25  # how often something else is wanted afterwards
_OPTIONAL: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalMaker:
    """Draws goals for one bot.

    Its tools are called, those that write as well, so that a goal is possible where its persona is
    to reach it; each draw begins with tools whose state is fresh.
    """

    bot: BotDefinition
    now: datetime
    timezone: str = "UTC"
    headings: tuple[str, ...] = ()

    def draw(self, persona: Persona, rng: Dice) -> Goal:
        """Return a goal for a persona.

        Raises:
            SimulationError: nothing that the checks allow was found in many attempts.
        """
        for _ in range(_ATTEMPTS):
            fresh = replace(self, bot=fresh_bot(self.bot))
            if (goal := fresh.attempt(persona, rng)) is not None:
                return with_habits(self.bot, goal, rng, self.headings)
        raise SimulationError(
            f"no goal for a user who is {persona} was found in {_ATTEMPTS} attempts: the checks of"
            f" bot {self.bot.name!r} refuse all that its slots allow; give the slots bounds"
            " ('min', 'max', 'values') that the checks can meet"
        )

    def attempt(self, persona: Persona, rng: Dice) -> Goal | None:
        """Return a goal, None where what was drawn cannot be; changes the state of the tools."""
        goal = Goal(
            tasks=(),
            persona=persona,
            facts=self._facts(rng, persona),
            locale=self.bot.locales.default,
            now=self.now.isoformat(),
            timezone=self.timezone,
        )
        if persona is Persona.IMPOSSIBLE:
            return self._impossible(goal, rng)
        for name in self._names(rng):
            task = self._task(goal, name, rng)
            if task is None:
                return None
            goal = replace(goal, tasks=(*goal.tasks, task))
            self._act_out(goal, task)
        return goal

    def _act_out(self, goal: Goal, wanted: GoalTask) -> None:
        """Do what the task will do, so that what follows is drawn for the world as it is then."""
        scope = self._scope(goal, wanted.values)
        for step in self.bot.tasks[wanted.task].do:
            if step.call is None or step.condition is not None:
                continue
            tool = self.bot.tools[step.call.function]
            arguments = _arguments(step.call, scope, tool.schema.get("properties", {}))
            with suppress(ToolCallError):
                tool.call(arguments or {}, CallContext())

    def _names(self, rng: Dice) -> list[str]:
        names = list(self.bot.tasks)
        first = rng.choice(names)
        chain = [first]
        sources = _sources(self.bot.tasks[first])
        if sources and rng.random() < _CHAIN:
            chain = [sources[0], first]
        elif self.bot.tasks[first].next and rng.random() < _CHAIN:
            chain = [first, self.bot.tasks[first].next[0]]
        others = [n for n in names if n not in chain and not _sources(self.bot.tasks[n])]
        if others and rng.random() < _SECOND:
            chain.append(rng.choice(others))
        return chain

    def _facts(self, rng: Dice, persona: Persona) -> dict[str, JSON]:
        del persona
        scope = Scope(now=self.now, locale=self.bot.locales.default)
        return {
            name: True if slot.type.name == "bool" else draw_value(self.bot, slot, scope, rng)
            for name, slot in self.bot.user.items()
        }

    def _task(self, goal: Goal, name: str, rng: Dice) -> GoalTask | None:
        """Return what is wanted of a task, None where the draw is not possible."""
        task = self.bot.tasks[name]
        if task.needs is not None and not task.needs.holds(self._scope(goal, {})):
            return None
        known = self._known(goal, task)
        found = self._searched(task, known, rng)
        if found is None:
            return None
        values, target = found
        drawn = self._filled(goal, task, {**known, **values}, rng)
        if drawn is None:
            return None
        wanted = GoalTask(task=name, values=drawn, target=target, says_yes=rng.random() < 0.5)
        return wanted if self._passes(goal, task, drawn) else None

    def _scope(self, goal: Goal, values: Mapping[str, JSON]) -> Scope:
        facts = {**goal.facts, "user": dict(goal.facts)}
        return Scope(values={**facts, **values}, now=self.now, locale=goal.locale)

    def _known(self, goal: Goal, task: TaskDefinition) -> dict[str, JSON]:
        """Return what earlier tasks of the goal settle for this one."""
        found: dict[str, JSON] = {}
        for earlier in goal.tasks:
            definition = self.bot.tasks[earlier.task]
            for name, slot in task.slots.items():
                source = slot.carried_from
                if source is not None and source.task == earlier.task:
                    if source.slot in (definition.into, task.name) and earlier.target is not None:
                        found[name] = earlier.target
                    elif source.slot in earlier.values:
                        found[name] = earlier.values[source.slot]
                elif slot.keep is not Keep.TASK and name in earlier.values:
                    found[name] = earlier.values[name]
        return found

    def _searched(
        self, task: TaskDefinition, known: Mapping[str, JSON], rng: Dice
    ) -> tuple[dict[str, JSON], JSON] | None:
        """Return constraints that a drawn row meets, and the row's key."""
        if task.find is None or not task.find_is_table:
            return {}, None
        table = self.bot.tables[task.find.function]
        key = rng.choice(list(table.rows))
        row = table.rows[key]
        values: dict[str, JSON] = {}
        for column, slot in _columns(task, task.find):
            value = row.get(column)
            if slot.name in known:
                if known[slot.name] != value:
                    return None
                continue
            if value is None or not (slot.required or rng.random() < _OPTIONAL):
                continue
            values[slot.name] = [value] if slot.many and not isinstance(value, list) else value
        return values, key

    def _filled(
        self, goal: Goal, task: TaskDefinition, values: Mapping[str, JSON], rng: Dice
    ) -> dict[str, JSON] | None:
        """Return values for all slots that the user will be asked for, None if one has none."""
        found: dict[str, JSON] = {}
        for name, slot in task.slots.items():
            scope = self._scope(goal, {**values, **found})
            if slot.fill in (Fill.TOOL, Fill.NEVER) or name == task.into:
                continue
            if slot.when is not None and not slot.when.holds(scope):
                continue
            if name in values:
                if not is_allowed(slot, values[name], scope):
                    return None
                found[name] = values[name]
                continue
            is_searched = task.find is not None and not slot.required
            if not slot.required and (is_searched or rng.random() >= _OPTIONAL):
                continue
            value = draw_value(self.bot, slot, scope, rng)
            if value is None:
                return None
            found[name] = value
        return found

    def _passes(self, goal: Goal, task: TaskDefinition, values: Mapping[str, JSON]) -> bool:
        scope = self._scope(goal, values)
        return all(self._check(check, scope) for check in task.check)

    def _check(self, check: CheckDefinition, scope: Scope) -> bool:
        if check.call is None:
            return check.condition is None or check.condition.holds(scope)
        tool = self.bot.tools[check.call.function]
        arguments = _arguments(check.call, scope, tool.schema.get("properties", {}))
        if arguments is None:
            return False
        try:
            return bool(tool.call(arguments, CallContext()))
        except ToolCallError:
            return False

    def _impossible(self, goal: Goal, rng: Dice) -> Goal | None:
        """Return the goal with one task that cannot be had, None where what was drawn can be."""
        kinds = [
            (task, kind)
            for task in self.bot.tasks.values()
            for kind, may_be in (
                (Impossibility.NO_ROW, task.find is not None and task.find_is_table),
                (Impossibility.CHECK, bool(task.check)),
                (Impossibility.NEEDS, self._without(goal, task) is not None),
            )
            if may_be
        ]
        if not kinds:
            return None
        task, kind = rng.choice(kinds)
        wanted: GoalTask | None = None
        match kind:
            case Impossibility.NEEDS:
                goal = replace(goal, facts=self._without(goal, task) or {})
                wanted = GoalTask(task=task.name, impossible=Impossibility.NEEDS)
            case Impossibility.NO_ROW:
                wanted = self._without_row(goal, task, rng)
            case Impossibility.CHECK:
                found = self._filled(goal, task, _varied_codes(task, rng), rng)
                if found is not None and not self._passes(goal, task, found):
                    wanted = GoalTask(task=task.name, values=found, impossible=Impossibility.CHECK)
        return replace(goal, tasks=(wanted,)) if wanted is not None else None

    def _without(self, goal: Goal, task: TaskDefinition) -> dict[str, JSON] | None:
        """Return facts of a user who lacks what a task needs, None if it needs no plain fact."""
        if task.needs is None:
            return None
        lacking = {
            name: False if name in task.needs.names and value is True else value
            for name, value in goal.facts.items()
        }
        scope = self._scope(replace(goal, facts=lacking), {})
        return None if task.needs.holds(scope) else lacking

    def _without_row(self, goal: Goal, task: TaskDefinition, rng: Dice) -> GoalTask | None:
        assert task.find is not None
        found = self._filled(goal, task, {}, rng)
        if found is None:
            return None
        allowed = {
            column: [found[slot.name]]
            for column, slot in _columns(task, task.find)
            if slot.name in found
        }
        if self.bot.tables[task.find.function].select(allowed):
            return None
        return GoalTask(task=task.name, values=found, impossible=Impossibility.NO_ROW)


def _sources(task: TaskDefinition) -> list[str]:
    """Return the tasks that the task takes values from."""
    found = [s.carried_from.task for s in task.slots.values() if s.carried_from is not None]
    return list(dict.fromkeys(found))


def _columns(task: TaskDefinition, find: CallDefinition) -> list[tuple[str, SlotDefinition]]:
    """Return the (column, slot) pairs of a search whose arguments are plain slots."""
    pairs = find.arguments if find.arguments is not None else ()
    return [
        (column, task.slots[argument.text.strip()])
        for column, argument in pairs
        if argument.text.strip() in task.slots
    ]


def _arguments(
    call: CallDefinition, scope: Scope, parameters: Sequence[str] | Mapping[str, object]
) -> dict[str, JSON] | None:
    if call.arguments is None:
        values = {name: scope.values.get(name) for name in parameters}
    else:
        values = {}
        for name, argument in call.arguments:
            value = argument.evaluate(scope)
            if isinstance(value, Unknown):
                return None
            values[name] = value
    return {name: value for name, value in values.items() if value is not None}


def _varied_codes(task: TaskDefinition, rng: Dice) -> dict[str, JSON]:
    """Return codes of the right form that nobody was given: an example with other digits."""
    found: dict[str, JSON] = {}
    for name, slot in task.slots.items():
        if isinstance(slot.type, PatternType) and (slot.type.examples or slot.examples):
            code = rng.choice(slot.type.examples or slot.examples)
            found[name] = "".join(rng.choice("0123456789") if c.isdigit() else c for c in code)
    return found
