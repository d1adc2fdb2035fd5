"""The error model of the level of acts: commands that arrive as others, or not at all."""

from dataclasses import replace

from dialog.bot.definition import BotDefinition
from dialog.simulation.dice import Dice
from dialog.task.commands import Affirm, Change, Command, Deny, Set, Unclear


def confused(
    bot: BotDefinition, commands: tuple[Command, ...], rate: float, rng: Dice
) -> tuple[Command, ...]:
    """Return the commands as they arrive: at `rate` each is lost, inverted, or has another slot.

    What arrives right has a probability of 1 - rate/2, what arrives wrong one of 1/2, as an
    imperfect tracker would give them.
    """
    if not rate:
        return commands
    found: list[Command] = []
    for command in commands:
        if rng.random() >= rate:
            found.append(replace(command, p=1 - rate / 2))
        elif (wrong := _wrong(bot, command, rng)) is not None:
            found.append(replace(wrong, p=0.5))
    return tuple(found) or (Unclear(),)


def _wrong(bot: BotDefinition, command: Command, rng: Dice) -> Command | None:
    if rng.random() < 0.5:
        return None
    match command:
        case Affirm():
            return Deny()
        case Deny():
            return Affirm()
        case Set() | Change():
            kinds = [
                slot.name
                for task in bot.tasks.values()
                if command.slot in task.slots
                for slot in task.slots.values()
                if slot.type.name == task.slots[command.slot].type.name
            ]
            return replace(command, slot=rng.choice(kinds)) if kinds else None
    return None
