"""Programs of typed expressions as a tool, and the form in which a model writes them."""

from typing import Annotated, Any

from tools.argument_types import Size
from tools.base import Effect, Tool
from tools.builtin.exact_numbers import FUNCTIONS, ExpressionError
from tools.builtin.program import MAX_CHARS, RESULT, read_program, shown
from tools.errors import InvalidArgumentError

NAME = "run_program"

_TAKES_DATES = ("weekday", "year", "month", "day")
_NAME = "[a-z][a-z_]*"
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,4})?"
_DATE = "(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_SIGN = r"(?:[-+*/%^]|//)"
_COMPARISON = "(?:<=|>=|==|!=|<|>)"
_OWN = ("days", "weeks", "count_days", "if", *_TAKES_DATES)


def run_program(program: Annotated[str, Size(least=1, most=MAX_CHARS)]) -> dict[str, Any]:
    """Compute a short program: lines NAME = EXPRESSION, the last of which gives answer its value.

    Args:
        program: like "price = 80 * 3", a line end, "answer = price * 0.9"; dates are written
            2025-03-07 and spans days(3).
    """
    try:
        read = read_program(program)
        return {RESULT: shown(read.run()), "kind": read.kind}
    except ExpressionError as error:
        raise InvalidArgumentError("program", str(error)) from error


def program_tool() -> Tool:
    """Return the tool `run_program`."""
    return Tool.from_function(
        run_program, effect=Effect.READ, timeout_s=2.0, max_result_bytes=4_000
    )


def program_pattern(*, max_lines: int = 6) -> str:
    """Return the regex of the programs that a model writes: parentheses lie one deep at most.

    What it lets through can be read; a name may still stand before it has a value, and a type may
    not fit: the tool says so.
    """
    names = "|".join(sorted({*FUNCTIONS, *_OWN}))
    atom = f"-?(?:{_NUMBER}|{_DATE}|{_NAME})"
    flat = f"{atom}(?: {_SIGN} {atom})*"
    compared = f"{flat}(?: {_COMPARISON} {flat})?"
    called = f"(?:{names})\\({compared}(?:, {compared})*\\)"
    term = f"(?:{atom}|{called}|\\({compared}\\))"
    value = f"{term}(?: {_SIGN} {term})*"
    return f"(?:{_NAME} = {value}\n){{0,{max_lines - 1}}}{RESULT} = {value}"
