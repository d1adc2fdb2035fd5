"""Guards that never change: conditions that are always true, or can never be.

A condition over yes-no facts, choices, numbers and rows of tables is tried with every combination
of the values that could matter (for numbers: those around each number in it). Others are left
alone: "constant" is only said of what was tried completely.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

from dialog.bot.definition import BotDefinition, SlotDefinition, TaskDefinition
from dialog.bot.dependencies import all_steps
from dialog.bot.environment import HANDOFF_NAMES, value_type
from dialog.bot.expression_nodes import (
    Arithmetic,
    Attribute,
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
from dialog.bot.expressions import Expression, Node, Scope
from dialog.bot.problems import Problem
from dialog.bot.value_types import Kind, ValueType
from dialog.builder.findings import error, warning
from dialog.slot_types.base import JsonValue

MAX_COMBINATIONS = 20_000
_NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)


def guard_findings(bot: BotDefinition) -> Iterator[Problem]:
    """Yield conditions that are constant, and those that stand twice."""
    for task in bot.tasks.values():
        types = {n: value_type(s.type, bot.tables, many=s.many) for n, s in task.slots.items()}
        types |= {n: value_type(s.type, bot.tables, many=s.many) for n, s in bot.user.items()}
        for what, guard in guards_of(task):
            truth = constant_truth(guard, types, task.slots)
            if truth is not None:
                yield _constant(task, what, guard, truth=truth)
    seen: dict[str, Expression] = {}
    for rule in bot.behaviour.handoff_when:
        text = " ".join(rule.condition.text.split())
        if text in seen:
            yield warning(
                "contradiction", rule.source,
                f"the rule {text!r} stands here and already at {seen[text].source}",
                remedy="remove one of the two",
            )  # fmt: skip
        seen.setdefault(text, rule.condition)
        truth = constant_truth(rule.condition, HANDOFF_NAMES, {})
        if truth is not None:
            yield warning(
                "constant", rule.source,
                f"handoff.when: {text!r} is {'always' if truth else 'never'} true",
                remedy="mend the condition, or remove the rule",
            )  # fmt: skip


def _constant(task: TaskDefinition, what: str, guard: Expression, *, truth: bool) -> Problem:
    word = "always true" if truth else "never true"
    message = f"{task.name}: {what} ({guard.text}) is {word}"
    if truth:
        return warning("constant", guard.source, message, remedy="leave the condition out")
    if what == "needs":
        message += ", so that the task never starts"
    elif what.startswith("when of"):
        message += ", so that the slot is never asked"
    elif what.startswith("check"):
        message += ", so that the task never gets past it"
    return error("constant", guard.source, message, remedy="mend the condition, or remove the part")


def guards_of(task: TaskDefinition) -> Iterator[tuple[str, Expression]]:
    """Yield the conditions of a task with their names."""
    if task.needs is not None:
        yield "needs", task.needs
    for slot in task.slots.values():
        if slot.when is not None:
            yield f"when of {slot.name}", slot.when
        for rule in slot.valid:
            yield f"valid of {slot.name}", rule.condition
    for i, check in enumerate(task.check, 1):
        if check.condition is not None:
            yield f"check {i}", check.condition
    for name, steps in (("do", task.do), ("on_cancel", task.on_cancel)):
        for place, step in all_steps(steps):
            if step.condition is not None:
                yield f"if of step {name}:{place}", step.condition


def constant_truth(
    guard: Expression, types: dict[str, ValueType], slots: Mapping[str, SlotDefinition]
) -> bool | None:
    """Return the truth that a guard always has, None where it changes or cannot be tried."""
    leaves = list(leaves_of(guard.root))
    numbers = [c for c in map(number_in, leaves) if c is not None]
    domains: list[tuple[str, Sequence[JsonValue]]] = []
    size = 1
    for name in sorted(guard.names):
        domain = domain_of(types.get(name), numbers, slots.get(name))
        size *= len(domain)
        if not domain or size > MAX_COMBINATIONS:
            return None
        domains.append((name, domain))
    if any(isinstance(leaf, Call) and leaf.name in {"today", "now"} for leaf in leaves):
        return None
    truths = set()
    for values in product(*(domain for _, domain in domains)):
        scope = Scope(values=dict(zip((n for n, _ in domains), values, strict=True)), now=_NOW)
        truths.add(guard.root.value(scope) is True)
        if len(truths) > 1:
            return None
    return truths.pop()


def domain_of(
    kind: ValueType | None, numbers: list[Decimal], slot: SlotDefinition | None
) -> Sequence[JsonValue]:
    """Return the values of a name that could matter, () where they are too many to try."""
    if kind is None:
        return ()
    match kind.kind:
        case Kind.BOOL:
            return (True, False)
        case Kind.TEXT if kind.choices:
            return kind.choices
        case Kind.ENTITY if kind.table is not None:
            return tuple(kind.table.rows)
        case Kind.NUMBER:
            near = {n + d for n in numbers for d in (Decimal(-1), Decimal(0), Decimal(1))} or {
                Decimal(0)
            }
            values = sorted(near | {n + Decimal("0.5") for n in numbers})
            return _inside(values, slot)
        case _:
            return ()


def _inside(values: list[Decimal], slot: SlotDefinition | None) -> Sequence[JsonValue]:
    """Keep what the slot's own bounds allow, and the bounds themselves."""
    low, high = (_bound(slot.min), _bound(slot.max)) if slot else (None, None)
    values = [*values, *(b for b in (low, high) if b is not None)]
    kept = [v for v in values if (low is None or v >= low) and (high is None or v <= high)]
    is_integer = slot is not None and slot.type.name == "integer"
    whole = [v for v in kept if not is_integer or v == v.to_integral_value()]
    return tuple(int(v) if v == v.to_integral_value() else float(v) for v in whole)


def _bound(expression: Expression | None) -> Decimal | None:
    if expression is None or expression.names:
        return None
    value = expression.root.value(Scope(now=_NOW))
    return value if isinstance(value, Decimal) else None


def number_in(node: Node) -> Decimal | None:
    """Return the number that a node is, if it is one."""
    if isinstance(node, Literal) and isinstance(node.constant, Decimal):
        return node.constant
    return None


def leaves_of(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes inside of it."""
    yield node
    inner: Sequence[Node] = ()
    match node:
        case Logic():
            inner = node.operands
        case Comparison() | Arithmetic():
            inner = (node.left, node.right)
        case Membership():
            inner = (node.element, node.whole)
        case Not() | Negative():
            inner = (node.operand,)
        case Attribute():
            inner = (node.whole,)
        case ListOf():
            inner = node.parts
        case Call():
            inner = node.arguments
        case Literal() | Name():
            inner = ()
    for part in inner:
        yield from leaves_of(part)
