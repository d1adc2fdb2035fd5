"""Quotes in the vocabulary of the default model, where thousands of tokens may come first."""

import random

import pytest

from llm.checkpoint import load_decoder
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import Passage, Quote
from llm.decoding.vocabulary import Vocabulary
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def vocabulary(models: ModelStore) -> Vocabulary:
    tokenizer = load_decoder(models.path(DEFAULT_CHAT_MODEL)).tokenizer
    return Vocabulary(tokenizer, size=tokenizer.vocab_size)


@pytest.mark.parametrize("wish", [{}, {"min_bytes": 20, "max_quotes": 3, "min_quotes": 2}])
def test_quotes_of_many_words_can_be_finished_from_the_start(
    vocabulary: Vocabulary, wish: dict[str, int]
) -> None:
    """More ways compete than are followed, and the end of a quote is one state for all of them."""
    draws = random.Random(1)
    spelled = draws.sample(list(vocabulary.token_bytes), 6_000)
    words = [word for data in spelled if (word := data.decode(errors="ignore").strip()).isalpha()]
    passages = tuple(
        Passage(id=str(number), text=" ".join(draws.choices(words, k=130))) for number in range(6)
    )
    grammar = compile_grammar(Quote(passages=passages, cite=True, **wish), vocabulary)
    assert isinstance(grammar, AutomatonGrammar)
    at = grammar.automaton.start
    tokens = grammar.shortest(at)
    assert tokens is not None
    for token in tokens:
        following = grammar.after(at, token)
        assert following is not None
        at = following
    assert grammar.automaton.accepts(at)
    assert sum(len(vocabulary.token_bytes[token]) for token in tokens) < 90
