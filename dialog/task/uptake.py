"""Uptake of a turn's commands, one after the other: which function takes up which command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dialog.bot.definition import BotDefinition
from dialog.task import answers, moves, slot_edits
from dialog.task.commands import (
    MAX_COMMANDS,
    Add,
    Affirm,
    Change,
    Command,
    Deny,
    Remove,
    Set,
    Start,
    Unclear,
)
from dialog.task.frames import noted
from dialog.task.grounding import agreed
from dialog.task.state import DialogState, Evidence

Uptake = Callable[[BotDefinition, DialogState, Any], DialogState]


def _aside(kind: str) -> Uptake:
    """Return the uptake of a command that the reply takes up, and the state does not."""

    def uptake(bot: BotDefinition, state: DialogState, command: Command) -> DialogState:
        del bot, command
        return noted(state, kind)

    return uptake


UPTAKES: Final[Mapping[str, Uptake]] = {
    "start": moves.start,
    "set": slot_edits.edit_slot,
    "change": slot_edits.edit_slot,
    "add": slot_edits.edit_slot,
    "remove": slot_edits.edit_slot,
    "clear": slot_edits.clear_slot,
    "dontcare": slot_edits.any_value,
    "affirm": answers.affirm,
    "deny": answers.deny,
    "choose": answers.choose,
    "more": answers.more,
    "ask": moves.ask,
    "why": moves.why,
    "what": moves.what,
    "knowledge": moves.knowledge,
    "chitchat": _aside("chitchat"),
    "skip": slot_edits.skip_slot,
    "back": slot_edits.go_back,
    "repeat": _aside("repeat"),
    "rephrase": _aside("rephrase"),
    "cancel": moves.cancel,
    "resume": moves.resume,
    "hold": _aside("hold"),
    "restart": moves.restart,
    "handoff": moves.handoff,
    "done": moves.finish,
    "unclear": moves.unclear,
    "language": moves.language,
}

_NO_WORD_ON_VALUES = frozenset({"unclear", "repeat", "rephrase", "hold", "what", "why"})


def take_up(bot: BotDefinition, state: DialogState, commands: Sequence[Command]) -> DialogState:
    """Return the state after all commands of a turn.

    What was echoed before and is not contradicted by this turn is common ground.
    """
    echoed = {
        (frame.id, name): cell.value
        for frame in state.frames
        for name in answers.pending_slots(frame)
        for cell in (frame.cell(name),)
    }
    pair = state.open_pair
    commands = _ordered(commands[:MAX_COMMANDS])
    for command in commands:
        if isinstance(command, Deny) and _is_only_a_prelude(commands, pair is not None):
            continue  # "no, Friday" is the change and nothing else
        state = UPTAKES[command.head](bot, state, command)
    if not commands:
        state = moves.unclear(bot, state, Unclear())
    if all(command.head in _NO_WORD_ON_VALUES for command in commands):
        return state
    return _not_contradicted(state, echoed)


def _ordered(commands: Sequence[Command]) -> list[Command]:
    """Return the commands with a task's start before the values that were said before it."""
    starts = [command for command in commands if isinstance(command, Start)]
    if len(starts) != 1 or isinstance(commands[0], Affirm | Deny):
        return list(commands)
    return [starts[0], *(command for command in commands if command is not starts[0])]


def _is_only_a_prelude(commands: Sequence[Command], is_open: bool) -> bool:
    return is_open and any(
        isinstance(c, Set | Change | Add | Remove)
        or (isinstance(c, Unclear) and c.value is not None)
        for c in commands
    )


def _not_contradicted(state: DialogState, echoed: Mapping[tuple[int, str], object]) -> DialogState:
    for (frame_id, name), value in echoed.items():
        frame = state.frame(frame_id)
        if frame is None:
            continue
        cell = frame.cell(name)
        if cell.plan == "" and cell.status.value == "pending" and cell.value == value:
            state = state.with_frame(frame.with_cell(name, agreed(cell, Evidence.NOT_CONTRADICTED)))
    return replace(state)
