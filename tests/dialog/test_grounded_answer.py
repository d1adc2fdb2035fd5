import pytest

from dialog.grounded_answer import MarkedSentence, within_bounds

PIECES = [
    MarkedSentence(text="One two three. [1]", number=1),
    MarkedSentence(text=" Four five. [2]", number=2),
    MarkedSentence(text="\n\nSix seven eight. [3]", number=3),
]


def bounded(max_tokens: int, *stop: str) -> tuple[str, str | None]:
    kept, cut_by = within_bounds(
        PIECES, max_tokens=max_tokens, stop=stop, count_tokens=lambda text: len(text.split())
    )
    return "".join(piece.text for piece in kept), cut_by


@pytest.mark.parametrize(
    ("max_tokens", "num_pieces"), [(1, 1), (4, 1), (6, 1), (7, 2), (10, 2), (11, 3), (99, 3)]
)
def test_sentences_are_given_whole_while_they_fit_and_the_first_always(
    max_tokens: int, num_pieces: int
) -> None:
    text, cut_by = bounded(max_tokens)
    assert text == "".join(piece.text for piece in PIECES[:num_pieces])
    assert cut_by == ("length" if num_pieces < 3 else None)


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("two", "One "),
        ("[2]", "One two three. [1] Four five. "),
        ("[1] Four", "One two three. "),
        ("One", ""),
    ],
)
def test_a_stop_string_cuts_before_it_also_across_sentences(stop: str, text: str) -> None:
    said, cut_by = bounded(99, "never", stop)
    assert cut_by == "stop"
    assert said == text


def test_without_a_bound_nothing_is_cut() -> None:
    assert bounded(99, "never")[1] is None
