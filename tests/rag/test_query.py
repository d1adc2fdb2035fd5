import pytest

from rag.query import standalone_query

BEFORE = ["What is a tuple?", "How does the with statement work?"]


@pytest.mark.parametrize(
    "question",
    [
        "Can it be nested?",
        "And why?",
        "What does that return?",
        "Why?",
        "Tell me more",
        "How do I write one?",
    ],
)
def test_a_question_that_leans_on_the_last_one_takes_it_along(question: str) -> None:
    assert standalone_query(question, BEFORE) == f"{BEFORE[-1]} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How are default parameter values evaluated?",
        "What is the capital of France?",
        "How do I sort a list of dictionaries by a key that it has?",
    ],
)
def test_a_question_that_stands_alone_is_searched_as_it_is(question: str) -> None:
    assert standalone_query(question, BEFORE) == question


def test_the_first_question_is_searched_as_it_is() -> None:
    assert standalone_query("And why is that?", []) == "And why is that?"
