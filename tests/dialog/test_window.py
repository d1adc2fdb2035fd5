import pytest

from dialog.window import fit
from llm.chat import Message
from llm.errors import ContextOverflowError
from llm.testing import ScriptedChatModel


def user(words: int) -> Message:
    return Message(role="user", content="w " * (words - 1))


TURNS = [(user(10), user(10)) for _ in range(12)]  # 20 tokens each


def test_everything_stays_while_there_is_room() -> None:
    window = fit([], TURNS[:3], user(5), model=ScriptedChatModel(context_size=100), reserve=10)
    assert window.dropped_turns == 0
    assert len(window.messages) == 7


def test_old_turns_leave_in_batches_so_that_the_prefix_holds_for_several_turns() -> None:
    model = ScriptedChatModel(context_size=110)
    dropped = [
        fit([], TURNS[:n], user(5), model=model, reserve=10).dropped_turns for n in range(13)
    ]
    assert dropped == sorted(dropped)
    assert dropped[4] == 0
    changes = [n for n in range(1, 13) if dropped[n] != dropped[n - 1]]
    assert changes == [5, 8, 11]
    for n in range(13):
        window = fit([], TURNS[:n], user(5), model=model, reserve=10)
        assert model.count_tokens(window.messages) <= 100


def test_system_messages_never_leave() -> None:
    system = [Message(role="system", content="be brief")]
    window = fit(system, TURNS, user(5), model=ScriptedChatModel(context_size=80), reserve=10)
    assert window.messages[0] == system[0]
    assert window.dropped_turns > 0


def test_a_message_that_does_not_fit_alone_says_by_how_much() -> None:
    with pytest.raises(ContextOverflowError, match="95 tokens, 5 more than the 90 that fit"):
        fit([], [], user(95), model=ScriptedChatModel(context_size=100), reserve=10)
