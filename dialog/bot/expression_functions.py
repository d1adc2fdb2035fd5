"""The functions of the expression language; there are no others.

today() now() · len(list or text) · days(duration) → number, days(number) → duration, hours likewise
lower(text) round(number[, places]) min(…) max(…) any(list) all(list) format(value, 'type')
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, DecimalException

from dialog.bot.expression_operations import (
    ANY,
    BOOL,
    DATE,
    DATETIME,
    DURATION,
    NUMBER,
    TEXT,
    compare,
    length_of,
)
from dialog.bot.expressions import Scope
from dialog.bot.value_types import UNKNOWN, Kind, Unknown, Value, ValueType, to_json
from dialog.slot_types.catalogue import plain_type
from dialog.slot_types.moments import Duration, read_date

_A_DAY = 86_400
_AN_HOUR = 3_600
_MAX_PLACES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """How a function is called and what comes back.

    `result` gives the type for the types of the arguments, None where it takes no such ones.
    """

    usage: str
    least: int
    most: int
    result: Callable[[Sequence[ValueType]], ValueType | None]
    apply: Callable[[Scope, tuple[Value, ...]], Value]


def _only(kinds: set[Kind], result: ValueType) -> Callable[[Sequence[ValueType]], ValueType | None]:
    return lambda types: result if {t.kind for t in types} <= {*kinds, Kind.ANY} else None


def _days_type(types: Sequence[ValueType]) -> ValueType | None:
    match types[0].kind:
        case Kind.NUMBER:
            return DURATION
        case Kind.DURATION | Kind.DATERANGE:
            return NUMBER
        case Kind.ANY:
            return ANY
        case _:
            return None


def _unit(seconds: int) -> Callable[[Scope, tuple[Value, ...]], Value]:
    def apply(_: Scope, values: tuple[Value, ...]) -> Value:
        match values[0]:
            case bool():
                return UNKNOWN
            case Decimal() as number:
                return Duration(0, timedelta(seconds=float(number * seconds)))
            case Duration() as duration if not duration.months:
                return Decimal(int(duration.length.total_seconds())) / seconds
            case {"start": start, "end": end}:
                days = (read_date(end) - read_date(start)).days
                return Decimal(days * _A_DAY) / seconds
            case _:
                return UNKNOWN

    return apply


def _round(_: Scope, values: tuple[Value, ...]) -> Value:
    number, places = values[0], values[1] if len(values) > 1 else Decimal(0)
    if not isinstance(number, Decimal) or not isinstance(places, Decimal):
        return UNKNOWN
    if not 0 <= places <= _MAX_PLACES:
        return UNKNOWN
    try:
        return number.quantize(Decimal(1).scaleb(-int(places)), rounding=ROUND_HALF_UP)
    except DecimalException:
        return UNKNOWN


def _extreme(op: str) -> Callable[[Scope, tuple[Value, ...]], Value]:
    def apply(_: Scope, values: tuple[Value, ...]) -> Value:
        first = values[0]
        parts = first if len(values) == 1 and isinstance(first, tuple) else values
        if not parts:
            return UNKNOWN
        best = parts[0]
        for part in parts[1:]:
            is_better = compare(op, part, best)
            if isinstance(is_better, Unknown):
                return UNKNOWN
            best = part if is_better else best
        return best

    return apply


def _extreme_type(types: Sequence[ValueType]) -> ValueType | None:
    if len(types) == 1:
        is_list = types[0].kind is Kind.LIST
        return (types[0].element or ANY) if is_list else ANY if types[0].kind is Kind.ANY else None
    kinds = {t.kind for t in types} - {Kind.ANY}
    return None if len(kinds) > 1 else next((t for t in types if t.kind in kinds), ANY)


def _quantifier(deciding: bool) -> Callable[[Scope, tuple[Value, ...]], Value]:
    def apply(_: Scope, values: tuple[Value, ...]) -> Value:
        parts = values[0]
        if not isinstance(parts, tuple):
            return UNKNOWN
        if any(part is deciding for part in parts):
            return deciding
        return not deciding if all(isinstance(part, bool) for part in parts) else UNKNOWN

    return apply


def _format(scope: Scope, values: tuple[Value, ...]) -> Value:
    value, name = to_json(values[0]), values[1]
    kind = plain_type(name) if isinstance(name, str) else None
    if kind is None or isinstance(value, Unknown):
        return UNKNOWN
    try:
        return kind.say(value, scope.locale)
    except ValueError:
        return UNKNOWN


def _today(scope: Scope, _: tuple[Value, ...]) -> date:
    return scope.now.date()


def _now(scope: Scope, _: tuple[Value, ...]) -> datetime:
    return scope.now


def _lower(_: Scope, values: tuple[Value, ...]) -> Value:
    return values[0].lower() if isinstance(values[0], str) else UNKNOWN


def _length(_: Scope, values: tuple[Value, ...]) -> Value:
    return length_of(values[0])


_MANY = 20
_SIZED = {Kind.LIST, Kind.TEXT}
FUNCTIONS = {
    "today": Function(usage="today()", least=0, most=0, result=lambda _: DATE, apply=_today),
    "now": Function(usage="now()", least=0, most=0, result=lambda _: DATETIME, apply=_now),
    "len": Function(
        usage="len(extras)", least=1, most=1, result=_only(_SIZED, NUMBER), apply=_length
    ),
    "days": Function(
        usage="days(check_out - check_in)", least=1, most=1, result=_days_type, apply=_unit(_A_DAY)
    ),
    "hours": Function(
        usage="hours(3)", least=1, most=1, result=_days_type, apply=_unit(_AN_HOUR)
    ),
    "lower": Function(
        usage="lower(name)", least=1, most=1, result=_only({Kind.TEXT}, TEXT), apply=_lower
    ),
    "round": Function(
        usage="round(price, 2)", least=1, most=2, result=_only({Kind.NUMBER}, NUMBER), apply=_round
    ),
    "min": Function(
        usage="min(a, b)", least=1, most=_MANY, result=_extreme_type, apply=_extreme("<")
    ),
    "max": Function(
        usage="max(a, b)", least=1, most=_MANY, result=_extreme_type, apply=_extreme(">")
    ),
    "any": Function(
        usage="any([a, b])", least=1, most=1, result=_only({Kind.LIST}, BOOL),
        apply=_quantifier(True),
    ),
    "all": Function(
        usage="all([a, b])", least=1, most=1, result=_only({Kind.LIST}, BOOL),
        apply=_quantifier(False),
    ),
    "format": Function(
        usage="format(price, 'money')", least=2, most=2, result=lambda _: TEXT, apply=_format
    ),
}  # fmt: skip
