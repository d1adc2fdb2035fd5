"""A path of the model as a dialogue that can be run: a test of the bot's own tests section."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from dialog.bot.definition import BotDefinition, SlotDefinition, TaskDefinition
from dialog.bot.expressions import Scope, Unknown
from dialog.bot.tables import EntityTable
from dialog.builder.task_model import Kind, Move
from dialog.slot_types.base import JsonValue, TextContext
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.entity import EntityType
from dialog.slot_types.pattern import PatternType

_NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
_USUAL: Mapping[str, JsonValue] = {
    "integer": 2, "number": 2, "percent": 10, "money": {"amount": "20.00", "currency": "EUR"},
    "date": "2025-03-07", "time": "18:30", "datetime": "2025-03-07T18:30+00:00",
    "duration": "P2D", "daterange": {"start": "2025-03-07", "end": "2025-03-09"}, "bool": True,
    "person": "Ana Lind", "email": "ana@example.org", "url": "https://example.org",
    "phone": "+41446681800", "card": "⟨card:4242⟩", "text": "blue roses",
    "address": "1 High Street",
}  # fmt: skip


def usual_value(slot: SlotDefinition) -> JsonValue:
    """Return a value that the slot allows, if one is near at hand."""
    kind = slot.type
    if isinstance(kind, ChoiceType):
        return next(iter(kind.values))
    if isinstance(kind, PatternType) and kind.examples:
        return kind.examples[0]
    if isinstance(kind, EntityType) and isinstance(kind.table, EntityTable):
        return next(iter(kind.table.rows))
    for bound in (slot.min, slot.after, slot.default):
        if bound is not None and not bound.names:
            value = bound.evaluate(Scope(now=_NOW))
            if not isinstance(value, Unknown):
                return value
    return _USUAL.get(kind.name, "blue roses")


def as_test(
    bot: BotDefinition,
    task: TaskDefinition,
    world: Mapping[str, JsonValue],
    moves: Sequence[Move],
    rule: str,
) -> str:
    """Return the dialogue in the language of `tests:`; `world` are values that its guards need."""
    facts = {n: world.get(n, True) for n in bot.user if task.needs and n in task.needs.names}
    given = [f'now: "{_NOW:%Y-%m-%dT%H:%M}"']
    given += (
        [f"user: {{{', '.join(f'{n}: {_yaml(v)}' for n, v in facts.items())}}}"] if facts else []
    )
    tools = _outcomes(task, moves)
    given += (
        [f"tools: {{{', '.join(f'{n}: {_yaml(v)}' for n, v in tools.items())}}}"] if tools else []
    )
    lines = [f"- test: {rule} in {task.name}", f"  given: {{{', '.join(given)}}}", "  talk:"]
    for move in moves:
        words = _words(bot, task, move, world)
        if words:
            lines.append(f"    - user: {_yaml(words)}")
    if rule in {"unconfirmed_write", "repeated_write"}:
        lines.append(f"  never: [{rule}]")
    return "\n".join(["", *(f"      {line}" for line in lines)])


def _outcomes(task: TaskDefinition, moves: Sequence[Move]) -> dict[str, JsonValue]:
    """Return what each function answers, one answer after the other where there are several."""
    found: dict[str, list[JsonValue]] = {}
    for move in moves:
        if move.about.startswith("check:"):
            call = task.check[int(move.about.removeprefix("check:"))].call
            if call is not None:
                found.setdefault(call.function, []).append(move.act == "holds")
        elif move.act in {"returns", "fails"}:
            answer: JsonValue = {"error": "fatal"} if move.act == "fails" else {}
            found.setdefault(move.about, []).append(answer)
    return {
        name: answers[0] if all(a == answers[0] for a in answers) else {"then": answers}
        for name, answers in found.items()
    }


def _words(  # noqa: PLR0911 - one return per move
    bot: BotDefinition, task: TaskDefinition, move: Move, world: Mapping[str, JsonValue]
) -> str:
    """Return what the user says in a move, "" where the user says nothing."""
    if move.kind is Kind.OUTCOME:
        return ""
    locale = bot.locales.default
    match move.act:
        case "start":
            plain = [text for text in task.examples if "{" not in text]
            return plain[0] if plain else f"I want to {task.about or task.name.replace('_', ' ')}"
        case "yes" | "no":
            return move.act
        case "cancel":
            return "cancel"
        case "unclear":
            return "hmm"
        case "choose":
            return "the first"
    slot = task.slots.get(move.about)
    if slot is None:
        return ""
    value = world.get(slot.name, usual_value(slot))
    try:
        canonical, _ = slot.type.canonical(value, TextContext(now=_NOW, locale=locale))
        words = slot.type.say(canonical, locale)
    except ValueError:
        words = str(value)
    return f"change {slot.name} to {words}" if move.act == "change" else words


def _yaml(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {_yaml(v)}' for k, v in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_yaml(part) for part in value)}]"
    text = str(value)
    return text if text.isalnum() else f'"{text}"'
