"""From the text of an expression to a typed tree.

either  := both ("or" both)*            both    := inverse ("and" inverse)*
inverse := "not" inverse | compared     compared := sum (("==" | "<" | "in" | …) sum)?
sum     := product (("+" | "-") product)*
product := negative (("*" | "/") negative)*
negative := "-" negative | postfix      postfix := primary ("." NAME)*
primary := NUMBER [UNIT] | DATE | TIME | TEXT | "true" | "false" | NAME
         | FUNCTION "(" either ("," either)* ")" | "[" either ("," either)* "]" | "(" either ")"
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from dialog.bot.expression_functions import FUNCTIONS
from dialog.bot.expression_nodes import (
    Arithmetic,
    Attribute,
    BareWord,
    Call,
    Comparison,
    ListOf,
    Literal,
    Logic,
    Membership,
    Name,
    Negative,
    Not,
)
from dialog.bot.expression_operations import (
    ANY,
    BOOL,
    DATE,
    DATETIME,
    DURATION,
    MONEY,
    NUMBER,
    TEXT,
    TIME,
    arithmetic_type,
    column_type,
    is_comparable,
)
from dialog.bot.expression_tokens import (
    CURRENCIES,
    UNITS,
    ExpressionError,
    Token,
    TokenKind,
    tokens_of,
)
from dialog.bot.expressions import Expression, Node
from dialog.bot.source import SourceLine
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.moments import Duration, Money, read_date, read_datetime, read_time

MAX_NESTING = 50
_COMPARED = frozenset({"==", "!=", "<", "<=", ">", ">="})
_PARTS: dict[Kind, dict[str, ValueType]] = {
    Kind.MONEY: {"amount": NUMBER, "currency": TEXT},
    Kind.DATE: {"year": NUMBER, "month": NUMBER, "day": NUMBER},
    Kind.DATETIME: {"date": DATE, "time": TIME, "year": NUMBER, "month": NUMBER, "day": NUMBER},
    Kind.DATERANGE: {"start": DATE, "end": DATE},
}


def parse_expression(text: str, names: Mapping[str, ValueType], source: SourceLine) -> Expression:
    """Return the typed expression that a text is; `names` are what it may mention.

    Raises:
        ExpressionError: it cannot be read, mentions an unknown name, or mixes types.
    """
    parser = _Parser(tokens=tokens_of(text), names=names, text=text)
    root = parser.whole()
    return Expression(text=text, source=source, root=root, names=frozenset(parser.used))


@dataclass(slots=True, kw_only=True)
class _Parser:
    tokens: list[Token]
    names: Mapping[str, ValueType]
    text: str
    at: int = 0
    depth: int = 0
    used: set[str] = field(default_factory=set)
    bare: list[BareWord] = field(default_factory=list)

    def whole(self) -> Node:
        root = self.either()
        if self.token.kind is not TokenKind.END:
            self.fail(f"{self.token.text!r} is not expected here", self.token.start)
        for word in self.bare:
            near = difflib.get_close_matches(word.name, self.names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {sorted(self.names)}"
            self.fail(f"nothing is called {word.name!r}; {hint}", word.position)
        return root

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def fail(self, message: str, position: int) -> None:
        raise ExpressionError(f"{message} (in {self.text!r})", position)

    def take(self, *texts: str) -> str:
        """Return the next token if it is one of these, "" otherwise."""
        token = self.token
        if token.kind in {TokenKind.SIGN, TokenKind.NAME} and token.text in texts:
            self.at += 1
            return token.text
        return ""

    def expect(self, text: str) -> None:
        if not self.take(text):
            found = self.token.text or "the end"
            self.fail(f"expected {text!r}, found {found!r}", self.token.start)

    def either(self) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"more than {MAX_NESTING} parentheses inside of each other", 0)
        node = self.chain("or", [self.both()])
        self.depth -= 1
        return node

    def both(self) -> Node:
        return self.chain("and", [self.inverse()])

    def chain(self, word: str, operands: list[Node]) -> Node:
        while self.take(word):
            operands.append(self.both() if word == "or" else self.inverse())
        if len(operands) == 1:
            return operands[0]
        for operand in operands:
            self.need_bool(operand, word)
        return Logic(is_and=word == "and", operands=tuple(operands))

    def need_bool(self, node: Node, word: str) -> None:
        if node.type.kind not in {Kind.BOOL, Kind.ANY}:
            self.fail(
                f"{word!r} takes conditions, not a {node.type}; compare it with something",
                self.token.start,
            )

    def inverse(self) -> Node:
        num_nots = 0
        while self.take("not"):
            num_nots += 1
        node = self.compared()
        if num_nots:
            self.need_bool(node, "not")
        for _ in range(num_nots % 2 or (2 if num_nots else 0)):
            node = Not(operand=node)
        return node

    def compared(self) -> Node:
        left, start = self.sum(), self.token.start
        if self.token.text == "=" and self.token.kind is TokenKind.SIGN:
            self.fail("'=' compares nothing; write '=='", start)
        op = self.take(*_COMPARED)
        if op:
            right = self.sum()
            left, right = self.beside(left, right.type), self.beside(right, left.type)
            if not is_comparable(op, left.type, right.type):
                self.fail(f"a {left.type} cannot be compared with a {right.type}", start)
            if self.token.text in _COMPARED:
                self.fail("one comparison at a time; join two with 'and'", self.token.start)
            return Comparison(op=op, left=left, right=right)
        is_negated = self.token.text == "not" and self.tokens[self.at + 1].text == "in"
        if is_negated:
            self.at += 1
        if self.take("in"):
            return self.member(left, is_negated=is_negated, start=start)
        return left

    def member(self, element: Node, *, is_negated: bool, start: int) -> Node:
        whole = self.sum()
        whole = self.beside(whole, element.type)
        element = self.beside(element, whole.type.element or whole.type)
        inner = whole.type.element or ANY
        fits = {
            Kind.LIST: is_comparable("==", element.type, inner),
            Kind.TEXT: element.type.kind in {Kind.TEXT, Kind.ANY},
            Kind.DATERANGE: element.type.kind in {Kind.DATE, Kind.ANY},
            Kind.ANY: True,
        }.get(whole.type.kind, False)
        if not fits:
            self.fail(f"a {element.type} is never in a {whole.type}", start)
        return Membership(element=element, whole=whole, is_negated=is_negated)

    def beside(self, node: Node, other: ValueType) -> Node:
        """Read a bare word as the choice or the key that it is beside a choice or an entity."""
        if isinstance(node, ListOf):
            parts = tuple(self.beside(part, other) for part in node.parts)
            return replace(node, parts=parts, type=self.list_type(parts))
        if not isinstance(node, BareWord) or node not in self.bare:
            return node
        choice = other.element if other.kind is Kind.LIST and other.element else other
        is_key = choice.table is not None and node.name in choice.table
        if node.name not in choice.choices and not is_key:
            return node
        self.bare.remove(node)
        return Literal(constant=node.name, type=TEXT)

    def sum(self) -> Node:
        left = self.product()
        while (start := self.token.start) >= 0 and (op := self.take("+", "-")):
            left = self.arithmetic(op, left, self.product(), start)
        return left

    def product(self) -> Node:
        left = self.negative()
        while (start := self.token.start) >= 0 and (op := self.take("*", "/")):
            left = self.arithmetic(op, left, self.negative(), start)
        return left

    def arithmetic(self, op: str, left: Node, right: Node, start: int) -> Node:
        kind = arithmetic_type(op, left.type, right.type)
        if kind is None:
            self.fail(f"{left.type} {op} {right.type} has no meaning", start)
        return Arithmetic(op=op, left=left, right=right, type=kind or ANY)

    def negative(self) -> Node:
        start = self.token.start
        if not self.take("-"):
            return self.postfix()
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"more than {MAX_NESTING} signs inside of each other", start)
        operand = self.negative()
        self.depth -= 1
        if operand.type.kind not in {Kind.NUMBER, Kind.DURATION, Kind.MONEY, Kind.ANY}:
            self.fail(f"a {operand.type} has no negative", start)
        return Negative(operand=operand, type=operand.type)

    def postfix(self) -> Node:
        node = self.primary()
        while self.take("."):
            token = self.token
            if token.kind is not TokenKind.NAME:
                self.fail("after a point comes a name", token.start)
            self.at += 1
            kind = self.attribute_type(node.type, token)
            node = Attribute(whole=node, name=token.text, type=kind)
        return node

    def attribute_type(self, whole: ValueType, token: Token) -> ValueType:
        if whole.kind is Kind.ANY or (whole.kind is Kind.RECORD and whole.fields is None):
            return ANY
        if whole.kind is Kind.ENTITY and whole.table is not None:
            known = {column: column_type(held) for column, held in whole.table.columns.items()}
        elif whole.kind is Kind.RECORD:
            known = dict(whole.fields or {})
        else:
            known = _PARTS.get(whole.kind, {})
        if token.text not in known:
            near = difflib.get_close_matches(token.text, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {sorted(known)}"
            self.fail(f"a {whole} has no {token.text!r}; {hint}", token.start)
        return known.get(token.text, ANY)

    def primary(self) -> Node:
        token = self.token
        self.at += 1
        match token.kind:
            case TokenKind.NUMBER:
                return self.number(token)
            case TokenKind.TEXT:
                return Literal(constant=token.text, type=TEXT)
            case TokenKind.DATE | TokenKind.TIME | TokenKind.DATETIME:
                return self.moment(token)
            case TokenKind.NAME:
                return self.name(token)
        if token.text == "(":
            node = self.either()
            self.expect(")")
            return node
        if token.text == "[":
            parts = self.arguments("]")
            return ListOf(parts=parts, type=self.list_type(parts))
        self.at -= 1
        self.fail(f"expected a value, found {token.text or 'the end'!r}", token.start)
        raise AssertionError(token)  # fail() has raised

    def list_type(self, parts: tuple[Node, ...]) -> ValueType:
        kinds = {part.type.kind for part in parts}
        element = parts[0].type if len(kinds) == 1 else ANY
        return ValueType(kind=Kind.LIST, element=element)

    def arguments(self, closing: str) -> tuple[Node, ...]:
        parts: list[Node] = []
        if self.take(closing):
            return ()
        while True:
            parts.append(self.either())
            if self.take(closing):
                return tuple(parts)
            self.expect(",")

    def number(self, token: Token) -> Node:
        number, unit = Decimal(token.text), self.token.text
        if self.token.kind is TokenKind.SIGN and unit == "%":
            self.at += 1
            return Literal(constant=number, type=replace(NUMBER, slot_type="percent"))
        if self.token.kind is not TokenKind.NAME or unit in {"and", "or", "in", "not"}:
            return Literal(constant=number, type=NUMBER)
        self.at += 1
        if unit in CURRENCIES:
            return Literal(constant=Money(number, unit), type=MONEY)
        months, seconds = UNITS.get(unit, (0, 0))
        if not months and not seconds:
            self.fail(
                f"{unit!r} is no unit; write 30m, 2h, 3 days or 5 EUR",
                self.tokens[self.at - 1].start,
            )
        if months and number != number.to_integral_value():
            self.fail(f"months and years are whole, got {token.text}", token.start)
        length = timedelta(seconds=float(number * seconds))
        return Literal(constant=Duration(int(number) * months, length), type=DURATION)

    def moment(self, token: Token) -> Node:
        try:
            match token.kind:
                case TokenKind.DATE:
                    return Literal(constant=read_date(token.text), type=DATE)
                case TokenKind.TIME:
                    return Literal(constant=read_time(token.text), type=TIME)
                case _:
                    return Literal(constant=read_datetime(token.text), type=DATETIME)
        except ValueError as error:
            raise ExpressionError(f"{token.text!r}: {error}", token.start) from error

    def name(self, token: Token) -> Node:
        if token.text in {"true", "false"}:
            return Literal(constant=token.text == "true", type=BOOL)
        is_call = self.token.text == "(" and self.token.kind is TokenKind.SIGN
        if is_call or (token.text in {"today", "now"} and token.text not in self.names):
            return self.call(token, has_arguments=is_call)
        if token.text in self.names:
            self.used.add(token.text)
            return Name(name=token.text, type=self.names[token.text])
        word = BareWord(name=token.text, position=token.start)
        self.bare.append(word)
        return word

    def call(self, token: Token, *, has_arguments: bool) -> Node:
        function = FUNCTIONS.get(token.text)
        if function is None:
            near = difflib.get_close_matches(token.text, FUNCTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {sorted(FUNCTIONS)}"
            raise ExpressionError(f"no function is called {token.text!r}; {hint}", token.start)
        if has_arguments:
            self.expect("(")
        arguments = self.arguments(")") if has_arguments else ()
        if not function.least <= len(arguments) <= function.most:
            self.fail(f"{token.text} takes other arguments: {function.usage}", token.start)
        kind = function.result([argument.type for argument in arguments])
        if kind is None:
            types = ", ".join(str(argument.type) for argument in arguments)
            self.fail(f"{token.text} takes no ({types}): {function.usage}", token.start)
        return Call(name=token.text, function=function.apply, arguments=arguments, type=kind or ANY)
