from typing import get_args

from dialog.notes import notes_on
from llm.chat import FinishReason


def test_an_answer_that_saw_everything_and_came_to_its_end_needs_no_note() -> None:
    for reason in set(get_args(FinishReason)) - {"deadline"}:
        told = notes_on(dropped_turns=0, left_window=0, finish_reason=reason, timeout_s=2.0)
        assert told == ()


def test_what_left_the_window_and_a_deadline_are_told_with_their_numbers() -> None:
    notes = notes_on(dropped_turns=3, left_window=250, finish_reason="deadline", timeout_s=0.5)
    assert [note for note in notes if "3 early turns have left the window" in note]
    assert [note for note in notes if "250 tokens have left the rolling window" in note]
    assert [note for note in notes if "deadline of 0.5 s passed" in note]
    assert len(notes) == 3


def test_one_is_told_in_the_singular() -> None:
    turn, token = notes_on(dropped_turns=1, left_window=1, finish_reason="stop", timeout_s=None)
    assert turn.startswith("1 early turn has left the window")
    assert token.startswith("1 token has left")
