import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32

from benchmarks.perplexity import Score, figures, losses, measure, table, windows_of
from tests.llm.tiny_model import tiny_tokenizer

VOCABULARY = 11


class Sure:
    """Gives the right next token `odds` times the probability of any other."""

    def __init__(self, odds: float) -> None:
        self.odds = odds

    def logits(self, token_ids: list[int]) -> Float32[np.ndarray, "t v"]:
        values = np.zeros((len(token_ids), VOCABULARY), np.float32)
        values[np.arange(len(token_ids) - 1), token_ids[1:]] = math.log(self.odds)
        return values


WINDOWS = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]


def test_who_knows_nothing_has_the_vocabulary_as_perplexity() -> None:
    (score,) = measure({"fp32": Sure(1.0)}, WINDOWS)
    assert score.perplexity == pytest.approx(VOCABULARY)
    assert score.perplexity_error == pytest.approx(0.0, abs=1e-6)
    assert score.num_tokens == 10


def test_a_known_probability_gives_its_inverse() -> None:
    (score,) = measure({"fp32": Sure(10.0)}, WINDOWS)
    assert score.perplexity == pytest.approx((10 + VOCABULARY - 1) / 10)


def test_others_are_compared_with_the_first() -> None:
    first, other = measure({"fp32": Sure(10.0), "int8": Sure(5.0)}, WINDOWS)
    assert (first.ratio, first.ratio_error, first.max_difference) == (1.0, 0.0, 0.0)
    assert first.num_same == first.num_tokens
    assert other.ratio == pytest.approx(other.perplexity / first.perplexity)
    assert other.max_difference == pytest.approx(math.log(2), abs=1e-6)
    assert other.num_same == other.num_tokens


def test_the_error_is_that_of_the_mean_over_windows() -> None:
    score = Score(
        name="a",
        losses=(1.0, 2.0, 3.0),
        excesses=(0.1, 0.1, 0.1),
        max_difference=0.0,
        num_same=0,
        num_tokens=3,
    )
    assert score.perplexity == pytest.approx(math.e**2)
    assert score.perplexity_error == pytest.approx(math.e**2 / math.sqrt(3))
    assert score.ratio_error == pytest.approx(0.0, abs=1e-12)


def test_logits_that_are_no_numbers_are_an_error_with_a_name() -> None:
    with pytest.raises(ValueError, match="int8 gave a logit that is no finite number"):
        measure({"fp32": Sure(2.0), "int8": Sure(math.inf)}, WINDOWS)


def test_windows_are_spread_over_the_text_without_overlap() -> None:
    tokenizer = tiny_tokenizer()
    text = "the quick brown fox jumps over the lazy dog " * 40
    token_ids = tokenizer.encode(text)
    num, context = 3, 17
    found = windows_of(text, tokenizer, num, context)
    there = len(token_ids) // context
    starts = [i * there // num * context for i in range(num)]
    assert found == [token_ids[start : start + context] for start in starts]
    assert all(b - a >= context for a, b in itertools.pairwise(starts))
    everything = windows_of(text, tokenizer, there, context)
    assert list(itertools.chain.from_iterable(everything)) == token_ids[: there * context]


@pytest.mark.parametrize(("num", "context"), [(0, 8), (1, 1), (3, 10**6)])
def test_windows_that_cannot_be_cut_are_refused(num: int, context: int) -> None:
    with pytest.raises(ValueError, match="window"):
        windows_of("some words", tiny_tokenizer(), num, context)


@given(
    shift=st.floats(-20, 20, width=32),
    token_ids=st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=7),
    seed=st.integers(0, 99),
)
def test_a_constant_added_to_all_logits_changes_no_loss(
    shift: float, token_ids: Sequence[int], seed: int
) -> None:
    shape = (len(token_ids), VOCABULARY)
    logits = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    assert losses(logits + np.float32(shift), token_ids) == pytest.approx(
        losses(logits, token_ids), abs=1e-4
    )


def test_only_our_own_formats_have_a_target() -> None:
    scores = measure(
        {"fp32": Sure(10.0), "ours, int8": Sure(9.99), "llama.cpp Q4_0": Sure(5.0)}, WINDOWS
    )
    by_name = {figure.name: figure for figure in figures(scores)}
    assert by_name["perplexity over fp32, ours, int8"].met is True
    assert by_name["perplexity over fp32, llama.cpp Q4_0"].met is None
    assert "perplexity over fp32, fp32" not in by_name
    assert table(scores).splitlines()[2] == "| fp32 | 2.000 ± 0.000 |  |  |  |"
    assert "| llama.cpp Q4_0 | 3.000 ± 0.000 | +50.00 % ± 0.00 | 0.69 | 100.0 % |" in table(scores)
