from hypothesis import given
from hypothesis import strategies as st

from tools.visible_text import VisibleText


def shown(visible: str | None, *pieces: str) -> str:
    reader = VisibleText(visible)
    said = [text for piece in pieces for text in reader.feed(piece)]
    return "".join([*said, *reader.finish()])


def test_nothing_all_but_calls_or_what_follows_a_mark_is_visible() -> None:
    assert shown(None, "a", "b") == ""
    assert shown("", ' a <tool_call>{"name":"f","arguments":{}}</tool_call> ') == "a"
    assert shown("Answer: ", "Thought: a\nAns", "wer: b ", "c\n") == "b c"


@given(st.lists(st.text(alphabet="a \n<tool_c>:A", max_size=8), max_size=8))
def test_how_a_text_is_cut_into_pieces_does_not_show(pieces: list[str]) -> None:
    whole = "".join(pieces)
    for visible in (None, "", "A: "):
        assert shown(visible, *pieces) == shown(visible, whole)
    assert shown("", *pieces) == whole.strip()
