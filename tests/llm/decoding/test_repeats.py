import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.repeats import Repeats

V = 5
histories = st.lists(st.integers(0, V - 1), max_size=24)


def naive(history: list[int], breakers: set[int], least: int) -> dict[int, int]:
    """Every earlier place, compared with the end token by token."""
    longest: dict[int, int] = {}
    n = len(history)
    for place in range(1, n):
        m = 0
        while (
            m < place
            and history[place - 1 - m] == history[n - 1 - m]
            and history[n - 1 - m] not in breakers
        ):
            m += 1
        if m >= least and history[place] not in breakers:
            longest[history[place]] = max(longest.get(history[place], 0), m)
    return longest


def found(repeats: Repeats, least: int) -> dict[int, int]:
    tokens, lengths = repeats.continuations(least)
    assert tokens.tolist() == sorted(tokens.tolist())
    return dict(zip(tokens.tolist(), lengths.tolist(), strict=True))


def flags(breakers: set[int]) -> np.ndarray:
    return np.array([v in breakers for v in range(V)])


@given(histories, histories, st.sets(st.integers(0, V - 1), max_size=2), st.integers(1, 3))
def test_matches_are_those_of_a_search_through_the_whole_history(
    prompt: list[int], output: list[int], breakers: set[int], least: int
) -> None:
    repeats = Repeats(prompt, flags(breakers))
    assert found(repeats, least) == naive(prompt, breakers, least)
    for i, token in enumerate(output):
        repeats.take(token)
        assert found(repeats, least) == naive(prompt + output[: i + 1], breakers, least)


@given(histories, histories)
def test_counting_on_is_counting_anew(prompt: list[int], output: list[int]) -> None:
    repeats = Repeats(prompt, flags({1}))
    for token in output:
        repeats.take(token)
    assert found(repeats, 1) == found(Repeats(prompt + output, flags({1})), 1)


def test_a_copy_goes_its_own_way() -> None:
    repeats = Repeats([1, 2, 3, 1, 2], flags(set()))
    copy = repeats.fork()
    copy.take(4)
    assert found(repeats, 2) == {3: 2}
    assert found(copy, 1) == {}


def test_the_arrays_grow_with_the_history() -> None:
    repeats = Repeats([], flags(set()))
    history = [i % 3 for i in range(200)]
    for token in history:
        repeats.take(token)
    assert found(repeats, 1) == naive(history, set(), 1) == {2: 197}
