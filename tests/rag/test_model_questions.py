import pytest

from llm.testing import ScriptedChatModel
from rag.corpus import Corpus
from rag.evaluation_set import Relevant
from rag.model_questions import Kept, is_about, is_well_formed, model_questions
from tests.rag.question_corpus import stored


@pytest.mark.parametrize(
    "question",
    [
        "Does the passage say when to stop?",
        "According to Ada, is vinegar good?",
        "How long?",
        "It takes eleven minutes to do it.",
        "What is it? And why is it so?",
        "What is this\nand what is that?",
        "Who " + "very " * 40 + "long?",
    ],
)
def test_a_question_that_does_not_stand_alone_is_dropped(question: str) -> None:
    assert not is_well_formed(question)


def test_a_question_speaks_of_its_passage_in_other_words() -> None:
    terms = Corpus([]).terms
    text = "Carrots need eleven minutes in the upper basket of the steamer."
    assert is_about("How long do carrots stay in the steamer?", text, terms)
    assert not is_about("How long do potatoes stay in the oven?", text, terms)
    assert not is_about("Carrots need eleven minutes in the upper basket?", text, terms)


def test_only_questions_that_lead_back_are_kept_and_the_rest_is_counted() -> None:
    corpus = Corpus(stored())
    model = ScriptedChatModel(
        [
            "How long do carrots stay in the steamer basket?",
            "What does the passage say?",
            '"Which water does the kettle boil in its tank?"',
        ]
        + ["Where is the moon tonight, seen from here?"] * 20
    )
    asked: list[tuple[str, Relevant]] = []

    def comes_back(question: str, place: Relevant) -> bool:
        asked.append((question, place))
        return "carrots" not in question

    counts = Kept()
    items = list(model_questions(corpus, model, comes_back, num=3, seed=0, counts=counts))
    assert counts.kept == len(items)
    assert counts.asked == counts.kept + counts.malformed + counts.copied + counts.lost
    assert counts.malformed >= 1
    assert all(item.kind == "model" and item.relevant for item in items)
    again = ScriptedChatModel(["How long do carrots stay in the steamer basket?"] * 30)
    kept = Kept()
    found = list(model_questions(corpus, again, lambda *_: True, num=3, seed=0, counts=kept))
    assert len(found) == 1  # the same question is kept once
    assert kept.asked <= 12
