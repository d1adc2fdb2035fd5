"""Noise changes words, never values, and equally for equal dice."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog.simulation.dice import dice
from dialog.simulation.noise import Noise

LOUD = Noise(typos=1, casing=1, disfluency=1, asr=1)
TEXT = "Book a table for four people on 7 March at 19:30, ana.lind@example.org, T0A1B2"


def test_digits_and_addresses_arrive_as_they_were_said() -> None:
    for seed in range(30):
        heard = LOUD.of(TEXT, dice(seed))
        assert re.findall(r"\S*[@\d]\S*", heard) == [
            word.lower() for word in re.findall(r"\S*[@\d]\S*", TEXT)
        ]


def test_words_do_change() -> None:
    assert Noise(typos=1).of("reserve something quickly", dice(1)) != "reserve something quickly"


@given(st.text(max_size=60), st.integers(0, 5))
def test_equal_dice_give_equal_words_and_no_noise_gives_the_text(text: str, seed: int) -> None:
    assert LOUD.of(text, dice(seed)) == LOUD.of(text, dice(seed))
    assert Noise().of(text, dice(seed)) == text


def test_a_rate_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"typos is a rate in \[0, 1\], got 5"):
        Noise(typos=5)
