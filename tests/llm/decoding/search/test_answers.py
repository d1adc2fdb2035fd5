import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.search.answers import MAX_TEXT, AnswerPattern

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\s", r"\*", r"\b", "(?:ab|a)"])
TIMES = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Expressions with a group that nothing repeats, and no repeat of what may be empty."""

    def series() -> str:
        atoms = draw(st.lists(ATOMS, min_size=1, max_size=3))
        return "".join(a + ("" if a == r"\b" else draw(TIMES)) for a in atoms)

    before, after = (series() if draw(st.booleans()) else "" for _ in range(2))
    inner = "|".join(series() for _ in range(draw(st.integers(1, 2))))
    begin, end = draw(st.sampled_from(["", "^"])), draw(st.sampled_from(["", "$"]))
    return f"{begin}{before}({inner}){draw(st.sampled_from(['', '?']))}{after}{end}"


@given(pattern=patterns(), text=st.text("ab* \n", max_size=12))
def test_an_answer_is_what_backtracking_would_capture(pattern: str, text: str) -> None:
    found = re.search(pattern, text)
    assert AnswerPattern(pattern).find(text) == (found and found[1])


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        (r"####\s*(-?[\d,]+)", "So 6 x 7.\n#### 42\n", "42"),
        (r"\\boxed\{(.*?)\}", r"it is \boxed{x+1}, not \boxed{y}", "x+1"),
        (r"(?i)answer(?: is|:) *(\w+)", "The ANSWER IS Paris.", "Paris"),
        (r"\b(?:yes|no)\b", "nothing; yes, surely", "yes"),
        (r"(\d+)(?:\.|$)", "1 2 3", "3"),
        (r"a(b)?", "a", None),
        (r"(\d+)", "none", None),
        (r"(a*)", "", ""),
        (r"(x|(y))", "y", "y"),
    ],
)
def test_answers_are_captured(pattern: str, text: str, answer: str | None) -> None:
    assert AnswerPattern(pattern).find(text) == answer


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "a*a*a*a*(b)", "(?:a?){100}a{100}(b)"])
def test_no_expression_is_slow(pattern: str) -> None:
    """Backtracking would take longer than the universe has."""
    begin = time.process_time()
    assert AnswerPattern(pattern).find("a" * 1000 + "c") is None
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("a{1000}", "512 steps"),
        ("(?:(?:a{20}){20}){20}", "512 steps"),
        ("a" * 1001, "1000 characters"),
        (r"(a)\1", r"\\1"),
        ("(?=a)", r"\(\?:"),
        ("(a", "lacks"),
        ("a)", "too many"),
        ("*a", "nothing to repeat"),
        ("(" * 50 + ")" * 50, "deep"),
    ],
)
def test_expressions_are_refused_by_name(pattern: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        AnswerPattern(pattern)
    assert "answer_regex" in str(refused.value)


def test_empty_repeats_cost_nothing() -> None:
    assert AnswerPattern("(?:(?:(?:){999999}){999999}){999999}(a)").find("a") == "a"


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert AnswerPattern("(b)").find("a" * MAX_TEXT + "b") is None
