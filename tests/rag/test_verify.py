import pytest

from rag.verify import adds_something, is_borne_out, may_be_borne_out

QUOTES = [
    'The "with" statement guarantees that if the "__enter__()" method returns without an error,'
    ' then "__exit__()" will always be called.',
    "Default parameter values are evaluated from left to right when the function definition is"
    " executed, at most 3 times.",
]


@pytest.mark.parametrize(
    "sentence",
    [
        "The with statement guarantees that __exit__() will be called.",
        "Parameter values are evaluated left to right when the definition is executed.",
    ],
)
def test_what_the_quotes_say_is_borne_out(sentence: str) -> None:
    assert is_borne_out(sentence, QUOTES)


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("Default parameter values are evaluated at most 4 times.", "another number"),
        ("The with statement guarantees that __del__() will always be called.", "another name"),
        ("The with statement was invented by Guido and guarantees __exit__().", "a new name"),
        ("The with statement guarantees a beautiful life under palm trees.", "new words"),
        ("Default parameter values are not evaluated when the definition is executed.", "negated"),
        ("The with statement guarantees parameter values.", "two quotes mixed"),
        ("The error returns the method that guarantees the statement.", "another order"),
        ("The method returns the method returns the method returns.", "a loop"),
        ("", "nothing"),
    ],
)
def test_what_the_quotes_do_not_say_is_not(sentence: str, fault: str) -> None:
    assert not is_borne_out(sentence, QUOTES), fault


def test_a_copy_of_a_quote_or_of_the_question_adds_nothing() -> None:
    question = "When are default parameter values evaluated?"
    assert not adds_something(QUOTES[1], QUOTES, question)
    assert not adds_something("Default parameter values are evaluated.", QUOTES, question)
    assert adds_something(
        "Evaluated left to right, when the function definition executes.", QUOTES, question
    )


def test_a_draft_is_given_up_at_its_first_foreign_word_and_not_before() -> None:
    good = "Parameter values are evaluated left to right when the definition is executed."
    assert all(may_be_borne_out(good[:i], QUOTES) for i in range(len(good) + 1))
    bad = "Parameter values are painted left to right."
    assert may_be_borne_out("Parameter values are paint", QUOTES)
    assert not may_be_borne_out(bad, QUOTES)
