"""CANARD's turns as the benchmark reads them, and BLEU."""

import json
from pathlib import Path

import pytest

from benchmarks.rag_bank import sentences
from benchmarks.rag_canard import bleu, load_canard
from rag.subject import Exchange

PAGE = ["Ada", "Work"]
SAID = ["Who?", "Ada.", "What else?", "I don't know.", "When?", "In 1843."]


def test_an_answer_is_taken_from_a_later_history_and_no_answer_makes_no_entry(
    tmp_path: Path,
) -> None:
    """The last question has no later one, so its answer is not known."""
    questions = [*SAID[::2], "Where?"]
    rows = [
        {
            "History": PAGE + SAID[: 2 * i],
            "QuAC_dialog_id": "d",
            "Question": question,
            "Question_no": i + 1,
            "Rewrite": f"{question} Ada",
        }
        for i, question in enumerate(questions)
    ]
    (tmp_path / "canard").mkdir()
    (tmp_path / "canard" / "dev_343dialogs.json").write_text(json.dumps(rows), encoding="utf-8")
    turns, entries = load_canard(tmp_path)
    assert [entry[1:] for entry in entries] == [(*PAGE, "Ada."), (*PAGE, "In 1843.")]
    assert [turn.rewrite for turn in turns] == ["Who? Ada", "When? Ada"]
    assert turns[0].before == ()
    assert turns[1].before == (
        Exchange(question="Who?", answer="Ada."),
        Exchange(question="What else?", answer=""),
    )
    assert turns[1].joined(1) == "What else? When?"
    assert turns[1].joined(2) == "Who? What else? When?"


def test_bleu_of_the_same_is_one_and_of_a_shorter_text_less() -> None:
    """By hand: 4, 3, 2, 1 of as many n-grams are right, and the text is one word short of five."""
    reference = ["one two three four five"]
    assert bleu(reference, reference) == pytest.approx(1)
    assert bleu(["one two three four"], reference) == pytest.approx(0.7788, abs=1e-4)
    assert bleu(["six"], reference) == 0


def test_a_brief_is_asked_in_its_sentences() -> None:
    """What says nothing is not asked for, and nothing twice."""
    brief = "You want a card. Yes. It has no fee at all!\nYou want a card."
    assert sentences(brief) == ["You want a card.", "It has no fee at all!"]
    assert sentences("Hello.") == ["Hello."]
