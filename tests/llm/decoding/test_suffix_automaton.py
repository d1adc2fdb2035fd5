from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.suffix_automaton import ROOT, SuffixAutomaton

DEPTH = 4
texts = st.lists(st.integers(0, 2), max_size=40)


def automaton_of(text: list[int], depth: int = DEPTH) -> SuffixAutomaton:
    automaton = SuffixAutomaton(depth)
    for token in text:
        automaton.append(token)
    return automaton


def occurrences(text: list[int], part: list[int]) -> int:
    n = len(part)
    return sum(text[i : i + n] == part for i in range(len(text) - n + 1))


def longest_match(text: list[int], query: list[int], depth: int = DEPTH) -> list[int]:
    for n in range(min(depth, len(query)), 0, -1):
        if occurrences(text, query[-n:]):
            return query[-n:]
    return []


@given(texts, texts)
def test_matches_and_counts_are_those_of_a_search(text: list[int], query: list[int]) -> None:
    automaton = automaton_of(text)
    state, length = ROOT, 0
    for i, token in enumerate(query):
        state, length = automaton.follow(state, length, token)
        match = longest_match(text, query[: i + 1])
        assert length == len(match)
        if match:
            assert automaton.count(state) == occurrences(text, match)
        follows = {v: occurrences(text, [*match, v]) for v in range(3)}
        best = max(follows, key=lambda v: (follows[v], -v))
        expected = (best, follows[best]) if follows[best] else None
        assert automaton.likeliest(state) == expected


@given(texts, texts)
def test_a_text_may_grow_between_matches(text: list[int], rest: list[int]) -> None:
    """Splits keep the counts right, wherever they come."""
    automaton = automaton_of(text)
    grown = list(text)
    for token in rest:
        automaton.append(token)
        grown.append(token)
        state, length = ROOT, 0
        for taken in grown:
            state, length = automaton.follow(state, length, taken)
        match = longest_match(grown, grown)
        assert length == len(match)
        assert automaton.count(state) == occurrences(grown, match)


def test_there_are_fewer_than_two_states_for_each_token() -> None:
    text = [(i * i + i // 3) % 7 for i in range(500)]
    assert len(automaton_of(text, 24)) < 2 * len(text)


class CountedReads(list[int]):
    """A list that counts how often one of its numbers is read."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        return super().__getitem__(index)


def test_a_text_of_one_token_takes_no_longer_than_another() -> None:
    """Each token of it would be counted for as many states as stand before it, without jumps."""
    automaton = SuffixAutomaton(24)
    automaton._links = reads = CountedReads([-1])
    for _ in range(1000):
        automaton.append(7)
    assert reads.reads < 60 * 1000
    state, length = ROOT, 0
    for _ in range(30):
        state, length = automaton.follow(state, length, 7)
    assert length == 24
    assert automaton.count(state) == 1000 - 23
    assert automaton.likeliest(state) == (7, 1000 - 24)
