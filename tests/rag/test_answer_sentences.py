import pytest

from rag.answer_sentences import answer_sentences


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            "The kettle boils. [1] It was the U.S. Congress [2][3].",
            [("The kettle boils.", (1,)), ("It was the U.S. Congress", (2, 3))],
        ),
        ('"a span" [3] "b" [1]', [('"a span"', (3,)), ('"b"', (1,))]),
        ("At 3.5 degrees.\nNo mark", [("At 3.5 degrees.", ()), ("No mark", ())]),
        ("[1][2]", []),
        (" ... ", []),
        ("", []),
    ],
)
def test_an_answer_is_cut_into_sentences_with_their_marks(
    answer: str, found: list[tuple[str, tuple[int, ...]]]
) -> None:
    sentences = list(answer_sentences(answer))
    assert [(s.text, s.marks) for s in sentences] == found
    assert all(answer[s.start : s.end] == s.text for s in sentences)
