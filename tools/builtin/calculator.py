"""The calculator as a tool."""

from typing import Annotated

from tools.argument_types import Size
from tools.base import Effect, Tool
from tools.builtin.exact_numbers import ExpressionError
from tools.builtin.expression import MAX_CHARS, evaluate
from tools.errors import InvalidArgumentError


def calculate(expression: Annotated[str, Size(least=1, most=MAX_CHARS)]) -> str:
    """Compute an arithmetic expression exactly.

    Args:
        expression: like 15% of 80, (3 + 4) * 2^10 / 7 or round(sqrt(2), 3); numbers without
            thousands separators; functions abs, ceil, cos, exp, factorial, floor, gcd, lcm, ln,
            log, max, mean, min, round, sin, sqrt, sum, tan; constants pi and e.
    """
    try:
        return str(evaluate(expression))
    except ExpressionError as error:
        raise InvalidArgumentError("expression", str(error)) from error


def calculator() -> Tool:
    """Return the calculator."""
    return Tool.from_function(calculate, effect=Effect.READ, timeout_s=2.0, max_result_bytes=4_000)
