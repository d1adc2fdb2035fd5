"""One act in words: the variants of its text, filled in; which one is said is `nlg`'s choice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.bot.expressions import Unknown
from dialog.bot.texts import Placeholder, Texts
from dialog.task.acts import Act, ActName
from dialog.task.commands import JSON
from dialog.task.phrases.catalogue import LANGUAGES, phrase
from dialog.task.scope import scope_of
from dialog.task.state import DialogState, TaskFrame
from dialog.task.text_keys import text_at
from dialog.task.value_words import (
    label,
    listed,
    plain_words,
    row_words,
    say_placeholder,
    say_value,
)

_SHORT_NAMES: Final = frozenset(
    {"date", "day", "time", "name", "person", "when", "email", "phone", "amount", "duration"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The variants of an act's text; `template` names it for the rotation of the variants.

    `values` are the words that each of them must hold.
    """

    template: str
    variants: tuple[str, ...]
    values: tuple[str, ...] = ()


class ActWords:
    """Words acts in one state."""

    def __init__(self, bot: BotDefinition, state: DialogState) -> None:
        self._bot, self._state = bot, state
        self._locale = state.locale

    def of(self, act: Act) -> Wording:
        """Return an act's wording: the bot's own text where it has one that holds all values."""
        values = tuple(self._value_words(act).values())
        own = self._own_text(act)
        if own is not None:
            key, texts = own
            filled = self._filled(texts, act)
            whole = tuple(text for text in filled if holds(text, (*values, *act.must_include)))
            if whole:
                return Wording(template=key, variants=whole, values=values)
        key = self._phrase_key(act)
        names = self._names(act)
        variants = tuple(_capital(text.format_map(names)) for text in phrase(self._locale, key))
        return Wording(template=key, variants=variants, values=values)

    def _own_text(self, act: Act) -> tuple[str, Texts] | None:
        for key in self._own_keys(act):
            texts = text_at(self._bot, key)
            if texts is not None:
                return key, texts
        return None

    def _own_keys(self, act: Act) -> list[str]:
        if ":" in act.key:
            return [act.key]
        if act.key == "invalid":
            broken = act.words
            if broken.startswith("valid:"):
                frame = self._frame(act)
                return [f"slot:{frame.task}:{act.slot}:{broken}"] if frame is not None else []
        own = {
            ActName.CONFIRM: "confirm",
            ActName.OFFER: "offer",
            ActName.IMPLICIT_CONFIRM: "implicit_confirm",
        }.get(act.name, "")
        name = act.key or own
        return [f"say:{name}.{act.slot}", f"say:{name}"] if name else []

    def _frame(self, act: Act) -> TaskFrame | None:
        return self._state.frame(act.frame) or self._state.top

    def _filled(self, texts: Texts, act: Act) -> list[str]:
        frame = self._frame(act)
        given = dict(act.given)
        if act.key == "invalid":
            given |= dict(act.values)
        scope = scope_of(self._bot, self._state, frame, given)

        def say(part: Placeholder, value: JSON) -> str:
            return say_placeholder(self._bot, frame, part, value, self._locale)

        found = []
        for template in texts.of(self._locale, self._bot.locales.default):
            text = template.render(scope, say)
            if not isinstance(text, Unknown):
                found.append(text)
        return found

    def _slot(self, act: Act) -> SlotDefinition | None:
        frame = self._frame(act)
        if frame is None or not act.slot:
            return None
        return self._bot.tasks[frame.task].slots.get(act.slot)

    def _phrase_key(self, act: Act) -> str:  # noqa: PLR0911 - one return per act
        if act.key and ":" not in act.key:
            return self._keyed(act)
        match act.name:
            case ActName.REQUEST:
                return self._request_key(act)
            case ActName.CONFIRM:
                return "confirm.slot" if act.slot else "confirm"
            case ActName.OFFER:
                return "offer.one" if len(act.entities) == 1 else "offer"
            case ActName.NOTIFY_SUCCESS:
                return "success"
            case ActName.NOTIFY_FAILURE:
                return "failed"
        return act.name.value.lower() if act.name is not ActName.REPAIR else "unclear"

    def _keyed(self, act: Act) -> str:
        if act.key == "invalid":
            kind = act.words.partition("|")[0]
            found = f"invalid.{kind}"
            return found if found in phrase_keys() else "invalid"
        if act.key == "attribute":
            known = self._attribute(act)
            return "attribute" if known is not None else "attribute.unknown"
        if act.key == "success":
            frame = self._frame(act)
            has_choice = frame is not None and frame.search is not None
            if has_choice and frame is not None and not frame.effects:
                return "success.chosen"
        return act.key

    def _request_key(self, act: Act) -> str:
        slot = self._slot(act)
        name = slot.type.name.partition(":")[0] if slot is not None else ""
        key = f"request.{name}"
        if name == "choice" and not act.options:
            key = "request.entity"
        return key if key in phrase_keys() else "request"

    def _names(self, act: Act) -> dict[str, str]:
        frame = self._frame(act)
        task = self._bot.tasks.get(act.task or (frame.task if frame is not None else ""))
        slot = self._slot(act)
        name = label(act.slot)
        values = self._value_words(act)
        return {
            "slot": name,
            "for_slot": self._for_slot(name),
            "value": next(iter(values.values()), ""),
            "values": listed(_labelled(values), self._locale),
            "bound": self._bound(act, slot),
            "task": self._task_words(task.name) if task is not None else "",
            "tasks": listed([self._task_words(n) for n in self._bot.tasks], self._locale, "or"),
            "options": listed(self.option_words(act), self._locale, "or"),
            "rows": listed(self._rows(act), self._locale, self._row_word(act)),
            "count": str(act.given.get("count", "")),
            "text": self._text(act),
        } | self._attribute_names(act)

    def _row_word(self, act: Act) -> str:
        return "or" if act.name is ActName.OFFER else "and"

    def _text(self, act: Act) -> str:
        if act.key in ("answer", "what"):
            return act.words.rstrip(".") if act.key == "what" else act.words
        words = act.words.partition("|")[2] if act.key == "invalid" else act.words
        words = words.strip().rstrip(".")
        return f": {words}" if words else ""

    def _for_slot(self, name: str) -> str:
        if name in _SHORT_NAMES or not name:
            return ""
        return f" ({name})"

    def _task_words(self, name: str) -> str:
        task = self._bot.tasks[name]
        return (task.about or label(name)).rstrip(".")

    def _value_words(self, act: Act) -> dict[str, str]:
        frame = self._frame(act)
        found = {}
        for name, value in act.values.items():
            slot = self._bot.tasks[frame.task].slots.get(name) if frame is not None else None
            found[name] = (
                say_value(slot, value, self._locale)
                if slot is not None and not _is_part(slot, value)
                else self._loose(slot, value)
            )
        return found

    def _loose(self, slot: SlotDefinition | None, value: JSON) -> str:
        if slot is None:
            frame = self._state.top
            table = frame.search.table if frame is not None and frame.search is not None else ""
            return row_words(self._bot, table, value)
        try:
            return slot.type.say(value, self._locale)
        except (KeyError, TypeError, ValueError):
            return plain_words(value, self._locale)

    def _bound(self, act: Act, slot: SlotDefinition | None) -> str:
        kind, _, bound = act.words.partition("|")
        if act.key != "invalid" or kind == "tool" or not bound or slot is None:
            return ""
        value = read_bound(bound)
        try:
            return slot.type.say(value, self._locale)
        except (KeyError, TypeError, ValueError):
            return plain_words(value, self._locale)

    def option_words(self, act: Act) -> list[str]:
        """Return the options of an act in words."""
        if act.key in ("change_what", "change_constraint", "none_relaxed", "clarify_slot"):
            return [label(str(name)) for name in act.options]
        if act.key == "clarify_task":
            return [self._task_words(str(name)) for name in act.options]
        slot = self._slot(act)
        if slot is None:
            return [plain_words(option, self._locale) for option in act.options]
        return [self._loose(slot, option) for option in act.options]

    def _rows(self, act: Act) -> list[str]:
        frame = self._frame(act)
        task = self._bot.tasks[frame.task] if frame is not None else None
        texts = task.offer.text if task is not None and task.offer is not None else None
        table = self._bot.tables.get(act.table)
        keys: Sequence[JSON] = act.entities
        if act.key == "success" and frame is not None and frame.search is not None:
            keys, table = (frame.search.chosen,), self._bot.tables.get(frame.search.table)
            texts = None
        found = []
        for key in keys:
            row = table.get(str(key)) if table is not None else None
            words = None
            if texts is not None and row is not None and act.name is ActName.OFFER:
                words = self._row_text(texts, row, frame)
            found.append(words or row_words(self._bot, table.name if table else "", key))
        return found

    def _row_text(
        self, texts: Texts, row: Mapping[str, JSON], frame: TaskFrame | None
    ) -> str | None:
        scope = scope_of(self._bot, self._state, frame, row)

        def say(part: Placeholder, value: JSON) -> str:
            return say_placeholder(self._bot, None, part, value, self._locale)

        words = texts.of(self._locale, self._bot.locales.default)[0].render(scope, say)
        return None if isinstance(words, Unknown) else words

    def _attribute(self, act: Act) -> JSON:
        table = self._bot.tables.get(act.table)
        row = table.get(str(act.entities[0])) if table is not None and act.entities else None
        return row.get(act.slot) if row is not None else None

    def _attribute_names(self, act: Act) -> dict[str, str]:
        if act.key != "attribute":
            return {}
        value = self._attribute(act)
        return {"value": plain_words(value, self._locale) if value is not None else ""}


def _labelled(values: Mapping[str, str]) -> list[str]:
    """Return "people 4" for each value; one alone needs no label."""
    if len(values) == 1:
        return list(values.values())
    return [f"{label(name)} {words}" for name, words in values.items()]


def _is_part(slot: SlotDefinition, value: JSON) -> bool:
    """Tell whether the value is one of many, and not the list of them."""
    return slot.many and not isinstance(value, list | tuple)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def holds(text: str, values: Sequence[str]) -> bool:
    """Tell whether a text holds all of these words: slot error rate 0."""
    said = " ".join(text.casefold().split())
    return all(" ".join(value.casefold().split()) in said for value in values)


def phrase_keys() -> frozenset[str]:
    """Return the keys of all built-in phrases."""
    return _KEYS


def read_bound(text: str) -> JSON:
    """Return the bound that a notice carries as canonical JSON."""
    return json.loads(text)


_KEYS: Final = frozenset(LANGUAGES["en"])
