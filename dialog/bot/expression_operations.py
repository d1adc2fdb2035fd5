"""What the operators of an expression do, and which types they take."""

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from typing import Any

from dialog.bot.value_types import UNKNOWN, Kind, Row, Unknown, Value, ValueType, from_json
from dialog.slot_types.moments import Duration, Money, read_date, read_datetime, read_time

ANY = ValueType(kind=Kind.ANY)
BOOL = ValueType(kind=Kind.BOOL, slot_type="bool")
NUMBER = ValueType(kind=Kind.NUMBER, slot_type="number")
TEXT = ValueType(kind=Kind.TEXT, slot_type="text")
DATE = ValueType(kind=Kind.DATE, slot_type="date")
TIME = ValueType(kind=Kind.TIME, slot_type="time")
DATETIME = ValueType(kind=Kind.DATETIME, slot_type="datetime")
DURATION = ValueType(kind=Kind.DURATION, slot_type="duration")
MONEY = ValueType(kind=Kind.MONEY, slot_type="money")

_ORDERED = frozenset({
    Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.TIME, Kind.DATETIME, Kind.DURATION, Kind.MONEY,
})  # fmt: skip

_N, _D, _T, _DT, _DU, _M = (
    Kind.NUMBER,
    Kind.DATE,
    Kind.TIME,
    Kind.DATETIME,
    Kind.DURATION,
    Kind.MONEY,
)
_ARITHMETIC: dict[tuple[str, Kind, Kind], ValueType] = {
    ("+", _N, _N): NUMBER, ("-", _N, _N): NUMBER, ("*", _N, _N): NUMBER, ("/", _N, _N): NUMBER,
    ("+", _D, _DU): DATE, ("-", _D, _DU): DATE, ("-", _D, _D): DURATION,
    ("+", _DT, _DU): DATETIME, ("-", _DT, _DU): DATETIME, ("-", _DT, _DT): DURATION,
    ("+", _T, _DU): TIME, ("-", _T, _DU): TIME,
    ("+", _DU, _DU): DURATION, ("-", _DU, _DU): DURATION,
    ("*", _DU, _N): DURATION, ("*", _N, _DU): DURATION, ("/", _DU, _DU): NUMBER,
    ("+", _M, _M): MONEY, ("-", _M, _M): MONEY, ("*", _M, _N): MONEY, ("*", _N, _M): MONEY,
    ("/", _M, _N): MONEY, ("/", _M, _M): NUMBER,
    ("+", Kind.TEXT, Kind.TEXT): TEXT,
}  # fmt: skip

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def arithmetic_type(op: str, left: ValueType, right: ValueType) -> ValueType | None:
    """Return the type of `left op right`, None where there is none."""
    if Kind.ANY in {left.kind, right.kind}:
        return ANY
    return _ARITHMETIC.get((op, left.kind, right.kind))


def is_comparable(op: str, left: ValueType, right: ValueType) -> bool:
    """Return whether a comparison of these types can ever be true or false."""
    kinds = {left.kind, right.kind}
    if Kind.ANY in kinds:
        return True
    if kinds == {Kind.ENTITY, Kind.TEXT} or kinds == {Kind.DATE, Kind.DATETIME}:
        return op in {"==", "!="} or Kind.DATE in kinds
    if len(kinds) > 1:
        return False
    if op in {"==", "!="}:
        return left.table is None or right.table is None or left.table.name == right.table.name
    return left.kind in _ORDERED


def compare(op: str, left: Value, right: Value) -> Value:
    """Return the truth of `left op right`; UNKNOWN where the values cannot be compared."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    left, right = _alike(left, right)
    if isinstance(left, Money) and isinstance(right, Money):
        if left.currency != right.currency:
            return UNKNOWN if op not in {"==", "!="} else op == "!="
        return _COMPARISONS[op](left.amount, right.amount)
    if type(left) is not type(right):
        return UNKNOWN if op not in {"==", "!="} else op == "!="
    try:
        return _COMPARISONS[op](left, right)
    except TypeError:
        return UNKNOWN


def _alike(left: Value, right: Value) -> tuple[Value, Value]:
    """Bring two values to one type where one of them came without its type, as JSON does."""
    if type(left) is type(right):
        return left, right
    one = _as(left, right)
    return (one, right) if type(one) is type(right) else (left, _as(right, left))


def _as(value: Value, model: Value) -> Value:
    try:
        return _converted(value, model)
    except (ValueError, DecimalException):
        return value


def _converted(value: Value, model: Value) -> Value:
    if isinstance(model, Row):
        return Row(model.table, value) if isinstance(value, str) else value
    if isinstance(model, Money):
        if isinstance(value, Decimal):
            return Money(value, model.currency)
        return Money.read(value) if isinstance(value, Mapping) else value
    if isinstance(model, date) and not isinstance(model, datetime) and isinstance(value, datetime):
        return value.date()
    if not isinstance(value, str):
        return value
    return _read(value, model)


def _read(text: str, model: Value) -> Value:
    match model:
        case datetime():
            return read_datetime(text)
        case date():
            return read_date(text)
        case time():
            return read_time(text)
        case Duration():
            return Duration.read(text)
        case Decimal():
            return Decimal(text)
        case _:
            return text


def contains(element: Value, whole: Value) -> Value:
    """Return whether `element in whole`: a list, a text, a range of days."""
    if isinstance(element, Unknown) or isinstance(whole, Unknown):
        return UNKNOWN
    if isinstance(whole, str):
        return element.casefold() in whole.casefold() if isinstance(element, str) else UNKNOWN
    if isinstance(whole, Mapping) and {"start", "end"} <= set(whole) and isinstance(element, date):
        return read_date(whole["start"]) <= element <= read_date(whole["end"])
    if not isinstance(whole, tuple):
        return UNKNOWN
    truths = [compare("==", element, part) for part in whole]
    if True in truths:
        return True
    return UNKNOWN if UNKNOWN in truths else False


def calculate(op: str, left: Value, right: Value) -> Value:
    """Return `left op right`; UNKNOWN where it has no value, as a division by zero."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if isinstance(left, Decimal) and isinstance(right, str):
        right = _as(right, left)
    elif isinstance(right, Decimal) and isinstance(left, str):
        left = _as(left, right)
    try:
        return _calculated(op, left, right)
    except (ArithmeticError, OverflowError, ValueError):
        return UNKNOWN


