"""Without the key: p-values are uniform over keys, on text that repeats itself too.

A law with few values has its p-values randomised between the tail and the one above it. The level
of each Kolmogorov-Smirnov test is 1/1000; keys are fixed, so a test fails always or never.
"""

import math

import numpy as np
import pytest
from scipy import stats

from llm.watermark.bayesian import BayesianSynthID, independent_words
from llm.watermark.contexts import Seeding
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.null_laws import Law, weighted_log_tail
from llm.watermark.p_values import best_of
from llm.watermark.prf import sub_key
from llm.watermark.scheme import Scheme, Scores
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram
from tests.llm.watermark.texts import human_like, repetitive

LEVEL = 1e-3
NUM_KEYS = 10_000
SCHEMES: dict[str, tuple[Scheme, int]] = {
    "gumbel": (Gumbel(), NUM_KEYS),
    "gumbel-min": (Gumbel(seeding=Seeding(kind="min")), 2000),
    "sbw": (GreenLists(), NUM_KEYS),
    "left-hash": (GreenLists(gamma=0.25, seeding=Seeding(width=1)), 2000),
    "min-hash": (GreenLists(seeding=Seeding(kind="min")), 2000),
    "self-hash": (GreenLists(gamma=0.25, seeding=Seeding(kind="self")), 2000),
    "exact-lists": (GreenLists(vocabulary_size=97, seeding=Seeding(width=1)), 50),
    "synthid-mean": (SynthID(statistic="mean"), NUM_KEYS),
    "synthid-weighted": (SynthID(), 1000),
    "unigram": (Unigram(vocabulary_size=997), 2000),
}


def _keys(scheme: Scheme, num: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    return np.stack([sub_key(rng.bytes(16), scheme.label, 0) for _ in range(num)])


def _p_values(law: Law, scores: Scores) -> np.ndarray:
    coin = np.random.default_rng(8)
    found: dict[tuple[float, int], tuple[float, float]] = {}
    p = []
    for total, num in zip(scores.totals().tolist(), scores.counts().tolist(), strict=True):
        if (total, num) not in found:
            tail = math.exp(law.log_tail(total, num))
            above = math.exp(law.log_tail(total + law.step, num)) if law.step else tail
            found[total, num] = (tail, above)
        tail, above = found[total, num]
        p.append(above + coin.random() * (tail - above))
    return np.array(p)


def _scores(scheme: Scheme, tokens: np.ndarray, num: int) -> Scores:
    keys = _keys(scheme, num)
    parts = [scheme.score(tokens, keys[i : i + 1000]) for i in range(0, num, 1000)]
    return Scores(
        values=np.concatenate([s.values for s in parts]),
        is_scored=np.concatenate([s.is_scored for s in parts]),
        coins=np.concatenate([s.coins for s in parts]),
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_p_values_of_unmarked_text_are_uniform_over_keys(name: str) -> None:
    scheme, num = SCHEMES[name]
    tokens = human_like(120) % 97 if name in ("exact-lists", "unigram") else human_like(120)
    p = _p_values(scheme.law, _scores(scheme, tokens, num))
    assert stats.kstest(p, "uniform").pvalue > LEVEL
    for alpha in (0.01, 0.001):
        low, high = stats.binom.interval(0.999, num, alpha)
        assert low <= (p <= alpha).sum() <= high


@pytest.mark.parametrize("name", ["gumbel", "sbw", "min-hash", "self-hash", "synthid-mean"])
def test_p_values_of_a_loop_are_uniform_over_keys(name: str) -> None:
    """Seven tokens in a loop have seven contexts, however long they go on."""
    scheme, _ = SCHEMES[name]
    scores = _scores(scheme, repetitive(500), 2000)
    assert scores.counts().max() <= 7
    assert stats.kstest(_p_values(scheme.law, scores), "uniform").pvalue > LEVEL


def test_counting_the_contexts_of_a_loop_again_and_again_would_be_wrong() -> None:
    """What the tests above could not see if they had no power."""
    scheme = Gumbel()
    scores = _scores(scheme, repetitive(500), 500)
    every = scores.values[:, 4:].sum(axis=1)
    p = [math.exp(scheme.law.log_tail(float(total), 496)) for total in every]
    assert (np.array(p) <= 0.01).mean() > 0.15


def test_the_best_of_all_sub_keys_is_uniform_after_its_correction() -> None:
    scheme = Gumbel()
    p = _p_values(scheme.law, _scores(scheme, human_like(60), 16 * 500)).reshape(500, 16)
    corrected = [math.exp(best_of(math.log(x), 16)) for x in p.min(axis=1)]
    assert stats.kstest(corrected, "uniform").pvalue > LEVEL


@pytest.mark.parametrize("name", ["gumbel", "sbw", "synthid-mean"])
def test_weighted_p_values_are_uniform_over_keys(name: str) -> None:
    scheme, _ = SCHEMES[name]
    scores = _scores(scheme, human_like(120), 500)
    weights = np.random.default_rng(9).choice([0.1, 0.5, 1.0, 2.5], 120)
    p = []
    for values, is_scored in zip(scores.values, scores.is_scored, strict=True):
        w = weights[is_scored]
        p.append(math.exp(weighted_log_tail(scheme.law, w, float((w * values[is_scored]).sum()))))
    assert stats.kstest(p, "uniform").pvalue > LEVEL


def test_p_values_of_conversations_are_uniform_over_keys() -> None:
    """Although the second reply repeats the first one, and each may have any of 16 sub-keys."""
    first, third = human_like(30, 1).tolist(), human_like(40, 2).tolist()
    replies = [Text(token_ids=tuple(tokens)) for tokens in (first, first, third)]
    rng = np.random.default_rng(10)
    p = []
    for number in range(300):
        key = WatermarkKey(name=f"key-{number}", secret=rng.bytes(16))
        p.append(Detector(Gumbel(), [key]).detect_conversation(replies).p_value)
    assert stats.kstest(p, "uniform").pvalue > LEVEL


def test_bayesian_p_values_of_a_long_text_are_uniform_over_keys() -> None:
    """Their law was a sample's, whose mean was off: by 0.16 standard deviations at 200 tokens."""
    base = SynthID(depth=12)
    scheme = BayesianSynthID(
        base=base, beta=(1.0,) * 12, delta=tuple((0.3,) * layer for layer in range(12))
    )
    scores = _scores(scheme, human_like(1500, 3), 400)
    assert scores.counts().min() > 1000
    p = _p_values(scheme.law, scores)
    assert stats.kstest(p, "uniform").pvalue > LEVEL
    assert abs(p.mean() - 0.5) < 0.05


def test_any_six_bits_of_the_words_that_tell_a_law_are_independent() -> None:
    words = independent_words()
    assert len(words) == len(set(words.tolist())) == 2**15
    rng = np.random.default_rng(1)
    for _ in range(60):
        layers = rng.choice(30, 6, replace=False)
        values = ((words[:, None] >> layers & 1) << np.arange(6)).sum(axis=1)
        assert (np.bincount(values, minlength=64) == 2**9).all()
