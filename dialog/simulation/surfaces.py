"""Words for what a simulated user means, from the bot's own examples and a list of phrases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.simulation.dice import Dice
from dialog.simulation.goal import Persona
from dialog.simulation.phrases import ORDINALS, phrases_of
from dialog.simulation.user import UserTurn
from dialog.simulation.words_drawn import CARDS
from dialog.slot_types.base import TextContext
from dialog.task.acts import ActName
from dialog.task.commands import (
    JSON,
    Affirm,
    Cancel,
    Change,
    Choose,
    Command,
    Deny,
    Done,
    DontCare,
    Handoff,
    Knowledge,
    Language,
    More,
    Repeat,
    Set,
    Skip,
    Start,
    Why,
)

_SIMPLE: Final[dict[type[Command], str]] = {
    Affirm: "yes", Deny: "no", Done: "done", More: "more", DontCare: "any", Skip: "skip",
    Cancel: "cancel", Handoff: "handoff", Repeat: "repeat", Why: "why", Language: "language",
}  # fmt: skip
_PLACEHOLDER: Final = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """Words one turn after the other; the persona decides how many there are around a value."""

    bot: BotDefinition
    now: datetime
    persona: Persona = Persona.COOPERATIVE
    _examples: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def of(self, turn: UserTurn, rng: Dice) -> str:
        """Return what the user says."""
        if turn.text:
            return turn.text
        parts = [self._command(turn, i, rng) for i in range(len(turn.commands))]
        return _joined([part for part in parts if part])

    def _command(self, turn: UserTurn, i: int, rng: Dice) -> str:  # noqa: PLR0911 - one per kind
        command = turn.commands[i]
        is_prelude = isinstance(command, Deny) and len(turn.commands) > 1
        if is_prelude and isinstance(turn.commands[i + 1], Change):
            return ""  # the phrase for the change says no as well
        match command:
            case Start():
                return self._start(command.task, turn, rng)
            case Change():
                return self._value("change", command, turn, rng)
            case Set():
                is_asked = i == 0 and turn.answers is not None and turn.answers.slot == command.slot
                return self._value("bare" if is_asked else "also", command, turn, rng)
            case Choose():
                return self._choose(command, turn, rng)
            case Knowledge():
                return self._pick("knowledge", turn, rng).format(query=command.query.lower())
        return self._pick(_SIMPLE[type(command)], turn, rng)

    def _pick(self, key: str, turn: UserTurn, rng: Dice, kind: str = "") -> str:
        phrases = phrases_of(turn.locale)
        found = phrases.get(f"{key}.{kind}") or phrases[key]
        is_short = turn.is_plain or self.persona is Persona.TERSE
        return found[0] if is_short else rng.choice(found)

    def _start(self, task: str, turn: UserTurn, rng: Dice) -> str:
        definition = self.bot.tasks[task]
        said = self._pick("start", turn, rng).format(about=definition.about or task)
        if turn.is_plain or turn.locale != self.bot.locales.default:
            return said
        return rng.choice([said, *self._usable(task)])

    def _usable(self, task: str) -> list[str]:
        """Return the examples of a task that name no value of their own."""
        if task not in self._examples:
            self._examples[task] = [
                text
                for text in self.bot.tasks[task].examples
                if not self._names_a_value(task, text)
            ]
        return self._examples[task]

    def _names_a_value(self, task: str, example: str) -> bool:
        """Tell whether an example names a value of its own, which would not be the goal's."""
        if _PLACEHOLDER.search(example):
            return True
        context = TextContext(now=self.now, locale=self.bot.locales.default)
        return any(
            slot.type.parse(example, context)
            for slot in self.bot.tasks[task].slots.values()
            if slot.type.name not in ("text", "address", "person", "bool")
        )

    def _value(self, key: str, command: Set | Change, turn: UserTurn, rng: Dice) -> str:
        slot = self._slot(command, turn)
        if slot is None:
            return str(command.value)
        kind = slot.type.name.partition(":")[0]
        if isinstance(command.value, bool):
            return self._pick("yes" if command.value else "no", turn, rng)
        words = self._words(slot, command.value, turn.locale)
        if key == "also" and (role := _role_of(slot.name)):
            return f"{role} {words}"
        said = self._pick(key, turn, rng, kind)
        return said.format(value=words, label=_label(slot))

    def _slot(self, command: Set | Change, turn: UserTurn) -> SlotDefinition | None:
        named = (command.task, turn.answers.task if turn.answers is not None else "")
        for task in (*named, *self.bot.tasks):
            if task and command.slot in self.bot.tasks[task].slots:
                return self.bot.tasks[task].slots[command.slot]
        return None

    def _words(self, slot: SlotDefinition, value: JSON, locale: str) -> str:
        if slot.type.name == "card":
            return next(number for number in CARDS if str(value)[-5:-1] == number[-4:])
        parts = value if slot.many and isinstance(value, list) else [value]
        return " and ".join(slot.type.say(part, locale) for part in parts)

    def _choose(self, command: Choose, turn: UserTurn, rng: Dice) -> str:
        said = self._pick("choose", turn, rng)
        name, act = str(command.entity), turn.answers
        if act is not None and act.table:
            name = self.bot.tables[act.table].show_name(str(command.entity))
        elif act is not None and act.name is ActName.CLARIFY:
            name = self._option(act.slot, act.task, command.entity, turn.locale)
            said = "{name}"
        ordinal = ORDINALS[command.n - 1] if 0 < command.n <= len(ORDINALS) else "last"
        return said.format(ordinal=ordinal, name=name)

    def _option(self, slot: str, task: str, option: JSON, locale: str) -> str:
        if isinstance(option, str) and option in self.bot.tasks:
            return self.bot.tasks[option].about or option
        if task and slot in self.bot.tasks[task].slots:
            return self._words(self.bot.tasks[task].slots[slot], option, locale)
        return str(option).replace("_", " ")


def _label(slot: SlotDefinition) -> str:
    return slot.name.replace("_", " ")


def _role_of(name: str) -> str:
    """Return the preposition that a slot's name begins with: from_city, to_city."""
    first = name.split("_", maxsplit=1)[0]
    return first if first in ("from", "to") and "_" in name else ""


def _joined(parts: Sequence[str]) -> str:
    """Return one sentence: "a table, for two, on Friday"."""
    whole = ""
    for part in parts:
        whole += part if not whole else (" " if whole.endswith("?") else ", ") + part
    return whole
