"""What a reader is told of tokens and odds."""

import re

import pytest

from api.reply_tokens import pieces_of, tokens_of
from api.watermark_words import odds
from tests.api.marked_texts import TOKENIZER


def test_pieces_of_characters_are_shown_whole() -> None:
    text = "naïve — 水印 <|im_end|> ok"
    tokens = tokens_of(text, TOKENIZER)
    assert not set(tokens) & TOKENIZER.special_ids
    pieces = pieces_of(tokens, TOKENIZER)
    assert "".join(pieces) == text
    assert len(pieces) == len(tokens)


@pytest.mark.parametrize(
    ("log_p", "words"),
    [
        (-4.7, "about 1 in 110"),
        (-13.9, "about 1 in 1,100,000"),
        (-5000.0, "fewer than 1 in a million billion"),
    ],
)
def test_odds_are_round_numbers(log_p: float, words: str) -> None:
    assert odds(log_p) == words
    assert not re.search(r"\d{4}", words)
