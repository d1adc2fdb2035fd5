"""Automata over bytes: values, quotes and citations from data."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.automaton import (
    Automaton,
    Chain,
    Different,
    Either,
    Optional,
    Quotes,
    Span,
    State,
    Values,
)
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import Choices, CitationIds, Passage, Quote
from llm.errors import ConstraintConflictError
from tests.llm.decoding.small_vocabulary import small_vocabulary

pytestmark = pytest.mark.slow

SMALL = st.lists(st.text("abé", max_size=4).map(str.encode), min_size=1, max_size=9)
TEXTS = ["The name of the tag: na\u00efve, the name.", "An \u00e9t\u00e9 of names; the end"]


def run(automaton: Automaton, data: bytes) -> State | None:
    state: State | None = automaton.start
    for byte in data:
        if state is None:
            return None
        assert byte in automaton.next_bytes(state) or automaton.step(state, byte) is None
        state = automaton.step(state, byte)
    return state


def accepts(automaton: Automaton, data: bytes) -> bool:
    state = run(automaton, data)
    return state is not None and automaton.accepts(state)


def language(automaton: Automaton, most: int = 12) -> set[bytes]:
    """Return all strings up to a length, and check that no state is a dead end."""
    found = set()
    layer: list[tuple[State, bytes]] = [(automaton.start, b"")]
    while layer:
        state, data = layer.pop()
        following = automaton.next_bytes(state)
        assert following == sorted(set(following))
        assert following or automaton.accepts(state)
        if automaton.accepts(state):
            found.add(data)
        if len(data) < most:
            for byte in following:
                stepped = automaton.step(state, byte)
                assert stepped is not None
                layer.append((stepped, data + bytes([byte])))
    return found


@given(values=SMALL)
def test_values_are_exactly_the_given_ones(values: list[bytes]) -> None:
    assert language(Values(values)) == set(values)


@given(left=SMALL, right=SMALL)
def test_a_chain_is_one_of_each_and_either_is_one_of_any(
    left: list[bytes], right: list[bytes]
) -> None:
    both = language(Chain([Values(left), Values(right)]), most=40)
    assert both == {a + b for a in left for b in right}
    assert language(Either([Values(left), Values(right)])) == {*left, *right}
    assert language(Optional(Values(left))) == {*left, b""}


@given(least=st.integers(1, 3), more=st.integers(0, 2))
def test_different_values_come_in_any_order_and_none_twice(least: int, more: int) -> None:
    most = min(least + more, 3)
    automaton = Different([b"[1]", b"[2]", b"[12]"], least=least, most=most)
    for data in language(automaton, most=20):
        ids = re.findall(rb"\[\d+\]", data)
        assert b"".join(ids) == data
        assert least <= len(ids) == len(set(ids)) <= most
    assert accepts(automaton, b"[12][1][2]") == (most == 3)


def test_values_that_begin_others_cannot_be_told_apart_in_a_row() -> None:
    with pytest.raises(ValueError, match="begins with"):
        Different([b"1", b"12"], least=1, most=2)


@pytest.mark.parametrize(("least", "most"), [(1, 400), (6, 14), (3, 3)])
def test_quotes_are_all_spans_of_whole_words_and_nothing_else(least: int, most: int) -> None:
    expected = set()
    for text in TEXTS:
        words = list(re.finditer(r"\w+", text))
        for i, first in enumerate(words):
            for last in words[i:]:
                quote = text[first.start() : last.end()].encode()
                if least <= len(quote) <= most:
                    expected.add(quote)
    quotes = Quotes(TEXTS, min_bytes=least, max_bytes=most)
    assert language(quotes, most=60) == expected


@given(seed=st.integers(0, 2**32))
def test_a_quote_knows_all_its_places(seed: int) -> None:
    quotes = Quotes(TEXTS)
    rng = random.Random(seed)
    data = rng.choice(sorted(language(quotes, most=60)))
    spans = quotes.find(data)
    assert spans
    for span in spans:
        assert TEXTS[span.passage].encode()[span.start : span.end] == data
    assert spans == sorted(spans, key=lambda span: (span.passage, span.start))
    assert sum(text.encode().count(data) for text in TEXTS) >= len(spans)


def test_places_are_in_bytes_and_at_word_borders() -> None:
    quotes = Quotes(TEXTS)
    assert quotes.find(b"name") == [
        Span(passage=0, start=4, end=8),
        Span(passage=0, start=33, end=37),
    ]
    assert quotes.find(b"nam") == []  # part of a word
    assert quotes.find(b"names") == [Span(passage=1, start=12, end=17)]
    assert quotes.find(b"name. An") == []  # from one passage into the next


def test_passages_without_long_enough_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="allow shorter quotes"):
        Quotes(["a b c"], min_bytes=9)
    with pytest.raises(ConstraintConflictError, match="allow shorter quotes"):
        compile_grammar(Quote(passages=()), small_vocabulary())
    with pytest.raises(ConstraintConflictError, match="allow shorter quotes"):
        compile_grammar(Quote(passages=(), cite=True), small_vocabulary())


def automaton_of(spec: Choices | CitationIds | Quote) -> Automaton:
    grammar = compile_grammar(spec, small_vocabulary())
    assert isinstance(grammar, AutomatonGrammar)
    return grammar.automaton


def test_a_cited_quote_names_its_own_passage() -> None:
    passages = (Passage(id="1", text="the name"), Passage(id="b2", text="the name of it"))
    automaton = automaton_of(Quote(passages=passages, cite=True, max_quotes=2, min_bytes=8))
    assert accepts(automaton, b'"the name" [1]')
    assert accepts(automaton, b'"the name" [b2]')
    assert accepts(automaton, b'"the name of it" [b2]')
    assert not accepts(automaton, b'"the name of it" [1]')
    assert accepts(automaton, b'"the name" [1] "the name of it" [b2]')
    assert not accepts(automaton, b'"the name" [1] "the name" [1] "the name" [1]')
    assert not accepts(automaton, b'"the name" [3]')


def test_a_passage_may_contain_quotation_marks() -> None:
    passage = Passage(id="1", text='he said "no" twice')
    automaton = automaton_of(Quote(passages=(passage,), cite=True))
    assert accepts(automaton, b'"he said "no" twice" [1]')
    assert accepts(automaton, b'"he said "no" [1]')  # the quote ends with the word
    assert not accepts(automaton, b'"he said "no" twice [1]')


def test_ids_and_values_come_from_the_data() -> None:
    ids = automaton_of(CitationIds(ids=("a", "b"), max_ids=1))
    assert language(ids) == {b"[a]", b"[b]"}
    assert language(automaton_of(Choices(options=("dontcare", "none", "")))) == {
        b"dontcare",
        b"none",
        b"",
    }


def test_a_hundred_thousand_values_compile_and_are_all_there() -> None:
    rng = random.Random(7)
    values = {f"{rng.getrandbits(40):x} {i}" for i in range(100_000)}
    vocabulary = small_vocabulary()
    grammar = compile_grammar(Choices(options=tuple(values)), vocabulary)
    for value in rng.sample(sorted(values), 50):
        state = grammar.start(forcing=False)
        for token in vocabulary.encode_plain(value):
            state.advance(token)
        assert state.is_accepting
    state = grammar.start()
    assert state.count_legal(vocabulary.encode_plain("zz")) == 0
