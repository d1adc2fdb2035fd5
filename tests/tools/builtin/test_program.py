import contextlib
import re
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.builtin.exact_numbers import ExpressionError, Number
from tools.builtin.program import Kind, read_program, shown
from tools.builtin.program_syntax import ProgramError
from tools.builtin.program_tool import program_pattern, program_tool
from tools.call_context import CallContext
from tools.errors import InvalidArgumentError


def value(text: str) -> str:
    return shown(read_program(text).run())


def fault(text: str) -> str:
    try:
        read_program(text).run()
    except ExpressionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("answer = 2 + 3 * 4", "14"),
        ("answer = -2 ^ 2", "-4"),
        ("answer = 2 ^ -1", "0.5"),
        ("answer = 0.1 + 0.2", "0.3"),
        ("a = 3\nb = a * 80\nanswer = b * 0.9", "216"),
        ("answer = 2025-03-07 + days(10)", "2025-03-17"),
        ("answer = 2025-03-07 - 2025-02-28", "7 days"),
        ("answer = count_days(2025-03-07 - 2025-02-28) * 80", "560"),
        ("answer = weeks(2) + days(1)", "15 days"),
        ("answer = days(1)", "1 day"),
        ("answer = weekday(2025-03-07)", "Friday"),
        ("answer = year(2025-03-07) + month(2025-03-07) + day(2025-03-07)", "2035"),
        ("n = 3\nanswer = if(n > 2, 80, 95) * n", "240"),
        ("answer = if(2025-03-07 < 2025-03-08, 1, 2)", "1"),
        ("answer = if(weekday(2025-03-07) == weekday(2025-03-14), 1, 2)", "1"),
        ("answer = max(1, 2, round(7 / 3, 1))", "2.3"),
        ("answer = 3 >= 4", "false"),
        ("answer = - days(3) + days(5)", "2 days"),
        ("answer = 7 // 2 + 7 % 2", "4"),
        ("if_not_taken = 1\nanswer = if(1 > 2, 1 / 0, 5)", "5"),
    ],
)
def test_a_program_has_the_value_of_its_answer(text: str, result: str) -> None:
    assert value(text) == result


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "1 to 20 lines, got 0"),
        ("a = 1", "the last line must give 'answer'"),
        ("answer = b", "'b' has no value yet"),
        ("answer = 1 +", "ends too early"),
        ("answer = 1 2", "nothing may follow"),
        ("answer = (1", "not closed"),
        ("answer = ?", "cannot read"),
        ("answer = * 3", "a value is missing before"),
        ("answer", "NAME = EXPRESSION"),
        ("3 = answer", "NAME = EXPRESSION"),
        ("max = 3\nanswer = 1", "has a meaning already"),
        ("answer = foo(3)", "there is no function 'foo'"),
        ("answer = sqrt(1, 2)", "takes 1 to 1 numbers"),
        ("answer = sqrt(2025-03-07)", "takes numbers, got date"),
        ("answer = days(2025-03-07)", "days takes a number"),
        ("answer = 2025-03-07 + 3", r"\+ does not take a date and a number"),
        ("answer = 2025-03-07 < 3", "cannot be compared"),
        ("answer = (1 < 2) < (3 < 4)", "cannot be compared by <"),
        ("answer = -(1 < 2)", "has no other sign"),
        ("answer = -2025-03-07", "a date has no other sign"),
        ("answer = if(1, 2, 3)", "if takes a truth"),
        ("answer = if(1 < 2, 3, 2025-03-07)", "two values of one kind"),
        ("answer = 2025-02-30", "no day of the calendar"),
        ("x = 1\n" * 20 + "answer = 1", "1 to 20 lines, got 21"),
        ("answer = " + "(" * 60 + "1", "may lie in each other"),
        ("answer = " + "-" * 60 + "1", "may stand on each other"),
        ("answer = 1" + " + 1" * 1_000, "at most 2000 characters"),
    ],
)
def test_what_is_no_program_is_told_with_its_line(text: str, word: str) -> None:
    with pytest.raises(ProgramError, match=word):
        read_program(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a = 1\nanswer = a / 0", "line 2: division by zero"),
        ("answer = 9 ^ 9 ^ 9", "needs more than"),
        ("answer = 9999-12-31 + days(1)", "line 1"),
        ("answer = days(0.5)", "whole number of days"),
        ("answer = days(100000000)", "up to 10 million"),
        ("answer = days(3) * 0.5", "whole number of days"),
        ("answer = sqrt(-1)", "no real root"),
    ],
)
def test_a_value_that_does_not_exist_is_told_with_its_line(text: str, word: str) -> None:
    program = read_program(text)
    with pytest.raises(ProgramError, match=word):
        program.run()


def test_the_kind_of_an_answer_is_known_before_it_is_computed() -> None:
    assert read_program("answer = 2025-03-07 - days(3)").kind is Kind.DATE
    assert read_program("answer = 1 / 0").kind is Kind.NUMBER


@given(st.dates(date(1, 1, 1), date(9000, 1, 1)), st.integers(0, 9_999))
def test_dates_are_added_as_the_calendar_has_them(start: date, days: int) -> None:
    expected = start + timedelta(days=days)
    assert value(f"answer = {start.isoformat()} + days({days})") == expected.isoformat()


@given(st.text(alphabet="ab12+-*/%^()=<>, .\nifdayswr0", max_size=40))
def test_any_text_is_a_program_or_a_sentence(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        read_program(f"{text}\nanswer = 1").run()


_ATOMS = st.sampled_from(["1", "-2.5", "999999999", "2025-03-07", "-a", "answer", "if_x"])
_FLAT = st.lists(_ATOMS, min_size=1, max_size=3).map(" - ".join)
_TERMS = st.one_of(
    _ATOMS,
    st.builds("{}({} < {}, {})".format, st.sampled_from(["", "if", "max"]), _FLAT, _FLAT, _FLAT),
    st.builds("({})".format, _FLAT),
)
_LINES = st.lists(_TERMS, min_size=1, max_size=3).map(" // ".join)


@given(st.lists(_LINES, min_size=1, max_size=6))
def test_whatever_the_form_lets_through_is_refused_for_its_names_and_types_alone(
    values: list[str],
) -> None:
    """The notation of what a model writes is always right."""
    text = "\n".join(f"answer = {value}" for value in values)
    if re.fullmatch(program_pattern(), text):
        assert not re.search("cannot read|missing|ends too|not closed|follow", fault(text))


def test_the_tool_returns_the_value_or_says_what_is_wrong() -> None:
    tool = program_tool()
    assert tool.call({"program": "answer = 7 / 2"}, CallContext()) == {
        "answer": "3.5",
        "kind": "number",
    }
    with pytest.raises(InvalidArgumentError, match="program: line 1"):
        tool.call({"program": "answer = x"}, CallContext())


def test_exactness_is_kept() -> None:
    assert read_program("answer = 1 / 3").run() == Number(Fraction(1, 3))
