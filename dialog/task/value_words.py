"""Values in words: by the type of their slot, by the kind of an expression, with labels."""

from collections.abc import Mapping, Sequence

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.bot.texts import Placeholder
from dialog.bot.value_types import Kind
from dialog.slot_types.base import SlotType
from dialog.slot_types.catalogue import plain_type
from dialog.task.commands import JSON
from dialog.task.phrases.catalogue import phrase
from dialog.task.state import TaskFrame

_OF_KIND: Mapping[Kind, str] = {
    Kind.NUMBER: "number",
    Kind.BOOL: "bool",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.DATETIME: "datetime",
    Kind.DURATION: "duration",
    Kind.MONEY: "money",
    Kind.DATERANGE: "daterange",
}


def listed(words: Sequence[str], locale: str, word: str = "and") -> str:
    """Return "a, b and c" in a language."""
    if len(words) < 2:
        return "".join(words)
    last = phrase(locale, word)[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def label(slot: SlotDefinition | str) -> str:
    """Return what a slot is called in a sentence: its name without underscores."""
    name = slot if isinstance(slot, str) else slot.name
    return name.replace("_", " ")


def say_value(slot: SlotDefinition, value: JSON, locale: str) -> str:
    """Return a slot's value in words; of a slot that holds many, a list."""
    if slot.many and isinstance(value, list | tuple):
        return listed([_by_type(slot.type, part, locale) for part in value], locale)
    return _by_type(slot.type, value, locale)


def _by_type(kind: SlotType, value: JSON, locale: str) -> str:
    if isinstance(value, str) and value.startswith("\u27e8") and kind.name != "card":
        return "•••"  # a placeholder for what is sensitive is never said
    try:
        return kind.say(value, locale)
    except (KeyError, TypeError, ValueError):
        return plain_words(value, locale)


def plain_words(value: JSON, locale: str) -> str:  # noqa: PLR0911 - one return per kind
    """Return a JSON value without a type in words."""
    match value:
        case bool():
            return phrase(locale, "yes" if value else "no")[0]
        case str():
            return value
        case int() | float():
            return _rendered("number", value, locale)
        case None:
            return "-"
    if isinstance(value, Mapping):
        if set(value) == {"amount", "currency"}:
            return _rendered("money", value, locale)
        return ", ".join(f"{key}: {plain_words(part, locale)}" for key, part in value.items())
    return listed([plain_words(part, locale) for part in value], locale)


def say_placeholder(
    bot: BotDefinition, frame: TaskFrame | None, part: Placeholder, value: JSON, locale: str
) -> str:
    """Return what stands for `{…}` in a text."""
    if part.renderer:
        return _rendered(part.renderer, value, locale)
    name = part.expression.text.strip()
    slots = bot.tasks[frame.task].slots if frame is not None else {}
    if name in slots:
        return say_value(slots[name], value, locale)
    kind = part.expression.type
    if kind.kind is Kind.ENTITY and kind.table is not None:
        return kind.table.show_name(str(value))
    if kind.kind in _OF_KIND and not isinstance(value, list | tuple):
        return _rendered(_OF_KIND[kind.kind], value, locale)
    return plain_words(value, locale)


def _rendered(name: str, value: JSON, locale: str) -> str:
    kind = plain_type(name)
    if kind is not None:
        try:
            return kind.say(value, locale)
        except (KeyError, TypeError, ValueError):
            pass
    return str(value) if isinstance(value, int | float) else plain_words(value, locale)


def row_words(bot: BotDefinition, table: str, key: JSON) -> str:
    """Return what people call a row."""
    found = bot.tables.get(table)
    return found.show_name(str(key)) if found is not None else plain_words(key, "en")
