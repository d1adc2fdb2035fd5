"""Inference 1: yes and no, said straight or not."""

import pytest

from dialog.tracker.inferences.answers import answer
from dialog.tracker.phrases import phrases_of


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("yes", "yes"),
        ("Yeah, sure", "yes"),
        ("that works for me", "yes"),
        ("oh well, why not", "yes"),
        ("no", "no"),
        ("no thanks", "no"),
        ("I'd rather not", "no"),
        ("I don't think so", "no"),
        ("not really", "no"),
        ("on Friday", None),
        ("nothing of the kind is written", None),
    ],
)
def test_english_answers(text: str, polarity: str | None) -> None:
    """Direct ones at the beginning, indirect ones anywhere."""
    found = answer(text, phrases_of("en"))
    assert (None if found is None else found.polarity) == polarity


@pytest.mark.parametrize(
    ("locale", "text", "polarity"),
    [
        ("de", "ja gerne", "yes"),
        ("de", "lieber nicht", "no"),
        ("fr", "ça me va", "yes"),
        ("fr", "non merci", "no"),
    ],
)
def test_other_languages(locale: str, text: str, polarity: str) -> None:
    """German and French have their own phrases."""
    found = answer(text, phrases_of(locale))
    assert found is not None
    assert found.polarity == polarity


def test_a_direct_answer_is_surer_than_an_indirect_one() -> None:
    """The probability says so."""
    direct, indirect = (answer(text, phrases_of("en")) for text in ("yes", "that works for me"))
    assert direct is not None
    assert indirect is not None
    assert direct.p > indirect.p
