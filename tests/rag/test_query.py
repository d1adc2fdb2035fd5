import pytest

from rag.query import about, spelled_out, standalone_query

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


@pytest.mark.parametrize(
    "question", ["When was she born?", "Are there any other interesting facts?", "And why?"]
)
def test_a_question_that_refers_back_is_asked_with_the_subject(question: str) -> None:
    assert about(question, "Ada Lovelace") == f"{question} Ada Lovelace"


def test_a_question_that_stands_alone_is_asked_without_the_subject() -> None:
    question = "What is the capital of France?"
    assert about(question, "Ada Lovelace") == question
    assert about("And why?", "") == "And why?"


@pytest.mark.parametrize(
    ("question", "subject", "spelled"),
    [
        ("When was she born?", "Ada Lovelace", "When was Ada Lovelace born?"),
        ("What are his powers?", "Pinhead (Hellraiser)", "What are Pinhead's powers?"),
        ("Was their album good?", "The Kinks", "Was The Kinks' album good?"),
        ("What is a tuple?", "Lists", "What is a tuple?"),
        ("What does it do?", "", "What does it do?"),
        ("Why is it so?", r"a\1b", r"Why is a\1b so?"),
    ],
)
def test_a_pronoun_is_replaced_by_the_name_without_its_remark(
    question: str, subject: str, spelled: str
) -> None:
    assert spelled_out(question, subject) == spelled
