"""A tracker whose probabilities mean what they say: mapped by a calibration of the same bot.

Confirmation weighs what is left: a value that was right in seven of ten like cases is accepted,
echoed or asked about as one of probability .7, whatever the tracker said of itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dialog.bot.definition import BotDefinition
from dialog.task.canonical import canonical_json
from dialog.task.commands import Alternative, Command, DontCare, SlotEdit
from dialog.task.state import DialogState
from dialog.task.understanding import Tracker, Understanding
from dialog.tracker.calibration import Calibration
from dialog.tracker.evidence import DONTCARE, evidence_of


class CalibratedTracker:
    """Reads as another tracker does; what it says of values is calibrated."""

    def __init__(self, tracker: Tracker, calibration: Calibration) -> None:
        self.name = tracker.name
        self._tracker = tracker
        self._calibration = calibration

    def read(self, bot: BotDefinition, state: DialogState, message: str) -> Understanding:
        """Return what the message asks of the state."""
        found = self._tracker.read(bot, state, message)
        commands = tuple(self._mapped(bot, state, command) for command in found.commands)
        return replace(found, commands=commands, posteriors=_posteriors(found.posteriors, commands))

    def _mapped(self, bot: BotDefinition, state: DialogState, command: Command) -> Command:
        if isinstance(command, DontCare):
            return replace(command, p=self._calibration(command.p, DONTCARE))
        if not isinstance(command, SlotEdit):
            return command
        p = self._calibration(command.p, evidence_in(bot, state, command))
        return replace(
            command, p=p, alternatives=_rescaled(command.alternatives, 1 - command.p, 1 - p)
        )


def evidence_in(bot: BotDefinition, state: DialogState, edit: SlotEdit) -> str:
    """Return the kind of evidence of an edit, in the state before it."""
    pair = state.open_pair
    is_asked = pair is not None and pair.slot == edit.slot
    tasks = [bot.tasks[edit.task]] if edit.task in bot.tasks else bot.tasks.values()
    slot = next((task.slots[edit.slot] for task in tasks if edit.slot in task.slots), None)
    kind = "" if slot is None else slot.type.name.split(":", maxsplit=1)[0]
    return evidence_of(edit, kind, is_asked=is_asked)


def _rescaled(
    others: Sequence[Alternative], rest_before: float, rest_now: float
) -> tuple[Alternative, ...]:
    """Return alternatives that share what is left as they did before."""
    factor = rest_now / rest_before if rest_before > 0 else 0.0
    return tuple(replace(other, p=min(1.0, other.p * factor)) for other in others)


def _posteriors(
    posteriors: Mapping[str, Sequence[Alternative]], commands: Sequence[Command]
) -> dict[str, tuple[Alternative, ...]]:
    """Return the posteriors with the edits' probabilities in them; they sum to what they did."""
    found = {place: tuple(parts) for place, parts in posteriors.items()}
    for command in commands:
        if not isinstance(command, SlotEdit):
            continue
        place = f"{command.task}.{command.slot}"
        parts = found.get(place, ())
        value = command.value
        keys = {canonical_json(value)}
        if isinstance(value, list) and len(value) == 1:
            keys.add(canonical_json(value[0]))
        chosen = [part for part in parts if canonical_json(part.value) in keys]
        if len(chosen) != 1:
            continue
        before = chosen[0].p
        others = _rescaled(
            [part for part in parts if part is not chosen[0]], 1 - before, 1 - command.p
        )
        found[place] = (replace(chosen[0], p=command.p), *others)
    return found
