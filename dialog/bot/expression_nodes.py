"""The parts of an expression, each with its static type and its three-valued meaning.

`and`, `or` and `not` are Kleene's: an unknown part matters only where it could change the result.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dialog.bot.expression_operations import ANY, BOOL, calculate, compare, contains, field_of
from dialog.bot.expressions import Node, Scope
from dialog.bot.value_types import (
    UNKNOWN,
    Unknown,
    Value,
    ValueType,
    from_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A value as written."""

    constant: Value
    type: ValueType

    def value(self, scope: Scope) -> Value:  # noqa: ARG002 - the same in every scope
        """Return it."""
        return self.constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A slot, a fact or a result by its name."""

    name: str
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return what the scope has under the name."""
        return from_json(scope.values.get(self.name), self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """`whole.name`: a column of an entity, a part of a value, a field of a result."""

    whole: Node
    name: str
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return the attribute; UNKNOWN where it is missing."""
        return field_of(self.whole.value(scope), self.name, self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """`not x`."""

    operand: Node
    type: ValueType = BOOL

    def value(self, scope: Scope) -> Value:
        """Return the contrary; the contrary of an unknown is unknown."""
        value = self.operand.value(scope)
        return not value if isinstance(value, bool) else UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """`-x`."""

    operand: Node
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return the negative."""
        return calculate("*", self.operand.value(scope), from_json(-1, self.type))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic:
    """`a and b and c`, `a or b or c`."""

    is_and: bool
    operands: tuple[Node, ...]
    type: ValueType = BOOL

    def value(self, scope: Scope) -> Value:
        """Return the conjunction or disjunction; the deciding value decides, else unknowns do."""
        deciding = not self.is_and
        is_known = True
        for operand in self.operands:
            value = operand.value(scope)
            if value is deciding:
                return deciding
            is_known = is_known and isinstance(value, bool)
        return self.is_and if is_known else UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`a == b`, `a < b`, …."""

    op: str
    left: Node
    right: Node
    type: ValueType = BOOL

    def value(self, scope: Scope) -> Value:
        """Return whether it holds."""
        return compare(self.op, self.left.value(scope), self.right.value(scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`a in b`, `a not in b`."""

    element: Node
    whole: Node
    is_negated: bool
    type: ValueType = BOOL

    def value(self, scope: Scope) -> Value:
        """Return whether the element is there."""
        found = contains(self.element.value(scope), self.whole.value(scope))
        return not found if self.is_negated and isinstance(found, bool) else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """`a + b`, `a - b`, `a * b`, `a / b`."""

    op: str
    left: Node
    right: Node
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return the result."""
        return calculate(self.op, self.left.value(scope), self.right.value(scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`[a, b, c]`."""

    parts: tuple[Node, ...]
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return the values; an unknown part stays in it."""
        return tuple(part.value(scope) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function of the list."""

    name: str
    function: Callable[[Scope, tuple[Value, ...]], Value]
    arguments: tuple[Node, ...]
    type: ValueType

    def value(self, scope: Scope) -> Value:
        """Return the function's value; UNKNOWN where an argument is."""
        values = tuple(argument.value(scope) for argument in self.arguments)
        if any(isinstance(value, Unknown) for value in values):
            return UNKNOWN
        return self.function(scope, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class BareWord:
    """A word that is no name: a choice without its quotes, once it is compared with one."""

    name: str
    position: int
    type: ValueType = ANY

    def value(self, scope: Scope) -> Value:  # noqa: ARG002 - never left in a finished expression
        """Return UNKNOWN."""
        return UNKNOWN
