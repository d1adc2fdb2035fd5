"""The question sets hold together: what counts as an answer really stands in the corpus."""

from pathlib import Path

import pytest

from benchmarks.questions import Question, plain, read_questions
from rag.python_reference import language_topics, library_docstrings

FOLDER = Path(__file__).parent
MEASURED = FOLDER / "python_questions.json"
TUNED_ON = FOLDER / "python_questions_dev.json"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {d.uri: plain(d.text) for d in [*language_topics(), *library_docstrings()]}


@pytest.mark.parametrize(
    ("path", "num_answerable", "num_unanswerable"), [(MEASURED, 30, 10), (TUNED_ON, 40, 30)]
)
def test_the_sets_are_complete(path: Path, num_answerable: int, num_unanswerable: int) -> None:
    questions = read_questions(path)
    assert sum(bool(question.topics) for question in questions) == num_answerable
    assert sum(not question.topics for question in questions) == num_unanswerable


def test_no_question_that_is_measured_was_tuned_on() -> None:
    measured = {plain(question.text) for question in read_questions(MEASURED)}
    tuned_on = {plain(question.text) for question in read_questions(TUNED_ON)}
    assert len(measured) == 40
    assert len(tuned_on) == 70
    assert not measured & tuned_on


@pytest.mark.slow
@pytest.mark.parametrize("path", [MEASURED, TUNED_ON])
def test_each_key_phrase_stands_in_a_right_topic(path: Path, texts: dict[str, str]) -> None:
    def has_answer(question: Question) -> bool:
        return any(
            question.holds_key_phrase(text)
            for uri, text in texts.items()
            if question.is_right_source(uri)
        )

    questions = [question for question in read_questions(path) if question.topics]
    assert [question.text for question in questions if not has_answer(question)] == []
