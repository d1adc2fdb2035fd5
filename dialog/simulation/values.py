"""Values that a simulated user may want for a slot: of its type, within its bounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.bot.expressions import Scope, Unknown
from dialog.simulation.dice import Dice
from dialog.simulation.words_drawn import CARDS, FIRST, LAST, NOTES, STREETS
from dialog.slot_types.base import Bounds, JsonValue, TextContext
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.money import MoneyType
from dialog.slot_types.pattern import PatternType
from dialog.task.scope import bounds_of

_ATTEMPTS: Final = 60
_HORIZON_DAYS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a draw of a value may look at."""

    rng: Dice
    now: datetime
    slot: SlotDefinition
    bounds: Bounds


def draw_value(
    bot: BotDefinition, slot: SlotDefinition, scope: Scope, rng: Dice, *, other_than: Any = None
) -> JsonValue:
    """Return a value that the slot allows, None where none was found."""
    draw = Draw(rng=rng, now=scope.now, slot=slot, bounds=bounds_of(slot, scope))
    for _ in range(_ATTEMPTS):
        value = _one(bot, draw)
        if slot.many and value is not None:
            value = [value]
        if value is not None and value != other_than and is_allowed(slot, value, scope):
            return value
    return None


def is_allowed(slot: SlotDefinition, value: JsonValue, scope: Scope) -> bool:
    """Tell whether a value is within the slot's bounds and rules; an unknown rule is not broken."""
    context = TextContext(
        now=scope.now, locale=scope.locale, slot=slot.name, bounds=bounds_of(slot, scope)
    )
    for part in value if slot.many and isinstance(value, list) else [value]:
        try:
            canonical, violation = slot.type.canonical(part, context)
        except ValueError:
            return False
        if violation is not None:
            return False
        inner = Scope(
            values={**scope.values, slot.name: canonical}, now=scope.now, locale=scope.locale
        )
        for rule in slot.valid:
            holds = rule.condition.evaluate(inner)
            if not isinstance(holds, Unknown) and not holds:
                return False
    return True


def _one(bot: BotDefinition, draw: Draw) -> JsonValue:
    kind, _, table = draw.slot.type.name.partition(":")
    if kind == "entity":
        return draw.rng.choice(list(bot.tables[table].rows))
    if kind in ("choice", "regex"):
        return _of_list(draw)
    return _DRAWS[kind](draw)


def _of_list(draw: Draw) -> JsonValue:
    kind = draw.slot.type
    keys: list[str] = list(kind.values) if isinstance(kind, ChoiceType) else []
    if isinstance(kind, PatternType):
        keys = list(kind.examples or draw.slot.examples)
    return draw.rng.choice(keys) if keys else None


def _whole(draw: Draw) -> JsonValue:
    least = _number(draw.bounds.least, 1)
    most = _number(draw.bounds.most, least + 7)
    return draw.rng.randint(int(least), int(most))


def _number(value: JsonValue, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def _money(draw: Draw) -> JsonValue:
    kind = draw.slot.type
    currency = (kind.currency if isinstance(kind, MoneyType) else "") or "EUR"
    for bound in (draw.bounds.least, draw.bounds.most):
        if isinstance(bound, Mapping):
            currency = str(bound["currency"])
    amount = draw.rng.choice((12, 25, 40, 75, 120, 180, 250, 900, 6000))
    cents = draw.rng.choice((0, 0, 0, 50))
    return {"amount": f"{amount}.{cents:02}", "currency": currency}


def _date(draw: Draw) -> JsonValue:
    return (draw.now.date() + timedelta(days=draw.rng.randint(1, _HORIZON_DAYS))).isoformat()


def _time(draw: Draw) -> JsonValue:
    return f"{draw.rng.randint(9, 21):02}:{draw.rng.choice((0, 0, 15, 30, 45)):02}"


def _moment(draw: Draw) -> JsonValue:
    day = draw.now.date() + timedelta(days=draw.rng.randint(1, _HORIZON_DAYS))
    hour = draw.rng.randint(9, 21)
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=draw.now.tzinfo)
    return moment.isoformat(timespec="minutes")


def _days(draw: Draw) -> JsonValue:
    first = draw.now.date() + timedelta(days=draw.rng.randint(1, _HORIZON_DAYS))
    last = first + timedelta(days=draw.rng.randint(1, 7))
    return {"start": first.isoformat(), "end": last.isoformat()}


def _person(draw: Draw) -> str:
    return f"{draw.rng.choice(FIRST)} {draw.rng.choice(LAST)}"


def _email(draw: Draw) -> JsonValue:
    return _person(draw).lower().replace(" ", ".") + "@example.org"


_DRAWS: Final[Mapping[str, Callable[[Draw], JsonValue]]] = {
    "text": lambda draw: draw.rng.choice(NOTES),
    "address": lambda draw: f"{draw.rng.randint(1, 120)} {draw.rng.choice(STREETS)}",
    "person": _person,
    "email": _email,
    "url": lambda draw: f"https://example.org/{draw.rng.choice(LAST).lower()}",
    # The numbers that the British regulator keeps for fiction.
    "phone": lambda draw: f"+447700900{draw.rng.randint(0, 999):03}",
    "integer": _whole,
    "number": _whole,
    "percent": lambda draw: draw.rng.choice((5, 10, 20, 25, 50)),
    "money": _money,
    "date": _date,
    "time": _time,
    "datetime": _moment,
    "duration": lambda draw: f"P{draw.rng.randint(1, 6)}D",
    "daterange": _days,
    "bool": lambda draw: draw.rng.random() < 0.5,
    "card": lambda draw: f"⟨card:{draw.rng.choice(CARDS)[-4:]}⟩",
}
