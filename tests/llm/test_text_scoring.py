"""Scores of given texts on forks of a cached prefix: laws of probability, cost, no block left."""

import math
import threading

import numpy as np
import pytest

from llm.block_manager import CacheDomain
from llm.errors import ContextOverflowError, EngineFailureError
from llm.text_scoring import log_probs_of
from tests.llm.tiny_engine import tiny_async_engine, tiny_engine

DOMAIN = CacheDomain(model="tiny")
PREFIX = [5, 9, 11, 3, 8, 2, 17, 23, 4, 7, 19, 6, 13, 21, 10, 12, 14, 16, 18]


def test_the_scores_of_all_single_tokens_sum_to_one() -> None:
    """They are a distribution over the vocabulary."""
    engine = tiny_engine()
    found = engine.scoring.score(PREFIX, [[t] for t in range(engine.model.size)], DOMAIN)
    assert math.fsum(map(math.exp, found.log_probs)) == pytest.approx(1.0, abs=1e-5)
    engine.check()
    assert engine.state().used_blocks == 0


def test_the_chain_rule_holds() -> None:
    """log P(a b | x) = log P(a | x) + log P(b | x a), whatever is cached or computed aside."""
    engine = tiny_engine()
    a, b = [7, 3, 12], [4, 4]
    (both,) = engine.scoring.score(PREFIX, [[*a, *b]], DOMAIN).log_probs
    (first,) = engine.scoring.score(PREFIX, [a], DOMAIN).log_probs
    (second,) = engine.scoring.score([*PREFIX, *a], [b], DOMAIN).log_probs
    assert both == pytest.approx(first + second, abs=1e-4)


def test_texts_side_by_side_get_what_each_gets_alone() -> None:
    """However they are divided into passes."""
    engine = tiny_engine()
    texts = [[1 + i % 20, *range(2, 3 + i % 7)] for i in range(24)]
    together = engine.scoring.score(PREFIX, texts, DOMAIN).log_probs
    alone = [engine.scoring.score(PREFIX, [text], DOMAIN).log_probs[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-4)
    engine.check()
    assert engine.state().used_blocks == 0


def test_a_prefix_is_computed_once() -> None:
    """The second time only what is behind its last whole block."""
    engine = tiny_engine()
    first = engine.scoring.score(PREFIX, [[3]], DOMAIN)
    again = engine.scoring.score(PREFIX, [[3]], DOMAIN)
    assert (first.computed, first.cached) == (len(PREFIX), 0)
    assert (again.computed, again.cached) == (len(PREFIX) - 16, 16)
    assert first.log_probs == pytest.approx(again.log_probs, abs=1e-5)
    longer = engine.scoring.score([*PREFIX, 1, 2], [[3, 4, 5]], DOMAIN)
    assert longer.computed == len(PREFIX) + 2 - 16 + 2


def test_entropies_are_those_of_what_could_have_come() -> None:
    """Beside the scores of every token there, also where a text is longer than the context."""
    engine = tiny_engine(context_size=16)
    texts = [[3, 9, 4, 4, 17], [1 + i * 7 % 20 for i in range(37)]]
    for tokens in texts:
        found = engine.scoring.entropies(tokens, DOMAIN)
        assert len(found) == len(tokens)
        assert found[0] == 0.0
        for i in range(1, len(tokens)):
            # the last half of a context before the half that a token is in
            before = tokens[max(i // 8 * 8 - 8, 0) : i]
            each = [[t] for t in range(engine.model.size)]
            log_probs = engine.scoring.score(before, each, DOMAIN).log_probs
            entropy = -math.fsum(math.exp(x) * x for x in log_probs)
            assert found[i] == pytest.approx(entropy, abs=1e-4)
    engine.check()
    assert engine.state().used_blocks == 0
    with pytest.raises(ValueError, match="at least one token"):
        engine.scoring.entropies([], DOMAIN)


def test_entropies_are_told_beside_answers() -> None:
    """On the engine's own thread."""
    engine = tiny_async_engine()
    try:
        assert engine.entropies([3, 9, 4]) == pytest.approx(
            tiny_engine().scoring.entropies([3, 9, 4], DOMAIN), abs=1e-4
        )
    finally:
        engine.close()
    with pytest.raises(EngineFailureError):
        engine.entropies([3])


def test_what_cannot_be_scored_is_named() -> None:
    """Nothing to score, and too much of it."""
    engine = tiny_engine()
    with pytest.raises(ValueError, match="at least one token"):
        engine.scoring.score(PREFIX, [[]], DOMAIN)
    long = [1] * engine.model.context_size
    with pytest.raises(ContextOverflowError, match="more than the"):
        engine.scoring.score(long, [[1]], DOMAIN)
    assert engine.state().used_blocks == 0


def test_threads_may_score_while_others_generate() -> None:
    """The engine's thread takes scores between its steps; closed, it says so."""
    engine = tiny_async_engine()
    try:
        wanted = engine.score("Hello there", [" a", " bc"]).log_probs
        got: list[tuple[float, ...]] = []
        threads = [
            threading.Thread(
                target=lambda: got.append(engine.score("Hello there", [" a", " bc"]).log_probs)
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [pytest.approx(wanted, abs=1e-5)] * 4
    finally:
        engine.close()
    with pytest.raises(EngineFailureError, match="closed"):
        engine.score("Hello", [" a"])


def test_chosen_log_probs_are_those_of_the_whole_softmax() -> None:
    """The quick way, a few rows at a time, beside the plain one in float64."""
    rng = np.random.default_rng(0)
    logits = (5 * rng.standard_normal((19, 300))).astype(np.float32)
    tokens = rng.integers(0, 300, 19).tolist()
    wide = logits.astype(np.float64)
    plain = wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    assert log_probs_of(logits, tokens) == pytest.approx(plain[np.arange(19), tokens], abs=1e-5)
