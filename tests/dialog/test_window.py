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
    model = ScriptedChatModel(context_size=135)
    windows = [fit([], TURNS[:n], user(5), model=model, reserve=10) for n in range(13)]
    dropped = [window.dropped_turns for window in windows]
    assert dropped[:6] == [0] * 6
    changes = [n for n in range(1, 13) if dropped[n] != dropped[n - 1]]
    assert changes == [6, 10]
    assert all(model.count_tokens(window.messages) <= 125 for window in windows)


def test_which_turns_leave_does_not_depend_on_the_message_that_is_asked() -> None:
    model = ScriptedChatModel(context_size=135)
    for n in range(13):
        dropped = {
            fit([], TURNS[:n], user(words), model=model, reserve=10).dropped_turns
            for words in (2, 9, 24)
        }
        assert len(dropped) == 1


def test_a_long_message_makes_further_turns_leave() -> None:
    model = ScriptedChatModel(context_size=135)
    window = fit([], TURNS[:5], user(70), model=model, reserve=10)
    assert window.dropped_turns == 3


def test_system_messages_never_leave() -> None:
    system = [Message(role="system", content="be brief")]
    window = fit(system, TURNS, user(5), model=ScriptedChatModel(context_size=80), reserve=10)
    assert window.messages[0] == system[0]
    assert window.dropped_turns > 0


def test_a_message_that_does_not_fit_alone_says_by_how_much() -> None:
    with pytest.raises(ContextOverflowError, match="95 tokens, 5 more than the 90 that fit"):
        fit([], [], user(95), model=ScriptedChatModel(context_size=100), reserve=10)


def test_a_message_that_does_not_fit_alone_is_the_whole_prompt_where_the_cache_rolls() -> None:
    system = [Message(role="system", content="be brief")]
    model = ScriptedChatModel(context_size=100)
    window = fit(system, TURNS[:2], user(95), model=model, reserve=10, can_roll=True)
    assert window.messages == (*system, user(95))
    assert window.dropped_turns == 2


def test_whether_the_cache_rolls_changes_nothing_for_a_message_that_fits() -> None:
    model = ScriptedChatModel(context_size=135)
    for n in range(13):
        plain, rolling = (
            fit([], TURNS[:n], user(9), model=model, reserve=10, can_roll=can_roll)
            for can_roll in (False, True)
        )
        assert plain == rolling
