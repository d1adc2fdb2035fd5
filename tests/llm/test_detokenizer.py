from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm.detokenizer import IncrementalDetokenizer


def run(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    detokenizer = IncrementalDetokenizer(stop)
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
