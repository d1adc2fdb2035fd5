"""Short programs of typed expressions: read to a tree, checked, then computed by walking the tree.

    start = 2025-03-07
    nights = 3
    price = if(nights > 2, 80, 95) * nights
    answer = price + 12.50

Values are exact numbers, dates, spans of days, truths and texts (of `weekday` alone). There are no
loops and no functions of one's own, so that a program takes time linear in its length. No `eval`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from tools.builtin.exact_numbers import (
    CONSTANTS,
    FUNCTIONS,
    OPERATIONS,
    ExpressionError,
    Number,
    call,
    negative,
    power,
)
from tools.builtin.program_syntax import (
    COMPARISONS,
    Binary,
    Call,
    Days,
    Literal,
    Name,
    Negative,
    ProgramError,
    Tree,
    Value,
    read_line,
)

MAX_CHARS = 2_000
MAX_LINES = 20
RESULT = "answer"


class Kind(StrEnum):
    """The type of a value."""

    NUMBER = "number"
    DATE = "date"
    DAYS = "span of days"
    TRUTH = "truth"
    TEXT = "text"


# What a function of ours takes, and what it gives: those of numbers alone are in FUNCTIONS.
_SIGNATURES: dict[str, tuple[tuple[Kind, ...], Kind]] = {
    "days": ((Kind.NUMBER,), Kind.DAYS),
    "weeks": ((Kind.NUMBER,), Kind.DAYS),
    "count_days": ((Kind.DAYS,), Kind.NUMBER),
    "weekday": ((Kind.DATE,), Kind.TEXT),
    "year": ((Kind.DATE,), Kind.NUMBER),
    "month": ((Kind.DATE,), Kind.NUMBER),
    "day": ((Kind.DATE,), Kind.NUMBER),
}
_OPERATIONS: dict[tuple[str, Kind, Kind], Kind] = {
    **{(sign, Kind.NUMBER, Kind.NUMBER): Kind.NUMBER for sign in ("+", "-", "*", "/", "//", "%")},
    ("^", Kind.NUMBER, Kind.NUMBER): Kind.NUMBER,
    ("-", Kind.DATE, Kind.DATE): Kind.DAYS,
    ("+", Kind.DATE, Kind.DAYS): Kind.DATE,
    ("-", Kind.DATE, Kind.DAYS): Kind.DATE,
    ("+", Kind.DAYS, Kind.DAYS): Kind.DAYS,
    ("-", Kind.DAYS, Kind.DAYS): Kind.DAYS,
    ("*", Kind.DAYS, Kind.NUMBER): Kind.DAYS,
    ("*", Kind.NUMBER, Kind.DAYS): Kind.DAYS,
}
_ORDERED = (Kind.NUMBER, Kind.DATE, Kind.DAYS)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was read and whose types fit; `kind` is that of its answer."""

    lines: tuple[tuple[str, Tree], ...]
    kind: Kind

    def run(self) -> Value:
        """Return the value of the answer.

        Raises:
            ProgramError: a value on the way does not exist, or is too large.
        """
        values: dict[str, Value] = {}
        for number, (name, tree) in enumerate(self.lines, start=1):
            try:
                values[name] = _value(tree, values)
            except (ExpressionError, OverflowError) as error:
                raise ProgramError(f"line {number}: {error}") from error
        return values[RESULT]


def read_program(text: str) -> Program:
    """Return the program that a text writes.

    Raises:
        ProgramError: a line cannot be read, or an operation does not take these values; says where.
    """
    if len(text) > MAX_CHARS:
        raise ProgramError(f"a program has at most {MAX_CHARS} characters, got {len(text)}")
    written = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(written) <= MAX_LINES:
        raise ProgramError(f"a program has 1 to {MAX_LINES} lines, got {len(written)}")
    kinds: dict[str, Kind] = {}
    lines: list[tuple[str, Tree]] = []
    for number, line in enumerate(written, start=1):
        try:
            name, tree = read_line(line)
            if name in FUNCTIONS or name in CONSTANTS or name in _SIGNATURES or name == "if":
                raise ProgramError(f"{name!r} has a meaning already; choose another name")
            kinds[name] = _kind(tree, kinds)
        except ExpressionError as error:
            raise ProgramError(f"line {number}: {error}") from error
        lines.append((name, tree))
    if lines[-1][0] != RESULT:
        raise ProgramError(f"the last line must give {RESULT!r} its value, as in {RESULT} = 3 * 4")
    return Program(lines=tuple(lines), kind=kinds[RESULT])


def shown(value: Value) -> str:
    """Return a value as text."""
    match value:
        case bool():
            return "true" if value else "false"
        case Days(count=count):
            return "1 day" if count == 1 else f"{count} days"
        case date():
            return value.isoformat()
    return str(value)


# --- types -----------------------------------------------------------------------------------


