"""Interpolated Kneser-Ney: proper, equal to its formula spelt out, bounded."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.drafters import BestToken, NGramDrafter
from llm.decoding.ngram_model import MAX_ORDER, NGramModel
from llm.errors import HeadError

VOCABULARY = 9
TOKENS = st.integers(0, VOCABULARY - 1)
TEXTS = st.lists(st.lists(TOKENS, max_size=30), max_size=5).filter(any)
EVERY = np.arange(VOCABULARY)


class Spelt:
    """The same model with dictionaries, from the definition; it drops nothing."""

    def __init__(self, texts: Sequence[Sequence[int]], order: int) -> None:
        self.order = order
        self.counts: dict[int, Counter[tuple[int, ...]]] = {}
        for n in range(1, order + 1):
            seen: set[tuple[int, ...]] = set()
            counts: Counter[tuple[int, ...]] = Counter()
            for text in texts:
                for i in range(len(text) - n + 1):
                    gram = tuple(text[i : i + n])
                    before = (text[i - 1] if i else -1, *gram)
                    if n == order or before not in seen:
                        counts[gram] += 1
                    seen.add(before)
            self.counts[n] = counts

    def prob(self, context: tuple[int, ...], token: int) -> float:
        if len(context) == self.order:
            return 0.0
        lower = self.prob(context[1:], token) if context else 1 / VOCABULARY
        counts = self.counts[len(context) + 1]
        here: dict[int, int] = defaultdict(int)
        for gram, count in counts.items():
            if gram[:-1] == context:
                here[gram[-1]] = count
        if not here:
            return lower
        values = list(counts.values())
        once, twice = values.count(1), values.count(2)
        discount = once / (once + 2 * twice) if once and twice else 0.5
        total = sum(here.values())
        left = discount * len(here) / total
        return max(here[token] - discount, 0) / total + left * lower


@settings(max_examples=60)
@given(TEXTS, st.integers(1, 4), st.lists(TOKENS, max_size=4))
def test_probabilities_are_those_of_the_formula(
    texts: list[list[int]], order: int, context: list[int]
) -> None:
    model = NGramModel.fit(texts, order=order, vocab_size=VOCABULARY)
    spelt = Spelt(texts, order)
    got = np.exp(model.log_probs(context, EVERY))
    wanted = [
        spelt.prob(tuple(context[max(0, len(context) - order + 1) :]), t) for t in range(VOCABULARY)
    ]
    assert np.allclose(got, wanted, rtol=2e-3, atol=1e-3)  # shares are kept in half precision
    assert math.isclose(got.sum(), sum(wanted), rel_tol=1e-9)


@given(TEXTS, st.integers(1, 5), st.integers(1, 60), st.lists(st.integers(-3, 12), max_size=6))
def test_a_model_is_a_distribution_after_any_context_however_little_of_it_is_kept(
    texts: list[list[int]], order: int, most: int, context: list[int]
) -> None:
    model = NGramModel.fit(texts, order=order, vocab_size=VOCABULARY, max_entries=most)
    assert model.num_entries <= most
    log_probs = model.log_probs(context, EVERY)
    assert np.isfinite(log_probs).all()
    assert math.isclose(np.exp(log_probs).sum(), 1, rel_tol=1e-9)
    some = np.array([5, 0, 5])
    assert np.array_equal(model.log_probs(context, some), log_probs[some])


@given(TEXTS, st.integers(1, 4), st.integers(1, 40), st.lists(TOKENS, max_size=5))
def test_the_best_token_is_the_most_probable_of_all(
    texts: list[list[int]], order: int, most: int, context: list[int]
) -> None:
    model = NGramModel.fit(texts, order=order, vocab_size=VOCABULARY, max_entries=most)
    best = model.best(context)
    log_probs = model.log_probs(context, EVERY)
    if best is not None:
        assert log_probs[best] == log_probs.max()


def test_a_context_that_was_never_seen_has_no_best_token() -> None:
    model = NGramModel.fit([[1, 2, 3, 1, 2, 4, 1, 2, 3]], order=3, vocab_size=VOCABULARY)
    assert model.best([1, 2]) == 3
    assert model.best([8, 2]) == 3  # the last token alone is known
    assert model.best([8]) is None
    assert model.best([]) is None


def test_a_model_drafts() -> None:
    model = NGramModel.fit([[1, 2, 3, 4, 5, 6, 7]], order=3, vocab_size=VOCABULARY)
    assert isinstance(model, BestToken)
    assert NGramDrafter(model, [2, 3]).propose(3) == [4, 5, 6]


def test_a_word_of_one_context_only_gets_little_probability_elsewhere() -> None:
    """What Kneser-Ney is for: Francisco is frequent, but only behind San."""
    san, francisco, tea, others = 0, 1, 2, range(3, 9)
    texts = [[san, francisco]] * 10 + [[other, tea] for other in others]
    model = NGramModel.fit(texts, order=2, vocab_size=VOCABULARY)
    unseen = model.log_probs([francisco], np.array([francisco, tea]))
    assert unseen[0] < unseen[1]
    assert model.best([san]) == francisco


def test_what_is_dropped_occurs_least_often() -> None:
    texts = [[0, 1, 2]] * 9 + [[3, 4, 5]]
    model = NGramModel.fit(texts, order=3, vocab_size=VOCABULARY, max_entries=6)
    assert model.num_entries == 6
    assert model.best([0, 1]) == 2
    assert model.best([3, 4]) is None


def test_texts_are_not_read_across_their_ends() -> None:
    model = NGramModel.fit([[1, 2], [3, 4]], order=2, vocab_size=VOCABULARY)
    assert model.best([2]) is None
    assert model.best([3]) == 4


@given(TEXTS, st.integers(1, 4), st.integers(1, 40))
def test_a_model_survives_its_arrays(texts: list[list[int]], order: int, most: int) -> None:
    model = NGramModel.fit(texts, order=order, vocab_size=VOCABULARY, max_entries=most)
    again = NGramModel.of(model.tensors())
    assert (again.order, again.num_entries) == (order, model.num_entries)
    for context in ([], [1], [1, 2], texts[-1]):
        assert np.array_equal(again.log_probs(context, EVERY), model.log_probs(context, EVERY))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, r"order .* must be in \[1, 6\], got 0"),
        ({"order": MAX_ORDER + 1}, "got 7"),
        ({"max_entries": 0}, "max_entries must be in"),
        ({"texts": []}, "no text"),
        ({"texts": [[], []]}, "no text"),
        ({"texts": [[1, 9]]}, "beyond the 9"),
        ({"texts": [[-1, 2]]}, "beyond the 9"),
    ],
)
def test_what_cannot_be_counted_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NGramModel.fit(**{"texts": [[1]], "order": 2, "vocab_size": VOCABULARY, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage",
    [
        {"keys": np.array([], np.int64)},
        {"keys": np.array([3, 2, 1])},
        {"keys": np.array([1, 2, 99])},
        {"keys": np.array([-1, 2, 3])},
        {"probs": np.array([0.5, np.nan, 0.2])},
        {"probs": np.array([0.5, 0.9, 0.2])},
        {"sizes": np.array([9])},
        {"sizes": np.array([0, 3])},
        {"sizes": np.array([9, 4, -1])},
    ],
)
def test_damaged_arrays_are_refused(damage: dict[str, np.ndarray]) -> None:
    sound = {
        "keys": np.array([1, 2, 3]),
        "probs": np.array([0.3, 0.3, 0.2], np.float32),
        "sizes": np.array([9, 3]),
    }
    assert NGramModel.of(sound).num_entries == 3
    with pytest.raises(HeadError, match="no n-gram model"):
        NGramModel.of({**sound, **damage})
    with pytest.raises(HeadError, match="no n-gram model"):
        NGramModel.of({key: sound[key] for key in sound if key not in damage})
