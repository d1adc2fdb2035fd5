from hypothesis import given
from hypothesis import strategies as st

from rag.loaders.base import one_line, tidy


@given(st.text(st.characters(exclude_categories=())))
def test_tidy_text_can_be_stored_and_stays_as_it_is(text: str) -> None:
    tidied = tidy(text)
    assert tidied.encode().decode() == tidied
    assert "\r" not in tidied
    assert "\0" not in tidied
    assert tidy(tidied) == tidied


def test_line_ends_become_line_feeds_and_page_breaks_stay() -> None:
    assert tidy("\ufeffa\r\nb\rc\td\fe\x00\x1b") == "a\nb\tc".replace("\tc", "\nc") + "\td\fe"


def test_a_title_has_one_line_of_bounded_length() -> None:
    assert one_line("  two\n words ") == "two words"
    assert len(one_line("x" * 10_000)) == 200
