"""The places of a query's words in a text."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.analyser import analyse
from index.highlight import highlights
from index.stop_words import Language


def marked(text: str, query: str, language: Language = Language.ENGLISH) -> str:
    for span in reversed(highlights(text, query, language)):
        text = f"{text[: span.start]}[{text[span.start : span.end]}]{text[span.end :]}"
    return text


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("She runs; he ran running.", "run", "She [runs]; he ran [running]."),
        ("Le Cafe\u0301 noir, ﬁne", "cafe fine", "Le [Cafe\u0301] noir, [ﬁne]"),
        ("das茶文化と茶", "文化", "das茶[文化]と茶"),
        ("str.join(x) // y", "str.join", "[str.join](x) // y"),
        ("str.join(x) // y", "//", "str.join(x) [//] y"),
        ("OSError, an error", "error", "OS[Error], an [error]"),
        ("to be or not", '"To be" or', "[to be] [or] not"),
        ("Runner runs Rundfunk", "runn*", "[Runner] runs Rundfunk"),
        ("co\u00adoperate", "cooperate", "[co\u00adoperate]"),
        ("nothing here", "tea", "nothing here"),
        ("", "tea", ""),
    ],
)
def test_the_words_found_are_marked_in_the_original(text: str, query: str, expected: str) -> None:
    assert marked(text, query) == expected


def test_a_word_is_marked_by_the_stems_of_its_language() -> None:
    assert marked("Viele Häuser", "Haus", Language.GERMAN) == "Viele [Häuser]"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text("abc 茶é'\"*", max_size=9))
def test_spans_are_apart_and_within_the_text(text: str, query: str) -> None:
    """A text finds itself, where it has terms."""
    for question in (query, text):
        spans = highlights(text, question)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert all(a.end < b.start for a, b in itertools.pairwise(spans))
    if analyse(text) and '"' not in text and "*" not in text:
        assert highlights(text, text)
