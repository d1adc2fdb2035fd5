from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.spellings import Spellings, bits_of, mask_of
from llm.decoding.word_lists import AllowedStrings, BannedStrings, WordLists

# Every string of up to three of these letters, a euro sign in pieces, and the end.
LETTERS = [b"a", b"b", b"c"]
EURO = "€".encode()
TOKENS = (
    b"",
    *(b"".join(word) for n in (1, 2, 3) for word in product(LETTERS, repeat=n)),
    *(EURO[:1], EURO[1:], EURO[:2], EURO[2:], EURO, b"a" + EURO[:2], EURO[2:] + b"b", b"\xff"),
)
SPELLINGS = Spellings(TOKENS)
EOS = frozenset([0])
words = st.text("abc€", min_size=1, max_size=4)
walks = st.lists(st.integers(1, len(TOKENS) - 1), max_size=6)


def tokens_of(mask: np.ndarray) -> set[int]:
    return set(np.flatnonzero(bits_of(mask, len(TOKENS))).tolist())


@given(st.one_of(st.binary(min_size=1, max_size=4), words.map(str.encode)))
def test_tokens_are_found_by_what_they_contain_and_begin_with(piece: bytes) -> None:
    containing = [i for i, data in enumerate(TOKENS) if piece in data]
    starting = [i for i, data in enumerate(TOKENS) if data.startswith(piece)]
    assert SPELLINGS.containing(piece).tolist() == containing
    assert sorted(SPELLINGS.starting(piece).tolist()) == starting


@given(st.sets(st.integers(0, 69)), st.integers(70, 99))
def test_masks_hold_a_bit_per_token(tokens: set[int], size: int) -> None:
    mask = mask_of(tokens, size)
    assert mask.dtype == np.int32
    assert len(mask) == (size + 31) // 32
    assert set(np.flatnonzero(bits_of(mask, size)).tolist()) == tokens


@given(st.lists(words, min_size=1, max_size=4), walks)
def test_a_banned_string_can_never_be_written(strings: list[str], walk: list[int]) -> None:
    banned = BannedStrings(strings, SPELLINGS)
    state, text = banned.start, b""
    for token in walk:
        allowed = tokens_of(banned.mask(state))
        # Each string that is not there yet must not be completed.
        assert allowed == {
            i
            for i, data in enumerate(TOKENS)
            if not any(s.encode() in text + data for s in strings)
        }
        if token not in allowed:
            break
        text += TOKENS[token]
        state = banned.after(state, TOKENS[token])


def is_series(data: bytes, strings: Sequence[str], *, whole: bool) -> bool:
    """Whether bytes are one or more of the strings, or the beginning of that."""
    reached = {0}
    for at in range(len(data)):
        if at in reached:
            for string in (s.encode() for s in strings):
                if data[at:].startswith(string):
                    reached.add(at + len(string))
                elif not whole and string.startswith(data[at:]):
                    return True
    return len(data) in reached and (not whole or bool(data))


@given(st.lists(words, min_size=1, max_size=4), walks)
def test_allowed_strings_make_up_the_whole_text(strings: list[str], walk: list[int]) -> None:
    automaton = AllowedStrings(strings, SPELLINGS, EOS)
    places, text = automaton.start, b""
    for token in walk:
        allowed = tokens_of(automaton.mask(places))
        expected = {
            i
            for i, data in enumerate(TOKENS)
            if data and is_series(text + data, strings, whole=False)
        }
        assert allowed - EOS == expected
        assert (0 in allowed) == is_series(text, strings, whole=True)
        ordinary = sorted(allowed - EOS)
        if not ordinary:
            break
        data = TOKENS[ordinary[token % len(ordinary)]]
        text += data
        places = automaton.after(places, data)


def test_a_text_that_has_left_the_strings_has_nowhere_to_go() -> None:
    automaton = AllowedStrings(["ab"], SPELLINGS, EOS)
    lost = automaton.after(automaton.start, b"ac")
    assert tokens_of(automaton.mask(lost)) == set()


def test_a_list_is_compiled_once_and_forgotten_after_many() -> None:
    lists = WordLists(SPELLINGS, EOS)
    first = lists.banned(("ab",))
    assert lists.banned(("ab",)) is first
    for i in range(200):
        lists.banned((str(i),))
    assert lists.banned(("ab",)) is not first
    assert lists.allowed(("ab",)) is lists.allowed(("ab",))


@pytest.mark.parametrize("string", ["c", "€"])
def test_a_breaker_is_a_token_that_contains_one_of_the_strings(string: str) -> None:
    flags = WordLists(SPELLINGS, EOS).breakers((string,))
    assert set(np.flatnonzero(flags).tolist()) == {
        i for i, data in enumerate(TOKENS) if string.encode() in data
    }