def _calculated(op: str, left: Value, right: Value) -> Value:  # noqa: PLR0911 - one per pair
    match left, right:
        case (bool(), _) | (_, bool()):
            return UNKNOWN
        case Decimal(), Decimal():
            return _number(op, left, right)
        case str(), str():
            return left + right if op == "+" else UNKNOWN
        case Money(), Money():
            return _moneys(op, left, right)
        case (Money(), Decimal()) | (Decimal(), Money()):
            money, number = (left, right) if isinstance(left, Money) else (right, left)
            if not isinstance(money, Money) or not isinstance(number, Decimal):
                return UNKNOWN
            if op == "*" or (op == "/" and isinstance(left, Money)):
                return Money(_number(op, money.amount, number), money.currency)
            return UNKNOWN
        case _:
            return _moments(op, left, right)


def _number(op: str, left: Decimal, right: Decimal) -> Decimal:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right


def _moneys(op: str, left: Money, right: Money) -> Value:
    if left.currency != right.currency or op == "*":
        return UNKNOWN
    number = _number(op, left.amount, right.amount)
    return number if op == "/" else Money(number, left.currency)


def _moments(op: str, left: Value, right: Value) -> Value:  # noqa: PLR0911 - one per pair
    match left, right:
        case (datetime(), datetime()) | (date(), date()) if op == "-":
            return _difference(left, right)
        case datetime(), Duration():
            return (right if op == "+" else -right).after_moment(left)
        case date(), Duration():
            return (right if op == "+" else -right).after(left)
        case time(), Duration():
            moment = datetime.combine(date(2000, 1, 1), left)
            return (right if op == "+" else -right).after_moment(moment).time()
        case Duration(), Duration():
            if op == "/":
                return Decimal(int(left.length.total_seconds())) / int(right.length.total_seconds())
            return left + (right if op == "+" else -right) if op != "*" else UNKNOWN
        case (Duration(), Decimal()) | (Decimal(), Duration()) if op == "*":
            return _times(left, right)
        case _:
            return UNKNOWN


def _difference(left: date, right: date) -> Value:
    if isinstance(left, datetime) != isinstance(right, datetime):
        return UNKNOWN
    return Duration(0, left - right)


def _times(left: Value, right: Value) -> Value:
    duration, number = (left, right) if isinstance(left, Duration) else (right, left)
    if not isinstance(duration, Duration) or not isinstance(number, Decimal):
        return UNKNOWN
    if duration.months and number != number.to_integral_value():
        return UNKNOWN
    seconds = Decimal(int(duration.length.total_seconds())) * number
    return Duration(duration.months * int(number), timedelta(seconds=float(seconds)))


def column_type(held: str, table_of: Mapping[str, ValueType] | None = None) -> ValueType:
    """Return the type of a table's column by what it holds."""
    known = {"number": NUMBER, "bool": BOOL, "date": DATE, "time": TIME, **(table_of or {})}
    if held == "list":
        return ValueType(kind=Kind.LIST, element=TEXT)
    return known.get(held, TEXT)


def field_of(value: Value, name: str, kind: ValueType) -> Value:
    """Return an attribute of a value, of a static type; UNKNOWN where it has none."""
    match value:
        case Row():
            row = value.table.get(value.key)
            return UNKNOWN if row is None else from_json(row.get(name), kind)
        case Money():
            return value.amount if name == "amount" else value.currency
        case datetime() if name in {"date", "time"}:
            return value.date() if name == "date" else value.time()
        case date() if name in {"year", "month", "day"}:
            return Decimal(int(getattr(value, name)))
        case Mapping():
            return from_json(value.get(name), kind)
        case _:
            return UNKNOWN


def length_of(value: Value) -> Value:
    """Return how many characters or elements a value has."""
    return Decimal(len(value)) if isinstance(value, str | Sequence) else UNKNOWN
