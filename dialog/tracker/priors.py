"""How the recogniser sees what a model chooses from: the prior of the constrained tracker.

Nothing that the recogniser reads is lost: a value that it reads in another way than the normaliser
alone (relative to the old one, an indirect yes, "the same as there") is an option with its
probability, and so is "any".
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from dialog.task.canonical import canonical_json
from dialog.task.commands import Command, DontCare, Resume, SlotEdit, Start
from dialog.tracker.moves import INFORM, Move
from dialog.tracker.options import Option
from dialog.tracker.situation import Place, Situation, SlotView

UNTOUCHED = 0.97
ALMOST_NONE = 0.003
_ACCEPTED = 0.3
_TAKEN_BY_ANOTHER = 0.05
"""How far a reading counts whose words the recogniser gives to another slot."""


def with_reading(
    options: Sequence[Option],
    slot: SlotView,
    situation: Situation,
    taken: Collection[tuple[Place, str]],
    ruled: Sequence[Command],
) -> list[Option]:
    """Return the options of a slot with the recogniser's probabilities.

    `taken` are the slots and values that the words were given to.
    """
    found = [
        option
        if not option.p or (slot.place, option.key) in taken
        else replace(option, p=option.p * _TAKEN_BY_ANOTHER)
        for option in options
    ]
    for command in ruled:
        if isinstance(command, DontCare) and (command.task, command.slot) == slot.place:
            found = [replace(o, p=command.p) if o.kind == "any" else o for o in found]
        if isinstance(command, SlotEdit) and (command.task, command.slot) == slot.place:
            found = _with_value(found, slot, situation, command)
    return found


def _with_value(
    options: list[Option], slot: SlotView, situation: Situation, edit: SlotEdit
) -> list[Option]:
    """Return the options with what an edit says, each of its values apart."""
    values = edit.value if slot.is_many and isinstance(edit.value, list) else [edit.value]
    for value in values:
        key = canonical_json(value)
        if any(option.key == key for option in options):
            options = [
                replace(o, p=max(o.p, edit.p), span=o.span or edit.span) if o.key == key else o
                for o in options
            ]
            continue
        text = f" {slot.type.say(value, situation.locale)}"
        if all(option.text.casefold() != text.casefold() for option in options):
            options = [
                *options,
                Option(
                    kind="norm",
                    text=text,
                    value=value,
                    source=edit.source,
                    span=edit.span,
                    p=edit.p,
                ),
            ]
    return options


def option_priors(slot: SlotView, options: Sequence[Option]) -> list[float]:
    """Return how likely the options are before the model speaks; they need not sum to 1."""
    read = [option.p for option in options]
    best = max(read)
    none = max(1 - best, ALMOST_NONE) if best else UNTOUCHED
    values = []
    for option in options:
        if option.kind == "none":
            values.append(none * (0.5 if slot.is_asked else 1.0))
        elif option.kind == "said":
            values.append(_ACCEPTED * max(option.p, ALMOST_NONE * 10))
        else:
            values.append(max(option.p, ALMOST_NONE / len(options)))
    return values


def move_priors(moves: Sequence[Move], ruled: Sequence[Command]) -> list[float]:
    """Return how the recogniser sees the moves: what it read, the rest nearly nothing."""
    informs = any(isinstance(command, SlotEdit | DontCare) for command in ruled)
    # values alone begin a task only where that task can be begun; a corpus has none
    informs = informs and not any(
        isinstance(move.command, Start | Resume) and reading_of(move, ruled) for move in moves
    )
    values = []
    for move in moves:
        if move.text == INFORM:
            values.append(0.5 if informs else ALMOST_NONE)
        else:
            read = reading_of(move, ruled)
            values.append(max(read.p if read is not None else 0.0, ALMOST_NONE))
    return values


def reading_of(move: Move, ruled: Sequence[Command]) -> Command | None:
    """Return the recogniser's command that is this move, with all that it says; None if none is.

    "Cancel" without a task is the cancelling of any.
    """
    if move.command is None:
        return None
    head, detail = move.command.head, _detail(move.command)
    return next(
        (c for c in ruled if c.head == head and (_detail(c) in ("", detail) or not detail)), None
    )


def _detail(command: Command) -> str:
    """Return what tells apart the moves of one head."""
    details = ("task", "n", "attribute", "term", "locale")
    return next((str(d) for name in details if (d := getattr(command, name, None))), "")
