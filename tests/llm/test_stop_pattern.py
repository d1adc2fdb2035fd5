import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.stop_pattern import MAX_PATTERN_LENGTH, PatternWalk, StopPattern

pytestmark = pytest.mark.slow

PATTERNS = (
    "END",
    "a+b",
    "a*b",
    "(ab|ba)+c",
    "a{2,3}b?c",
    "[^ab]{2}",
    "(?:a|b){3}",
    "a.?c",
    r"\n+[A-C]:",
    r"\d{2}\s",
    "a(b(c|é)?)*a",
    "x{,2}y",
    "[a-c€]€",
    "a{2,}?b",
    r"[\w]\W",
    "{a}",
)
texts = st.text("abcéE€N\n1 :Axy{}D", max_size=14)


def first_match(pattern: str, text: str) -> tuple[int, int] | None:
    """The match that ends first; of those the longest. Begin and end."""
    compiled = re.compile(pattern)
    for end in range(1, len(text) + 1):
        for begin in range(end):
            if compiled.fullmatch(text, begin, end):
                return begin, end
    return None


def walked(pattern: str, text: str) -> tuple[int, int] | None:
    walk = PatternWalk(StopPattern(pattern))
    for end, character in enumerate(text, 1):
        begin = walk.push(character)
        if begin is not None:
            return begin, end
    return None


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=texts)
def test_the_first_match_to_be_complete_is_that_of_the_standard_library(
    pattern: str, text: str
) -> None:
    assert walked(pattern, text) == first_match(pattern, text)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=texts)
def test_nothing_before_the_earliest_beginning_is_ever_part_of_a_match(
    pattern: str, text: str
) -> None:
    walk = PatternWalk(StopPattern(pattern))
    promised = 0
    for at, character in enumerate(text, 1):
        begin = walk.push(character)
        if begin is not None:
            assert begin >= promised
            return
        assert promised <= walk.earliest <= at
        promised = walk.earliest


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(ab", r"lacks a '\)'"),
        ("ab)", r"'\)' too many"),
        ("[ab", "ends too early"),
        ("ab\\", "ends too early"),
        ("*a", "nothing to repeat"),
        ("a**", "repeats a repeat"),
        ("a++", "possessive"),
        ("a{3,2}", "upper bound"),
        ("[b-a]", "wrong order"),
        ("^a", "anchor '\\^'"),
        ("a$", "anchor"),
        (r"\ba", "not supported"),
        (r"(a)\1", "not supported"),
        ("(?=a)", r"only \(\?:"),
        ("(?i)a", r"only \(\?:"),
        (r"\xZZ", "no character"),
        (r"\U99999999", "no character"),
        ("a*", "matches the empty text"),
        ("", "matches the empty text"),
        ("a|", "matches the empty text"),
        ("(a{0}|b?)", "matches the empty text"),
    ],
)
def test_what_cannot_be_followed_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        StopPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a{1000000}",
        "a{999999999999999999999}",
        "((((a{99}){99}){99}){99})",
        "(a|b){600}",
        "(.?){400}x",
        "(a?b?c?d?e?){100}f",
        "(((((((a*)*)*)*b{50})*){9})+c){9}",
        "(" * 500 + "a" + ")" * 500,
        "a" * (MAX_PATTERN_LENGTH + 1),
        "|".join("abcdefgh" * 20),
        "(" + "|".join("abcdefgh" * 20) + ")+",
    ],
    ids=lambda pattern: pattern[:24],
)
def test_a_catastrophic_pattern_is_refused_or_followed_in_bounded_time(pattern: str) -> None:
    started = time.perf_counter()
    try:
        walk = PatternWalk(StopPattern(pattern))
    except ValueError as error:
        said = str(error)
    else:
        said = "stop_regex"
        for character in "ab" * 50:
            walk.push(character)
    assert said.count("stop_regex") == 1
    assert time.perf_counter() - started < 2


def test_a_text_full_of_beginnings_takes_linear_time() -> None:
    walk = PatternWalk(StopPattern("(a|aa)+b"))
    started = time.perf_counter()
    for _ in range(20_000):
        assert walk.push("a") is None
    assert walk.earliest == 0
    assert walk.push("b") == 0
    assert time.perf_counter() - started < 2
