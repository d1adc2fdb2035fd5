import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.detokenizer import IncrementalDetokenizer


def run(
    pieces: list[bytes], stop: tuple[str, ...] = (), stop_regex: tuple[str, ...] = ()
) -> tuple[list[str], bool]:
    detokenizer = IncrementalDetokenizer(stop, stop_regex)
    said = [detokenizer.push(piece) for piece in pieces]
    said.append(detokenizer.finish())
    return said, detokenizer.stopped


@given(st.text(max_size=40), st.lists(st.integers(0, 160), max_size=8))
def test_any_cutting_of_the_bytes_gives_the_same_text(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", errors="replace")
    borders = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[a:b] for a, b in pairwise(borders)]
    said, _ = run(pieces)
    assert "".join(said) == data.decode()
    assert all("\ufffd" not in piece or "\ufffd" in text for piece in said)


def test_half_a_character_is_held_back() -> None:
    euro = "€".encode()
    assert run([euro[:1], euro[1:2], euro[2:]])[0] == ["", "", "€", ""]


def test_bytes_that_are_no_utf8_become_the_replacement_character() -> None:
    assert "".join(run([b"a\xff", b"b"])[0]) == "a\ufffdb"
    assert "".join(run(["é".encode()[:1]])[0]) == "\ufffd"


@given(st.lists(st.sampled_from(["a", "b", "ab", "END", "E", "N", "D", "é"]), max_size=12))
def test_a_stop_string_ends_the_text_wherever_it_is_cut(pieces: list[str]) -> None:
    whole = "".join(pieces)
    said, stopped = run([p.encode() for p in pieces], ("END", "ba"))
    at = min((whole.find(s) for s in ("END", "ba") if s in whole), default=len(whole))
    assert "".join(said) == whole[:at]
    assert stopped == (at < len(whole))


def test_what_may_begin_a_stop_string_is_held_until_it_is_known() -> None:
    said, stopped = run([b"go E", b"N", b"x"], ("END",))
    assert said == ["go ", "", "ENx", ""]
    assert not stopped


STOPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("END", "ba"), ()),
    (("€uro", "aab"), ()),
    (("abcd", "c"), ()),
    ((), ("a+b", "€{2}")),
    (("E€",), (r"[€é]+\d", "aE")),
)


def first_stop(text: str, stop: tuple[str, ...], stop_regex: tuple[str, ...]) -> int | None:
    """Where the stop that is complete first begins; of several the longest."""
    patterns = [*map(re.escape, stop), *stop_regex]
    for end in range(1, len(text) + 1):
        for begin in range(end):
            if any(re.compile(p).fullmatch(text, begin, end) for p in patterns):
                return begin
    return None


@pytest.mark.parametrize(("stop", "stop_regex"), STOPS)
@given(st.text("abcdEND€é1uro", max_size=10))
def test_every_cutting_of_the_bytes_in_two_or_three_stops_at_the_same_place(
    stop: tuple[str, ...], stop_regex: tuple[str, ...], text: str
) -> None:
    data = text.encode()
    at = first_stop(text, stop, stop_regex)
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            pieces = [data[:first], data[first:second], data[second:]]
            said, stopped = run(pieces, stop, stop_regex)
            assert "".join(said) == text[:at]
            assert stopped == (at is not None)


@pytest.mark.parametrize(("stop", "stop_regex"), STOPS)
@given(st.text("abcdEND€é1uro", max_size=16))
def test_byte_by_byte_nothing_is_said_that_must_be_taken_back(
    stop: tuple[str, ...], stop_regex: tuple[str, ...], text: str
) -> None:
    at = first_stop(text, stop, stop_regex)
    said, _ = run([bytes([byte]) for byte in text.encode()], stop, stop_regex)
    assert "".join(said) == text[:at]


def test_a_pattern_holds_back_what_may_belong_to_it_and_no_more() -> None:
    said, stopped = run([b"so a", b"a", b"c aab", b"x"], (), ("a+b",))
    assert said == ["so ", "", "aac ", "", ""]
    assert stopped
