"""The smallest conversation that fails in the same way: delta debugging of goals and of turns.

A goal is made smaller first: no noise, no habits, fewer tasks, fewer and simpler values. Of a
failure that does not depend on the goal (an unconfirmed write, a repeat, an exception) whole turns
are dropped as well (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input").
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from dialog.bot.expressions import Scope
from dialog.simulation.dice import dice
from dialog.simulation.goal import Goal, GoalTask, Persona
from dialog.simulation.judgement import (
    Failure,
    Record,
    Verdict,
    exact_repeats,
    unconfirmed_writes,
)
from dialog.simulation.noise import Noise
from dialog.simulation.report import Trial
from dialog.simulation.simulator import Simulator
from dialog.simulation.tool_behaviour import fresh_bot
from dialog.simulation.values import draw_value
from dialog.task.events import CommandsParsed, TaskEvent, UserUttered
from dialog.task.messages import UserMessage

_GOAL_FREE: Final = (Failure.ERROR, Failure.UNCONFIRMED_WRITE, Failure.EXACT_REPEAT)
_MAX_RUNS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A small failing conversation, and how many were tried to find it."""

    goal: Goal
    level: str
    verdict: Verdict
    record: Record
    messages: tuple[UserMessage, ...]
    runs: int


@dataclass(slots=True, kw_only=True)
class Shrinker:
    """Makes one failing trial smaller as long as it fails in the same way."""

    simulator: Simulator
    level: str
    seed: str = "shrink"
    runs: int = 0

    def shrink(self, trial: Trial) -> Shrunk:
        """Return the smallest conversation found within a bounded number of runs.

        The trial must have failed; its own run is the answer where nothing smaller fails so.
        """
        wanted = trial.verdict.failure
        self.seed = f"{self.simulator.spec.seed}/{trial.scenario}/{trial.number}"
        if self._quiet(trial, wanted):
            self.simulator = replace(
                self.simulator, spec=replace(self.simulator.spec, noise=Noise(), tools={})
            )
        best = trial
        is_smaller = True
        while is_smaller and self.runs < _MAX_RUNS:
            is_smaller = False
            for goal in _smaller(self.simulator, best.goal):
                if (found := self._fails(goal, wanted)) is not None:
                    best, is_smaller = found, True
                    break
        messages = messages_of(best.record.events, self.level)
        if wanted in _GOAL_FREE:
            messages = self._fewer(best.goal, messages, wanted)
        record = self._scripted(best.goal, messages)
        return Shrunk(
            goal=best.goal,
            level=self.level,
            verdict=best.verdict,
            record=record if _broken(self.simulator, record, wanted) else best.record,
            messages=tuple(messages),
            runs=self.runs,
        )

    def _quiet(self, trial: Trial, wanted: Failure) -> bool:
        spec = replace(self.simulator.spec, noise=Noise(), tools={})
        quiet = replace(self.simulator, spec=spec)
        self.runs += 1
        return quiet.played(trial.goal, level=self.level, seed=self.seed).verdict.failure is wanted

    def _fails(self, goal: Goal, wanted: Failure) -> Trial | None:
        if self.runs >= _MAX_RUNS:
            return None
        self.runs += 1
        found = self.simulator.played(goal, level=self.level, seed=self.seed)
        return found if found.verdict.failure is wanted else None

    def _fewer(
        self, goal: Goal, messages: Sequence[UserMessage], wanted: Failure
    ) -> list[UserMessage]:
        def fails(some: Sequence[UserMessage]) -> bool:
            self.runs += 1
            return _broken(self.simulator, self._scripted(goal, some), wanted)

        return minimised(messages, fails) if fails(messages) else list(messages)

    def _scripted(self, goal: Goal, messages: Sequence[UserMessage]) -> Record:
        talk = self.simulator.connect(fresh_bot(self.simulator.bot))
        error = ""
        try:
            talk.open(goal)
            for message in messages:
                talk.say(message)
        except Exception as caught:  # noqa: BLE001 - it is what is looked for
            error = f"{type(caught).__name__}: {caught}"
        events, state = talk.log()
        return Record(
            events=tuple(events), state=state, turns=len(messages), has_ended=True, error=error
        )


def minimised(
    items: Sequence[UserMessage], fails: Callable[[Sequence[UserMessage]], bool]
) -> list[UserMessage]:
    """Return a part of the items that still fails and of which no single one can be left out."""
    kept = list(items)
    size = max(1, len(kept) // 2)
    while True:
        i, was_cut = 0, False
        while i < len(kept):
            without = kept[:i] + kept[i + size :]
            if without and fails(without):
                kept, was_cut = without, True
            else:
                i += size
        if size == 1 and not was_cut:
            return kept
        size = max(1, size // 2)


def _broken(simulator: Simulator, record: Record, wanted: Failure) -> bool:
    match wanted:
        case Failure.ERROR:
            return bool(record.error)
        case Failure.UNCONFIRMED_WRITE:
            return bool(unconfirmed_writes(simulator.bot, record.events))
        case Failure.EXACT_REPEAT:
            return bool(exact_repeats(record.events))
    return False


def messages_of(events: Sequence[TaskEvent], level: str) -> list[UserMessage]:
    """Return what the user sent; at the level of acts with the commands that arrived."""
    found: list[UserMessage] = []
    for event in events:
        if isinstance(event, UserUttered):
            found.append(
                UserMessage(
                    id=event.message_id, text=event.text, now=event.now, timezone=event.timezone
                )
            )
        elif isinstance(event, CommandsParsed) and found and level == "act":
            found[-1] = replace(found[-1], commands=event.commands)
    return found


def _smaller(simulator: Simulator, goal: Goal) -> Iterator[Goal]:
    """Yield goals that are smaller than one in one respect, the largest step first."""
    if goal.persona not in (Persona.COOPERATIVE, Persona.IMPOSSIBLE):
        plain = replace(goal, persona=Persona.COOPERATIVE, patience=0)
        yield replace(plain, corrections=(), digressions=(), second_locale="")
        yield plain
    for i in range(len(goal.tasks)):
        if len(goal.tasks) > 1:
            yield replace(goal, tasks=(*goal.tasks[:i], *goal.tasks[i + 1 :]))
    for i in range(len(goal.digressions)):
        left = (*goal.digressions[:i], *goal.digressions[i + 1 :])
        yield replace(goal, digressions=left)
    if goal.corrections:
        yield replace(goal, corrections=())
    for i, wanted in enumerate(goal.tasks):
        for simpler in _simpler(simulator, goal, wanted):
            yield replace(goal, tasks=(*goal.tasks[:i], simpler, *goal.tasks[i + 1 :]))


def _simpler(simulator: Simulator, goal: Goal, wanted: GoalTask) -> Iterator[GoalTask]:
    task = simulator.bot.tasks[wanted.task]
    for name, slot in task.slots.items():
        if name in wanted.values and not slot.required:
            rest = {key: value for key, value in wanted.values.items() if key != name}
            yield replace(wanted, values=rest)
    for name, slot in task.slots.items():
        if name not in wanted.values or slot.type.name.startswith(("entity", "choice", "regex")):
            continue
        scope = Scope(
            values={**goal.facts, **wanted.values},
            now=datetime.fromisoformat(goal.now),
            locale=goal.locale,
        )
        value = draw_value(simulator.bot, slot, scope, dice("simple", slot.type.name))
        if value is not None and value != wanted.values[name]:
            yield replace(wanted, values={**wanted.values, name: value})