def _kind(tree: Tree, kinds: Mapping[str, Kind]) -> Kind:
    match tree:
        case Literal(value=value):
            return Kind.DATE if isinstance(value, date) else Kind.NUMBER
        case Name(name=name):
            if name not in kinds:
                raise ProgramError(f"{name!r} has no value yet; there are {sorted(kinds)}")
            return kinds[name]
        case Negative(operand=operand):
            kind = _kind(operand, kinds)
            if kind not in (Kind.NUMBER, Kind.DAYS):
                raise ProgramError(f"a {kind} has no other sign")
            return kind
        case Binary(sign=sign, left=left, right=right):
            return _binary_kind(sign, _kind(left, kinds), _kind(right, kinds))
        case Call(name=name, arguments=arguments):
            return _call_kind(name, [_kind(part, kinds) for part in arguments])


def _binary_kind(sign: str, left: Kind, right: Kind) -> Kind:
    if sign in COMPARISONS:
        if left is not right or (sign not in ("==", "!=") and left not in _ORDERED):
            raise ProgramError(f"a {left} and a {right} cannot be compared by {sign}")
        return Kind.TRUTH
    if (sign, left, right) not in _OPERATIONS:
        raise ProgramError(f"{sign} does not take a {left} and a {right}")
    return _OPERATIONS[sign, left, right]


def _call_kind(name: str, kinds: list[Kind]) -> Kind:
    if name == "if":
        if len(kinds) != 3 or kinds[0] is not Kind.TRUTH or kinds[1] is not kinds[2]:
            raise ProgramError("if takes a truth and two values of one kind")
        return kinds[1]
    if name in _SIGNATURES:
        taken, given = _SIGNATURES[name]
        if tuple(kinds) != taken:
            raise ProgramError(f"{name} takes a {taken[0]}, got {', '.join(kinds)}")
        return given
    if name not in FUNCTIONS:
        known = ", ".join(sorted({*FUNCTIONS, *_SIGNATURES, "if"}))
        raise ProgramError(f"there is no function {name[:20]!r}; there are {known}")
    if any(kind is not Kind.NUMBER for kind in kinds):
        raise ProgramError(f"{name} takes numbers, got {', '.join(kinds)}")
    _, least, most = FUNCTIONS[name]
    if not least <= len(kinds) <= most:
        raise ProgramError(f"{name} takes {least} to {most} numbers, got {len(kinds)}")
    return Kind.NUMBER


# --- values ----------------------------------------------------------------------------------


def _value(tree: Tree, values: Mapping[str, Value]) -> Value:
    match tree:
        case Literal(value=value):
            return value
        case Name(name=name):
            return values[name]
        case Negative(operand=operand):
            inner = _value(operand, values)
            return Days(-inner.count) if isinstance(inner, Days) else negative(_number(inner))
        case Binary(sign=sign, left=left, right=right):
            return _binary(sign, _value(left, values), _value(right, values))
        case Call(name="if", arguments=arguments):
            return _value(arguments[1 if _value(arguments[0], values) else 2], values)
        case Call(name=name, arguments=arguments):
            return _called(name, [_value(part, values) for part in arguments])


def _binary(sign: str, left: Value, right: Value) -> Value:
    if sign in COMPARISONS:
        return _compared(sign, _ordinal(left), _ordinal(right))
    if isinstance(left, date):
        if isinstance(right, date):
            return Days((left - right).days)
        assert isinstance(right, Days)
        return left + timedelta(days=right.count if sign == "+" else -right.count)
    if isinstance(left, Days) or isinstance(right, Days):
        return _of_days(sign, left, right)
    if sign == "^":
        return power(_number(left), _number(right))
    return OPERATIONS[sign](_number(left), _number(right))


def _of_days(sign: str, left: Value, right: Value) -> Days:
    if isinstance(left, Days) and isinstance(right, Days):
        return Days(left.count + (right.count if sign == "+" else -right.count))
    span, factor = (left, right) if isinstance(left, Days) else (right, left)
    assert isinstance(span, Days)
    return _days(_number(factor), span.count)


def _days(number: Number, each: int = 1) -> Days:
    days = number.value * each
    if days.denominator != 1 or abs(days) > 10_000_000:
        raise ProgramError(f"a span is a whole number of days up to 10 million, got {number}")
    return Days(int(days))


def _called(name: str, arguments: list[Value]) -> Value:
    first = arguments[0]
    match name:
        case "days" | "weeks":
            return _days(_number(first), 7 if name == "weeks" else 1)
        case "count_days":
            assert isinstance(first, Days)
            return Number(Fraction(first.count))
        case "weekday":
            assert isinstance(first, date)
            return f"{first:%A}"
        case "year" | "month" | "day":
            return Number(Fraction(getattr(first, name)))
    return call(name, [_number(value) for value in arguments])


def _compared(sign: str, left: Fraction | str, right: Fraction | str) -> bool:
    match sign:
        case "==":
            return left == right
        case "!=":
            return left != right
    assert isinstance(left, Fraction)
    assert isinstance(right, Fraction)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


def _ordinal(value: Value) -> Fraction | str:
    match value:
        case Number(value=number):
            return number
        case Days(count=count):
            return Fraction(count)
        case date():
            return Fraction(value.toordinal())
        case bool():
            return Fraction(int(value))
    return value


def _number(value: Value) -> Number:
    assert isinstance(value, Number)
    return value
