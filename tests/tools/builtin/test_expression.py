import contextlib
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.builtin.calculator import calculate, calculator
from tools.builtin.exact_numbers import ExpressionError
from tools.builtin.expression import evaluate
from tools.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("2**-2", "0.25"),
        ("0.1 + 0.2", "0.3"),
        ("10 - 4 - 3", "3"),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("7 % 4", "3"),
        ("50%", "0.5"),
        ("15% of 80", "12"),
        ("200 * 5% + 1", "11"),
        ("5!", "120"),
        ("3\u00d74\u22121", "11"),
        ("1.5e3", "1500"),
        (".5 + .5", "1"),
        ("sqrt(16/9)*3", "4"),
        ("2^200", str(2**200)),
        ("(-1)^1000000000001", "-1"),
        ("1^(10^300)", "1"),
        ("0^0", "1"),
        ("round(2.5)", "3"),
        ("round(-1.005, 2)", "-1.01"),
        ("floor(-0.5) + ceil(0.5)", "0"),
        ("mean(1, 2, 3) + max(1, 2) + min(4, 5) + sum(1, 1)", "10"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("abs(-3/8)", "0.375"),
        ("1/3", "≈ 0.333333333333333 (exactly 1/3)"),
        ("sqrt(2)", "≈ 1.4142135623731"),
        ("2^0.5", "≈ 1.4142135623731"),
        ("ln(e)", "≈ 1"),
        ("log(1000)", "≈ 3"),
        ("sin(pi/2)", "≈ 1"),
        ("1e-30", "0.000000000000000000000000000001"),
    ],
)
def test_arithmetic_has_the_value_of_mathematics(text: str, value: str) -> None:
    assert str(evaluate(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "2 3",
        "1,200 + 1",
        "(1",
        "1)",
        "1/0",
        "1 // 0",
        "1 % 0",
        "0^-1",
        "max()",
        "sqrt(1, 2)",
        "sqrt(-1)",
        "(-8)^(1/3)",
        "ln(0)",
        "log(8, 1)",
        "gcd(1.5, 3)",
        "2.5!",
        "(-1)!",
        "nothing(1)",
        "__import__('os')",
        "a.b",
        "[1]",
        "lambda: 1",
        "1 if 1 else 2",
        "0x10",
    ],
)
def test_what_is_no_arithmetic_or_has_no_value_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(text)


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "9^999999999999",
        "10^(10^10)",
        "(1/3)^9999999",
        "2^0.5^-99999",
        "1e9999",
        "1e9999999999",
        "500!!",
        "501!",
        "((((500!)^2)^2)^2)^2",
        "*".join(["1e1000"] * 100),
        "1/3" * 1,
        "(" * 400 + "1" + ")" * 400,
        "2^" * 400 + "2",
        "-" * 999 + "1",
        "exp(10^9)",
        "exp(2000)^2000",
        "1.000001^999999999999",
        "1.5^(2^60+0.5)",
        "tan(10^200)",
        "round(1, 10^9)",
        "lcm(" + ",".join(str(n) for n in range(1, 250)) + ")",
        "9" * 1_000,
        "1" * 2_000,
        "+".join(["1/7"] * 200),
        "sqrt(" * 40 + "2" + ")" * 40,
    ],
)
def test_nothing_blows_up(text: str) -> None:
    begun = time.perf_counter()
    try:
        value = evaluate(text).value
        assert max(value.numerator.bit_length(), value.denominator.bit_length()) <= 4_096
    except ExpressionError:
        pass
    assert time.perf_counter() - begun < 1


_SUMS = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({''.join(p)})"),
    max_leaves=12,
)


@given(_SUMS)
def test_sums_and_products_are_those_of_python(text: str) -> None:
    tree = compile(text, "sum", "eval")
    assert evaluate(text).value == eval(tree, {})


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_fractions_are_exact(a: Fraction, b: Fraction) -> None:
    def said(value: Fraction) -> str:
        return f"({value.numerator}/{value.denominator})"

    assert evaluate(f"{said(a)} + {said(b)} * {said(a)}").value == a + b * a


@given(st.text(alphabet="0123456789.+-*/%^!(), esqrtpiof", max_size=40))
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert str(evaluate(text))


def test_the_tool_tells_the_model_what_is_wrong() -> None:
    with pytest.raises(InvalidArgumentError, match="division by zero"):
        calculate("1/0")
    assert calculator().effect == "read"
