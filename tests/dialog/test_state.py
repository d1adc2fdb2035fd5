from dialog.events import ConversationOpened, Event, EvidenceRetrieved, SystemUttered, UserUttered
from dialog.reply import Timings
from dialog.state import DialogState, replay
from llm.chat import Message, Usage


def said(text: str, prompt_text: str = "") -> SystemUttered:
    return SystemUttered(
        text=text,
        finish_reason="stop",
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        timings=Timings(),
        seed=0,
        prompt_text=prompt_text,
    )


LOG: list[Event] = [
    ConversationOpened(collection="python", title=""),
    UserUttered(message_id="1", text="Why?", prompt_text="Evidence: …\n\nQuestion: Why?"),
    EvidenceRetrieved(),
    said("Because."),
    UserUttered(message_id="2", text="And?"),
    said("Shown", prompt_text="as in the prompt"),
]


def test_turns_hold_both_sides_as_they_stood_in_the_prompt() -> None:
    state = replay(LOG)
    assert state.collection == "python"
    assert [turn.question for turn in state.turns] == ["Why?", "And?"]
    assert state.turns[0].messages == (
        Message(role="user", content="Evidence: …\n\nQuestion: Why?"),
        Message(role="assistant", content="Because."),
    )
    assert state.turns[1].messages[1].content == "as in the prompt"


def test_folding_a_prefix_and_then_the_rest_gives_the_same_state() -> None:
    for cut in range(len(LOG) + 1):
        assert replay(LOG[:cut]).after(*LOG[cut:]) == replay(LOG)


def test_no_event_gives_the_empty_state() -> None:
    assert replay([]) == DialogState()
