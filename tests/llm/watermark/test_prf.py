"""Keyed hashing against `llm.philox` and against its own twin for single contexts."""

import numpy as np
import pytest
from scipy import stats

from llm.philox import Purpose, philox, uniforms
from llm.watermark.prf import (
    block,
    blocks,
    seed_of,
    seeds_of,
    sub_key,
    units_of,
    words_of,
    words_of_all,
)

SECRET = bytes(range(16))


def _keys(num: int) -> np.ndarray:
    return np.stack([sub_key(SECRET, "test", number) for number in range(num)])


def test_the_word_of_a_token_is_that_of_philox() -> None:
    ids = np.random.default_rng(0).choice(50_000, 301, replace=False)
    seed = 0xFEDC_BA98_7654_3210
    units = units_of(words_of(ids, np.array(seed, np.uint64)))
    np.testing.assert_array_equal(
        units, uniforms(ids, seed=seed, position=0, purpose=Purpose.WATERMARK)
    )


def test_single_blocks_and_arrays_of_blocks_are_those_of_philox() -> None:
    counters = np.random.default_rng(1).integers(0, 2**32, (7, 4), dtype=np.uint32)
    key = (0xA4093822, 0x299F31D0)
    expected = philox(counters, key)
    words = blocks(
        [counters[:, i].astype(np.uint64) for i in range(4)],
        [np.array(k, np.uint64) for k in key],
    )
    np.testing.assert_array_equal(np.stack(words, axis=1), expected)
    for counter, out in zip(counters.tolist(), expected.tolist(), strict=True):
        assert list(block(tuple(counter), key)) == out


@pytest.mark.parametrize("width", [0, 1, 3, 4, 5, 9])
def test_seeds_of_many_contexts_are_those_of_each(width: int) -> None:
    contexts = np.random.default_rng(2).integers(0, 50_000, (11, width))
    keys = _keys(3)
    seeds = seeds_of(contexts, keys)
    for i, key in enumerate(keys):
        assert seeds[i].tolist() == [seed_of(context, key) for context in contexts.tolist()]


def test_sub_keys_differ_by_secret_label_and_number() -> None:
    others = [
        sub_key(SECRET, "test", 0),
        sub_key(SECRET, "test", 1),
        sub_key(SECRET, "tess", 0),
        sub_key(SECRET[::-1], "test", 0),
    ]
    assert len({tuple(key.tolist()) for key in others}) == len(others)


def test_neighbouring_contexts_tokens_and_keys_have_unrelated_uniform_words() -> None:
    contexts = np.arange(40)[:, None] + np.arange(4)
    seeds = seeds_of(contexts, _keys(25))
    units = units_of(words_of(np.arange(40), seeds))
    assert stats.kstest(units.ravel(), "uniform").pvalue > 1e-3
    for axis in (0, 1):
        pairs = np.stack([units, np.roll(units, 1, axis=axis)]).reshape(2, -1)
        assert abs(np.corrcoef(pairs)[0, 1]) < 4 / np.sqrt(units.size)


def test_the_words_of_all_tokens_are_those_of_each() -> None:
    seeds = np.array([5, 2**63 + 7], np.uint64)
    for size in (1, 4, 97, 1000):
        each = words_of(np.arange(size), seeds[:, None])
        np.testing.assert_array_equal(words_of_all(size, seeds), each)
