import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.output_history import (
    DEPTH,
    LEAST_MATCH,
    LEAST_PROBABILITY,
    OutputHistories,
    OutputHistory,
)

V = 4
tokens = st.lists(st.integers(0, V - 1), max_size=30)
outputs = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), max_size=5)


def occurrences(text: list[int], part: list[int]) -> int:
    return sum(text[i : i + len(part)] == part for i in range(len(text) - len(part) + 1))


def drafted(kept: list[list[int]], text: list[int], most: int) -> list[int]:
    """The same by counting in all outputs, for every token anew."""
    joined = [token for output in kept for token in [*output, -1]]
    draft: list[int] = []
    probability = 1.0
    while len(draft) < most:
        context = (text + draft)[-DEPTH:]
        while context and not occurrences(joined, context):
            context = context[1:]
        if len(context) < LEAST_MATCH:
            break
        follows = {v: occurrences(joined, [*context, v]) for v in range(-1, V)}
        best = max(follows, key=lambda v: (follows[v], -v))
        probability *= follows[best] / occurrences(joined, context)
        if best < 0 or probability < LEAST_PROBABILITY:
            break
        draft.append(best)
    return draft


@given(outputs, tokens, tokens, st.integers(0, 40))
def test_drafts_are_those_of_counting_in_all_outputs(
    kept: list[list[int]], prompt: list[int], output: list[int], most: int
) -> None:
    history = OutputHistory()
    for past in kept:
        history.add(past)
    drafter = history.drafter(prompt)
    for i, token in enumerate(output):
        if i % 3:
            assert drafter.propose(most) == drafted(kept, prompt + output[:i], most)
        drafter.take(token)
    assert drafter.propose(most) == drafted(kept, prompt + output, most)


@given(outputs, outputs, tokens)
def test_a_draft_knows_what_was_added_meanwhile(
    kept: list[list[int]], more: list[list[int]], text: list[int]
) -> None:
    history = OutputHistory()
    for past in kept:
        history.add(past)
    drafter = history.drafter(text)
    drafter.propose(3)
    for past in more:
        history.add(past)
    assert drafter.propose(9) == drafted(kept + more, text, 9)


def test_matches_do_not_reach_from_one_output_into_the_next() -> None:
    history = OutputHistory()
    history.add([1, 2, 3])
    history.add([4, 5, 6])
    assert history.drafter([2, 3]).propose(4) == []
    assert history.drafter([1, 2]).propose(4) == [3]


def test_drafts_end_where_they_become_improbable() -> None:
    history = OutputHistory()
    for last in range(20):
        history.add([100, 101, 102, 200 + last])
    assert history.drafter([100, 101]).propose(8) == [102]


def test_a_history_is_bounded_and_the_latest_tokens_stay() -> None:
    history = OutputHistory(max_tokens=100)
    states = 0
    for i in range(200):
        history.add(list(range(10 * i, 10 * i + 9)))
        assert len(history) <= 100
        states = max(states, len(history._automaton), len(history._next or []))
        if i >= 4:  # half of the tokens are there at any time
            for j in range(i - 3, i + 1):
                assert history.drafter([10 * j, 10 * j + 1]).propose(2) == [10 * j + 2, 10 * j + 3]
    assert states <= 2 * 100
    assert history.drafter([0, 1]).propose(2) == []


def test_of_an_output_that_is_too_long_the_end_is_kept() -> None:
    history = OutputHistory(max_tokens=20)
    history.add(range(1000))
    assert len(history) <= 20
    assert history.drafter([994, 995]).propose(9) == [996, 997, 998, 999]
    history.add([])
    assert history.drafter([994, 995]).propose(9) == [996, 997, 998, 999]


def test_no_tenant_is_drafted_what_another_was_answered() -> None:
    histories = OutputHistories()
    histories.of("a").add([1, 2, 3, 4])
    assert histories.of("b").drafter([1, 2]).propose(4) == []
    assert histories.of("a").drafter([1, 2]).propose(4) == [3, 4]


def test_the_tenants_that_were_used_last_are_kept() -> None:
    histories = OutputHistories(max_tenants=2)
    for tenant in ("a", "b"):
        histories.of(tenant).add([1, 2, 3])
    histories.of("a")
    histories.of("c")
    assert len(histories) == 2
    assert histories.of("a").drafter([1, 2]).propose(1) == [3]
    assert histories.of("b").drafter([1, 2]).propose(1) == []


def test_bounds_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="2 tokens or more"):
        OutputHistory(max_tokens=1)
    with pytest.raises(ValueError, match="2 tokens or more"):
        OutputHistories(max_tokens=1)
    with pytest.raises(ValueError, match="1 tenant or more"):
        OutputHistories(max_tenants=0)


def test_threads_may_add_and_draft_at_once() -> None:
    history = OutputHistory(max_tokens=200)
    failures: list[BaseException] = []

    def add() -> None:
        for i in range(150):
            history.add([1, 2, 3, i % 7, 5])

    def draft() -> None:
        try:
            drafter = history.drafter()
            for token in itertools.islice(itertools.cycle([1, 2, 3]), 600):
                drafter.take(token)
                assert len(drafter.propose(4)) <= 4
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for work in (add, draft, add, draft)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert history.drafter([1, 2]).propose(1) == [3]
