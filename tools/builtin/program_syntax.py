"""The lines of a program: text → tree. Knows the notation, and neither types nor values.

statement  := NAME "=" comparison
comparison := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)?
sum        := product (("+" | "-") product)*
product    := power (("*" | "/" | "//" | "%") power)*
power      := ("-")* primary ("^" power)?
primary    := NUMBER | DATE | NAME | NAME "(" comparison ("," comparison)* ")" | "(" … ")"
"""

import re
from dataclasses import dataclass
from datetime import date

from tools.builtin.exact_numbers import CONSTANTS, ExpressionError, Number, number_of

MAX_NESTING = 40
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")


class ProgramError(ExpressionError):
    """A program that cannot be read, whose types do not fit, or that has no value."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written down."""

    value: "Value"


@dataclass(frozen=True, slots=True)
class Name:
    """A value that a line before gave a name."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """The other sign of a value."""

    operand: "Tree"


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation on two values."""

    sign: str
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of some values."""

    name: str
    arguments: "tuple[Tree, ...]"


@dataclass(frozen=True, slots=True)
class Days:
    """A span between two dates."""

    count: int


Value = Number | date | Days | bool | str
Tree = Literal | Name | Negative | Binary | Call


_TOKEN = re.compile(
    r"\s*(?:(?P<date>\d{4}-\d{2}-\d{2})|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>//|<=|>=|==|!=|[-+*/%^(),<>=]))"
)


def read_line(line: str) -> tuple[str, Tree]:
    """Return the name that a line gives a value, and the tree of the value.

    Raises:
        ProgramError: the line cannot be read; says what is wrong with it.
    """
    return _Parser(line).statement()


class _Parser:
    """Reads one line; each method is a rule of the grammar above."""

    def __init__(self, line: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        self._depth = 0
        position = 0
        while position < len(line):
            found = _TOKEN.match(line, position)
            if found is None:
                raise ProgramError(f"cannot read {line[position : position + 20]!r}")
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind]))
            position = found.end()

    def statement(self) -> tuple[str, Tree]:
        kind, name = self._next()
        if kind != "name" or not self._take("="):
            raise ProgramError("a line is NAME = EXPRESSION, as in total = 3 * 4")
        tree = self._comparison()
        if self._at < len(self._tokens):
            raise ProgramError(f"nothing may follow here: {self._tokens[self._at][1]!r}")
        return name, tree

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise ProgramError("the line ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *signs: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][1] in signs:
            return self._next()[1]
        return ""

    def _comparison(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ProgramError(f"at most {MAX_NESTING} parentheses may lie in each other")
        left = self._sum()
        if sign := self._take(*COMPARISONS):
            left = Binary(sign, left, self._sum())
        self._depth -= 1
        return left

    def _sum(self) -> Tree:
        left = self._product()
        while sign := self._take("+", "-"):
            left = Binary(sign, left, self._product())
        return left

    def _product(self) -> Tree:
        left = self._power()
        while sign := self._take("*", "/", "//", "%"):
            left = Binary(sign, left, self._power())
        return left

    def _power(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ProgramError(f"at most {MAX_NESTING} signs may stand on each other")
        if self._take("-"):
            tree: Tree = Negative(self._power())
        else:
            tree = self._primary()
            if self._take("^"):
                tree = Binary("^", tree, self._power())
        self._depth -= 1
        return tree

    def _primary(self) -> Tree:
        kind, text = self._next()
        if kind == "number":
            return Literal(number_of(text))
        if kind == "date":
            return Literal(_date(text))
        if text == "(":
            inner = self._comparison()
            self._close()
            return inner
        if kind != "name":
            raise ProgramError(f"a value is missing before {text!r}")
        if not self._take("("):
            return Literal(CONSTANTS[text]) if text in CONSTANTS else Name(text)
        arguments = [self._comparison()]
        while self._take(","):
            arguments.append(self._comparison())
        self._close()
        return Call(text, tuple(arguments))

    def _close(self) -> None:
        if not self._take(")"):
            raise ProgramError("a parenthesis is not closed")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ProgramError(f"{text} is no day of the calendar") from error
