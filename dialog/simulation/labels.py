"""Which values of simulated conversations were understood rightly: what calibration learns from.

A simulated user has a goal, so that of each value that a tracker read it is known whether the user
meant it: the goal's, or the slip that it says first and mends afterwards.
"""

from collections.abc import Iterable, Sequence

from dialog.bot.definition import BotDefinition
from dialog.simulation.goal import Goal
from dialog.simulation.report import Trial
from dialog.task.canonical import canonical_json
from dialog.task.commands import JSON, SlotEdit
from dialog.task.events import CommandsParsed, TaskEvent
from dialog.task.fold import fold
from dialog.tracker.calibrated import evidence_in
from dialog.tracker.calibration import Outcome


def outcomes_of(bot: BotDefinition, trials: Iterable[Trial]) -> list[Outcome]:
    """Return the values that were read in some conversations at the level of words."""
    found = []
    for trial in trials:
        events = trial.record.events
        for i, event in enumerate(events):
            if isinstance(event, CommandsParsed):
                found += _of_turn(bot, events[:i], event, trial.goal)
    return found


def _of_turn(
    bot: BotDefinition, before: Sequence[TaskEvent], parsed: CommandsParsed, goal: Goal
) -> list[Outcome]:
    edits = [command for command in parsed.commands if isinstance(command, SlotEdit)]
    if not edits:
        return []
    state = fold(bot, before)
    return [
        Outcome(
            p=edit.p,
            is_right=_is_meant(goal, edit),
            evidence=evidence_in(bot, state, edit),
        )
        for edit in edits
    ]


def _is_meant(goal: Goal, edit: SlotEdit) -> bool:
    meant: list[JSON] = [
        task.values[edit.slot]
        for task in goal.tasks
        if task.task == edit.task and edit.slot in task.values
    ]
    meant += [c.decoy for c in goal.corrections if (c.task, c.slot) == (edit.task, edit.slot)]
    said = {canonical_json(value) for value in _parts(edit.value)}
    return any(said <= {canonical_json(value) for value in _parts(one)} for one in meant)


def _parts(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list | tuple) else [value]
