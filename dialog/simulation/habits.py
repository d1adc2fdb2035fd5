"""How a persona behaves: what it says wrong first, where it digresses, how long it stays."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from dialog.bot.data_folder import located
from dialog.bot.definition import BotDefinition, Fill, TaskDefinition
from dialog.bot.dependencies import dependencies
from dialog.bot.expressions import Scope
from dialog.simulation.dice import Dice
from dialog.simulation.goal import Correction, Digression, Goal, Persona
from dialog.simulation.values import draw_value
from dialog.simulation.words_drawn import CHITCHAT, UNAVAILABLE
from dialog.task.grounding import writes

_LATE: Final = 0.5
_PATIENCE: Final = (6, 14)


def with_habits(bot: BotDefinition, goal: Goal, rng: Dice, headings: tuple[str, ...]) -> Goal:
    """Return the goal with what its persona adds to it."""
    make = _HABITS.get(goal.persona)
    return goal if make is None else make(bot, goal, rng, headings)


def _corrects(bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    return replace(goal, corrections=_corrections(bot, goal, rng))


def _digresses(bot: BotDefinition, goal: Goal, rng: Dice, headings: tuple[str, ...]) -> Goal:
    return replace(goal, digressions=_digressions(bot, goal, rng, headings))


def _asks_back(_bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    return replace(goal, digressions=(Digression(turn=rng.randint(1, 3), kind="why"),))


def _wants_more(_bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    words = rng.choice(UNAVAILABLE.get(goal.locale, UNAVAILABLE["en"]))
    return replace(goal, digressions=(Digression(turn=0, kind="unavailable", text=words),))


def _breaks_off(_bot: BotDefinition, goal: Goal, _rng: Dice, _: tuple[str, ...]) -> Goal:
    return replace(goal, digressions=(Digression(turn=0, kind="fragment", text="I would like to"),))


def _loses_patience(_bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    return replace(goal, patience=rng.randint(*_PATIENCE))


def _switches(bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    return replace(goal, second_locale=rng.choice(bot.locales.also)) if bot.locales.also else goal


def _hesitates(bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    """Return the goal of somebody to whom a constraint of a search is all one, after all."""
    late = [replace(c, is_late=True) for c in _corrections(bot, goal, rng)]
    late = [c for c in late if bot.tasks[c.task].find is None]
    carried = {
        slot.carried_from.slot
        for task in bot.tasks.values()
        for slot in task.slots.values()
        if slot.carried_from is not None
    }
    loose = [
        (wanted.task, name)
        for wanted in goal.tasks
        for name in wanted.values
        if name in _constraints(bot.tasks[wanted.task]) - carried
    ]
    return replace(goal, corrections=tuple(late), indifferent=(rng.choice(loose),) if loose else ())


def _refuses(bot: BotDefinition, goal: Goal, rng: Dice, _: tuple[str, ...]) -> Goal:
    """Return the goal without what is optional and used by nothing; one answer needs a reason."""
    tasks = []
    for wanted in goal.tasks:
        task = bot.tasks[wanted.task]
        used = frozenset().union(*dependencies(bot, task).uses.values())
        kept = {n: v for n, v in wanted.values.items() if task.slots[n].required or n in used}
        tasks.append(replace(wanted, values=kept))
    asked = [
        (wanted.task, name)
        for wanted in tasks
        for name in wanted.values
        if (slot := bot.tasks[wanted.task].slots[name]).required
        and slot.default is None
        and slot.carried_from is None
        and name not in _constraints(bot.tasks[wanted.task])
    ]
    return replace(goal, tasks=tuple(tasks), refuses=(rng.choice(asked),) if asked else ())


def _constraints(task: TaskDefinition) -> frozenset[str]:
    """Return the slots that only narrow the task's search."""
    found = task.find.arguments or () if task.find is not None else ()
    return frozenset(name for _, argument in found for name in argument.names)


_HABITS: Final = {
    Persona.CORRECTS: _corrects,
    Persona.DIGRESSES: _digresses,
    Persona.ASKS_BACK: _asks_back,
    Persona.UNAVAILABLE: _wants_more,
    Persona.INCOMPLETE: _breaks_off,
    Persona.IMPATIENT: _loses_patience,
    Persona.SWITCHES: _switches,
    Persona.INDECISIVE: _hesitates,
    Persona.REFUSES: _refuses,
}


def _corrections(bot: BotDefinition, goal: Goal, rng: Dice) -> tuple[Correction, ...]:
    scope = Scope(
        values={**goal.facts, "user": dict(goal.facts)},
        now=datetime.fromisoformat(goal.now),
        locale=goal.locale,
    )
    candidates: list[Correction] = []
    for wanted in goal.tasks:
        task = bot.tasks[wanted.task]
        for name, value in wanted.values.items():
            slot = task.slots[name]
            if slot.fill is not Fill.ANYTIME or slot.carried_from is not None or slot.many:
                continue
            if name == list(wanted.values)[-1] and not writes(bot, task):
                continue  # the task would be done before the user can mend it
            inner = Scope(
                values={**scope.values, **wanted.values}, now=scope.now, locale=scope.locale
            )
            decoy = draw_value(bot, slot, inner, rng, other_than=value)
            if decoy is None or slot.type.name in ("regex", "bool"):
                continue
            is_late = task.find is None and rng.random() < _LATE
            candidates.append(Correction(task=task.name, slot=name, decoy=decoy, is_late=is_late))
    return (rng.choice(candidates),) if candidates else ()


def _digressions(
    bot: BotDefinition, goal: Goal, rng: Dice, headings: tuple[str, ...]
) -> tuple[Digression, ...]:
    kinds = ["repeat"]
    if headings:
        kinds += ["knowledge", "knowledge"]
    if bot.behaviour.chitchat != "off":
        kinds.append("chitchat")
    found: list[Digression] = []
    for turn in sorted(rng.sample(range(1, 6), rng.randint(1, 2))):
        kind = rng.choice(kinds)
        text = ""
        if kind == "knowledge":
            text = rng.choice(headings)
        elif kind == "chitchat":
            text = rng.choice(CHITCHAT.get(goal.locale, CHITCHAT["en"]))
        found.append(Digression(turn=turn, kind=kind, text=text))
    return tuple(found)


def headings_of(bot: BotDefinition) -> tuple[str, ...]:
    """Return what the bot's own documents are about: the headings of their sections."""
    found: dict[str, None] = {}
    for knowledge in bot.knowledge.values():
        for pattern in knowledge.patterns:
            if pattern.startswith("collection:"):
                continue
            base, inner = located(Path(bot.folder), pattern)
            for path in sorted(base.glob(inner)):
                for line in path.read_text(encoding="utf-8").splitlines():
                    if line.startswith("## "):
                        found[line[3:].strip()] = None
    return tuple(found)
