"""What a reply says about itself beside its text: sentences for whoever reads the answer.

Each note tells of something that the text alone would hide. Does not know where notes are shown.
"""

from llm.chat import FinishReason


def notes_on(
    *,
    dropped_turns: int,
    left_window: int,
    finish_reason: FinishReason,
    timeout_s: float | None,
) -> tuple[str, ...]:
    """Return the notes on a reply; none where the model saw everything and came to its end.

    `left_window` tokens had left the rolling cache; `timeout_s` is the time the request gave.
    """
    notes: list[str] = []
    if dropped_turns == 1:
        notes.append("1 early turn has left the window: the answer does not know it.")
    elif dropped_turns:
        notes.append(
            f"{dropped_turns} early turns have left the window: the answer does not know them."
        )
    if left_window:
        tokens = "1 token has" if left_window == 1 else f"{left_window} tokens have"
        notes.append(
            f"{tokens} left the rolling window behind its beginning: the end of the answer was"
            " written without seeing them."
        )
    if finish_reason == "deadline":
        given = "" if timeout_s is None else f" of {timeout_s:g} s"
        notes.append(f"The deadline{given} passed: the answer stops here.")
    return tuple(notes)
