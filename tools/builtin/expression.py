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

import re
from collections.abc import Sequence
from fractions import Fraction

from tools.builtin.exact_numbers import (
    CONSTANTS,
    FUNCTIONS,
    OPERATIONS,
    ExpressionError,
    Number,
    call,
    factorial,
    negative,
    number_of,
    power,
    times,
)

MAX_CHARS = 1_000
MAX_NESTING = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)|(?P<name>[A-Za-zπ√]\w*)"
    r"|(?P<sign>\*\*|//|[-+*/%^!(),]))"
)
_SIGNS = str.maketrans(
    {"\u00d7": "*", "·": "*", "÷": "/", "\u2212": "-", "\u2013": "-", "²": "^2 "}
)


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
            value = OPERATIONS[sign](value, self._product())
        self._depth -= 1
        return value

    def _product(self) -> Number:
        value = self._unary()
        while sign := self._take("*", "/", "//", "%", "of"):
            value = OPERATIONS[sign](value, self._unary())
        return value

    def _unary(self) -> Number:
        is_negative = False
        while sign := self._take("+", "-"):
            is_negative ^= sign == "-"
        value = self._power()
        return negative(value) if is_negative else value

    def _power(self) -> Number:
        base = self._postfix()
        if not self._take("^", "**"):
            return base
        self._depth += 1  # 2^2^2^… nests without a parenthesis
        if self._depth > MAX_NESTING:
            raise ExpressionError(f"at most {MAX_NESTING} powers may stand on each other")
        value = power(base, self._unary())
        self._depth -= 1
        return value

    def _postfix(self) -> Number:
        value = self._primary()
        while self._next == "!" or self._is_percent():
            sign = self._take("!", "%")
            value = factorial(value) if sign == "!" else times(value, Number(Fraction(1, 100)))
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
            return number_of(part)
        name = part.lower()
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in FUNCTIONS:
            return self._call(name)
        known = ", ".join(sorted({*FUNCTIONS, *CONSTANTS}))
        raise ExpressionError(f"{part[:20]!r} is not known here; there are {known}")

    def _call(self, name: str) -> Number:
        self._expect("(")
        arguments = [self._sum()]
        while self._take(","):
            arguments.append(self._sum())
        self._expect(")")
        return call(name, arguments)
