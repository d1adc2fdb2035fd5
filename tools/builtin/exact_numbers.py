"""Exact numbers, and what can be computed of them, within bounds on all that can grow.

Roots, logarithms and angles are rounded to 30 digits or to those of a float; a number knows whether
it is exact. Knows no notation but how a number is shown.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from fractions import Fraction

MAX_NUMBERS = 1_000  # that a function takes at once
MAX_BITS = 4_096  # of a numerator or a denominator: 1,233 digits
DIGITS = 30  # of what is not exact


class ExpressionError(ValueError):
    """A text that is no arithmetic, or that has no value we would compute; says where and why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value, and whether it is exact."""

    value: Fraction
    is_exact: bool = True

    def __str__(self) -> str:
        return _shown(self)


def number_of(text: str) -> Number:
    """Return the number that digits write.

    Raises:
        ExpressionError: it is too large.
    """
    return _bounded(Fraction(Decimal(text)))


def negative(number: Number) -> Number:
    """Return the number with the other sign."""
    return Number(-number.value, number.is_exact)


def call(name: str, arguments: list[Number]) -> Number:
    """Return the value of a function of `FUNCTIONS`.

    Raises:
        ExpressionError: it takes another number of arguments, or has no value there.
    """
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise ExpressionError(f"{name} takes {least} to {most} numbers, got {len(arguments)}")
    try:
        return function(*arguments)
    except (DecimalException, ArithmeticError, ValueError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"{name} has no value there") from error


def _bounded(value: Fraction, *, is_exact: bool = True) -> Number:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ExpressionError(f"a number on the way needs more than {MAX_BITS} bits")
    return Number(value, is_exact)


def times(a: Number, b: Number) -> Number:
    """Return a product."""
    return _bounded(a.value * b.value, is_exact=a.is_exact and b.is_exact)


def _plus(a: Number, b: Number) -> Number:
    return _bounded(a.value + b.value, is_exact=a.is_exact and b.is_exact)


def _minus(a: Number, b: Number) -> Number:
    return _bounded(a.value - b.value, is_exact=a.is_exact and b.is_exact)


def _over(a: Number, b: Number) -> Number:
    return _bounded(a.value / _not_zero(b), is_exact=a.is_exact and b.is_exact)


def _quotient(a: Number, b: Number) -> Number:
    return _bounded(Fraction(a.value // _not_zero(b)), is_exact=a.is_exact and b.is_exact)


def _remainder(a: Number, b: Number) -> Number:
    return _bounded(a.value % _not_zero(b), is_exact=a.is_exact and b.is_exact)


def _not_zero(number: Number) -> Fraction:
    if not number.value:
        raise ExpressionError("division by zero")
    return number.value


OPERATIONS: dict[str, Callable[[Number, Number], Number]] = {
    "+": _plus,
    "-": _minus,
    "*": times,
    "of": times,
    "/": _over,
    "//": _quotient,
    "%": _remainder,
}


def power(base: Number, exponent: Number) -> Number:
    """Return a power; its size is found before it is computed."""
    is_exact = base.is_exact and exponent.is_exact
    if exponent.value.denominator == 1:
        count = int(exponent.value)
        if not base.value and count < 0:
            raise ExpressionError("division by zero")
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        # Found before it is computed; ±1 and 0 stay small whatever the exponent.
        if abs(base.value) not in (0, 1) and (bits - 1) * abs(count) > MAX_BITS:
            raise ExpressionError(f"the power needs more than {MAX_BITS} bits")
        if abs(base.value) in (0, 1):
            count = count % 2 + 2 if count > 2 else count % 2 if count < 0 else count
        return _bounded(base.value**count, is_exact=is_exact)
    if base.value < 0:
        raise ExpressionError("a negative number has no real power of that kind")
    if exponent.value == Fraction(1, 2):
        return _root(base)
    if not base.value:
        if exponent.value < 0:
            raise ExpressionError("division by zero")
        return base
    if abs(float(exponent.value) * _log2(base.value)) > MAX_BITS:
        raise ExpressionError(f"the power needs more than {MAX_BITS} bits")
    return _rounded(lambda b, e: b**e, base, exponent)


def _log2(value: Fraction) -> float:
    return math.log2(value.numerator) - math.log2(value.denominator)


def _rounded(function: Callable[..., Decimal], *numbers: Number) -> Number:
    with localcontext() as context:
        context.prec = DIGITS + 10
        decimals = [Decimal(n.value.numerator) / Decimal(n.value.denominator) for n in numbers]
        try:
            found = function(*decimals)
            context.prec = DIGITS
            return _bounded(Fraction(+found), is_exact=False)
        except (DecimalException, ArithmeticError, ValueError) as error:
            raise ExpressionError("that has no value, or one that is too large") from error


def _root(number: Number) -> Number:
    if number.value < 0:
        raise ExpressionError("a negative number has no real root")
    top, bottom = number.value.numerator, number.value.denominator
    root = Fraction(math.isqrt(top), math.isqrt(bottom))
    if root * root == number.value:
        return _bounded(root, is_exact=number.is_exact)
    return _rounded(Decimal.sqrt, number)


def factorial(number: Number) -> Number:
    """Return n! of a whole number up to 500."""
    if number.value.denominator != 1 or not 0 <= number.value <= 500:
        raise ExpressionError("factorials are of whole numbers from 0 to 500")
    return _bounded(Fraction(math.factorial(int(number.value))), is_exact=number.is_exact)


def _of_float(function: Callable[[float], float]) -> Callable[[Number], Number]:
    def made(number: Number) -> Number:
        if abs(number.value) > 10**9:
            raise ExpressionError("angles must be between -10^9 and 10^9")
        return _bounded(Fraction(repr(function(float(number.value)))), is_exact=False)

    return made


def _round(number: Number, places: Number | None = None) -> Number:
    digits = 0 if places is None else _whole(places)
    if abs(digits) > 100:
        raise ExpressionError("round takes -100 to 100 places")
    scale = Fraction(10) ** digits
    # A half goes away from zero, as people round; Python's own goes to the even digit.
    halves = math.floor(abs(number.value) * scale + Fraction(1, 2)) / scale
    return _bounded(halves if number.value >= 0 else -halves, is_exact=number.is_exact)


def _whole(number: Number) -> int:
    if number.value.denominator != 1:
        raise ExpressionError(f"a whole number is needed, got {number}")
    return int(number.value)


def _log(number: Number, base: Number | None = None) -> Number:
    if base is None:
        return _rounded(Decimal.log10, number)
    return _rounded(lambda x, b: x.ln() / b.ln(), number, base)


def _exp(number: Number) -> Number:
    if abs(number.value) > 2_000:
        raise ExpressionError("exp takes -2000 to 2000")
    return _rounded(Decimal.exp, number)


def _integer(function: Callable[[Fraction], int]) -> Callable[[Number], Number]:
    return lambda number: Number(Fraction(function(number.value)), number.is_exact)


def _of_all(function: Callable[..., Fraction]) -> Callable[..., Number]:
    def made(*numbers: Number) -> Number:
        exact = all(number.is_exact for number in numbers)
        return _bounded(Fraction(function([number.value for number in numbers])), is_exact=exact)

    return made


_MANY = MAX_NUMBERS
FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int]] = {
    "abs": (lambda number: Number(abs(number.value), number.is_exact), 1, 1),
    "ceil": (_integer(math.ceil), 1, 1),
    "cos": (_of_float(math.cos), 1, 1),
    "exp": (_exp, 1, 1),
    "factorial": (factorial, 1, 1),
    "floor": (_integer(math.floor), 1, 1),
    "gcd": (_of_all(lambda ns: Fraction(math.gcd(*(_whole(Number(n)) for n in ns)))), 1, _MANY),
    "lcm": (_of_all(lambda ns: Fraction(math.lcm(*(_whole(Number(n)) for n in ns)))), 1, _MANY),
    "ln": (lambda number: _rounded(Decimal.ln, number), 1, 1),
    "log": (_log, 1, 2),
    "max": (_of_all(max), 1, _MANY),
    "mean": (_of_all(lambda ns: sum(ns, Fraction(0)) / len(ns)), 1, _MANY),
    "min": (_of_all(min), 1, _MANY),
    "round": (_round, 1, 2),
    "sin": (_of_float(math.sin), 1, 1),
    "sqrt": (_root, 1, 1),
    "sum": (_of_all(lambda ns: sum(ns, Fraction(0))), 1, _MANY),
    "tan": (_of_float(math.tan), 1, 1),
}
_PI = Number(Fraction("3.14159265358979323846264338328"), is_exact=False)
CONSTANTS = {
    "pi": _PI,
    "π": _PI,
    "e": Number(Fraction("2.71828182845904523536028747135"), is_exact=False),
}


def _shown(number: Number) -> str:
    """Write a number: all digits if it is exact and ends within 40 places, else "≈"."""
    value = number.value
    if value.denominator == 1 and number.is_exact:
        return str(value.numerator)
    rest = value.denominator
    twos = (rest & -rest).bit_length() - 1
    rest >>= twos
    fives = 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if number.is_exact and rest == 1 and places <= 40:
        digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[:-places]}.{digits[-places:]}"
    return f"≈ {_approximation(value)}" + (f" (exactly {value})" if _is_short(number) else "")


def _is_short(number: Number) -> bool:
    return number.is_exact and len(str(number.value.denominator)) <= 12


def _approximation(value: Fraction) -> str:
    with localcontext() as context:
        context.prec = 15
        found = Decimal(value.numerator) / Decimal(value.denominator)
        plain = f"{found:f}" if -7 < found.adjusted() < 21 else f"{found:E}"
    head, mark, power = plain.partition("E")
    return (head.rstrip("0").rstrip(".") if "." in head else head) + mark + power
