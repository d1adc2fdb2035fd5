"""Arithmetic as text → a number. An own parser, exact fractions, and bounds on all that can grow.

    sum     := product (("+" | "-") product)*
    product := unary (("*" | "/" | "//" | "%" | "of") unary)*
    unary   := ("+" | "-") unary | power
    power   := postfix (("^" | "**") unary)?
    postfix := primary ("%" | "!")*
    primary := NUMBER | CONSTANT | NAME "(" sum ("," sum)* ")" | "(" sum ")"

As in mathematics, -2^2 is -4 and 2^3^2 is 2^9. A percent sign before a number or a parenthesis is
the remainder, else a hundredth. Roots, logarithms and angles are rounded to 30 digits or to those
of a float; a number knows whether it is exact.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from fractions import Fraction

MAX_CHARS = 1_000
MAX_NESTING = 50
MAX_BITS = 4_096  # of a numerator or a denominator: 1,233 digits
DIGITS = 30  # of what is not exact

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)|(?P<name>[A-Za-zπ√]\w*)"
    r"|(?P<sign>\*\*|//|[-+*/%^!(),]))"
)
_SIGNS = str.maketrans(
    {"\u00d7": "*", "·": "*", "÷": "/", "\u2212": "-", "\u2013": "-", "²": "^2 "}
)


class ExpressionError(ValueError):
    """A text that is no arithmetic, or that has no value we would compute; says where and why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value, and whether it is exact."""

    value: Fraction
    is_exact: bool = True

    def __str__(self) -> str:
        return _shown(self)


def evaluate(text: str) -> Number:
    """Return the value of an expression.

    Raises:
        ExpressionError: it cannot be read, has no value, or one that is too large.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"an expression has at most {MAX_CHARS} characters, got {len(text)}")
    return _Parser(_tokens(text.translate(_SIGNS))).whole()


def _tokens(text: str) -> list[str]:
    found = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"cannot read {text[at : at + 20]!r}; write like 3 * (2 + 0.5)")
        found.append(match[match.lastgroup or 0])
        at = match.end()
    return found


class _Parser:
    """Reads and computes in one go; each method is a rule of the grammar above."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Number:
        value = self._sum()
        if self._next:
            hint = "; write thousands without a comma" if self._next == "," else ""
            raise ExpressionError(f"nothing may follow here: {self._next!r}{hint}")
        return value

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        """Return the next token if it is one of these, "" if not."""
        if self._next and self._next in wanted:
            self._at += 1
            return self._tokens[self._at - 1]
        return ""

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise ExpressionError(f"{wanted!r} is missing before {self._next or 'the end'!r}")

    def _sum(self) -> Number:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ExpressionError(f"at most {MAX_NESTING} parentheses may lie in each other")
        value = self._product()
        while sign := self._take("+", "-"):
            value = _OPERATIONS[sign](value, self._product())
        self._depth -= 1
        return value

    def _product(self) -> Number:
        value = self._unary()
        while sign := self._take("*", "/", "//", "%", "of"):
            value = _OPERATIONS[sign](value, self._unary())
        return value

    def _unary(self) -> Number:
        is_negative = False
        while sign := self._take("+", "-"):
            is_negative ^= sign == "-"
        value = self._power()
        return Number(-value.value, value.is_exact) if is_negative else value

    def _power(self) -> Number:
        base = self._postfix()
        if not self._take("^", "**"):
            return base
        self._depth += 1  # 2^2^2^… nests without a parenthesis
        if self._depth > MAX_NESTING:
            raise ExpressionError(f"at most {MAX_NESTING} powers may stand on each other")
        value = _power(base, self._unary())
        self._depth -= 1
        return value

    def _postfix(self) -> Number:
        value = self._primary()
        while self._next == "!" or self._is_percent():
            sign = self._take("!", "%")
            value = _factorial(value) if sign == "!" else _times(value, Number(Fraction(1, 100)))
        return value

    def _is_percent(self) -> bool:
        if self._next != "%":
            return False
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        return not (after[:1].isalnum() or after[:1] in ("(", ".", "π", "√")) or after == "of"

    def _primary(self) -> Number:
        part = self._next
        if not part:
            raise ExpressionError("the expression ends too early")
        self._at += 1
        if part == "(":
            value = self._sum()
            self._expect(")")
            return value
        if part[0].isdigit() or part[0] == ".":
            return _bounded(Fraction(Decimal(part)))
        name = part.lower()
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _FUNCTIONS:
            return self._call(name)
        known = ", ".join(sorted({*_FUNCTIONS, *_CONSTANTS}))
        raise ExpressionError(f"{part[:20]!r} is not known here; there are {known}")

    def _call(self, name: str) -> Number:
        self._expect("(")
        arguments = [self._sum()]
        while self._take(","):
            arguments.append(self._sum())
        self._expect(")")
        function, least, most = _FUNCTIONS[name]
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


def _times(a: Number, b: Number) -> Number:
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


_OPERATIONS: dict[str, Callable[[Number, Number], Number]] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "of": _times,
    "/": _over,
    "//": _quotient,
    "%": _remainder,
}


def _power(base: Number, exponent: Number) -> Number:
    is_exact = base.is_exact and exponent.is_exact
    if exponent.value.denominator == 1:
        times = int(exponent.value)
        if not base.value and times < 0:
            raise ExpressionError("division by zero")
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        # Found before it is computed; ±1 and 0 stay small whatever the exponent.
        if abs(base.value) not in (0, 1) and (bits - 1) * abs(times) > MAX_BITS:
            raise ExpressionError(f"the power needs more than {MAX_BITS} bits")
        if abs(base.value) in (0, 1):
            times = times % 2 + 2 if times > 2 else times % 2 if times < 0 else times
        return _bounded(base.value**times, is_exact=is_exact)
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


def _factorial(number: Number) -> Number:
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


_MANY = MAX_CHARS
_FUNCTIONS: dict[str, tuple[Callable[..., Number], int, int]] = {
    "abs": (lambda number: Number(abs(number.value), number.is_exact), 1, 1),
    "ceil": (_integer(math.ceil), 1, 1),
    "cos": (_of_float(math.cos), 1, 1),
    "exp": (_exp, 1, 1),
    "factorial": (_factorial, 1, 1),
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
_CONSTANTS = {
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
