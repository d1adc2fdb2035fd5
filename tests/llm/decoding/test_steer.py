"""P4: the K best, factors, the price; FUDGE is Bayes' rule on a model that can be enumerated."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Int64

from llm.decoding.logit_rows import best
from llm.decoding.phases import ComposedLogits, Factor, Forwards, ShapedLogits, SteeredLogits
from llm.decoding.steer import (
    REWARD_CANDIDATES,
    FudgeFactor,
    RewardFactor,
    kl,
    log_sigmoid,
    steer,
)

NOTHING = Forwards()
NO_STATE = np.empty(0, np.float32)


class TableScorer:
    """Scores a token by a table alone, or by the table's row of the token before."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = np.atleast_2d(table).astype(np.float32)

    def start(self, token_ids: Sequence[int]) -> np.ndarray:
        return self.step(np.zeros(1, np.float32), token_ids[-1] if token_ids else 0)

    def step(self, state: np.ndarray, token: int) -> np.ndarray:
        del state
        return np.array([token % len(self.table)], np.float32)

    def scores(
        self, state: np.ndarray, hidden: np.ndarray | None, token_ids: np.ndarray
    ) -> np.ndarray:
        del hidden
        found: np.ndarray = self.table[int(state[0])][token_ids]
        return found


def row(rng: np.random.Generator, size: int = 50) -> ComposedLogits:
    return ComposedLogits(rng.normal(0, 3, size).astype(np.float32))


def fudge(table: np.ndarray, weight: float = 1.0) -> FudgeFactor:
    scorer = TableScorer(table)
    return FudgeFactor(scorer, scorer.start([]), weight=weight)


def reward(table: np.ndarray, weight: float = 1.0) -> RewardFactor:
    scorer = TableScorer(table)
    return RewardFactor(scorer, scorer.start([]), weight=weight)


def softmax(z: np.ndarray) -> np.ndarray:
    wide = z.astype(np.float64)
    p = np.exp(wide - wide.max())
    found: np.ndarray = p / p.sum()
    return found


def steered(z: ComposedLogits, factors: Sequence[Factor], k: int = 200) -> SteeredLogits:
    return steer(ComposedLogits(z.copy()), factors, NOTHING, k=k)


# --- the k best ------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 0.5, 3.0]), min_size=1, max_size=400),
    st.integers(1, 30),
)
def test_the_best_are_those_of_a_full_sort_by_logit_then_id(values: list[float], k: int) -> None:
    z = np.array(values, np.float32)
    finite = [i for i in np.lexsort((np.arange(len(z)), -z)).tolist() if z[i] > -np.inf]
    if not finite:
        with pytest.raises(ValueError, match="no logit is finite"):
            best(z, k)
        return
    assert best(z, k).tolist() == sorted(finite[:k])


@pytest.mark.parametrize("spread", [0.0, 1e-3, 3.0])
def test_the_best_of_a_whole_vocabulary_are_those_of_a_full_sort(
    rng: np.random.Generator, spread: float
) -> None:
    z = np.round(rng.normal(0, spread, 49_152), 2).astype(np.float32)
    z[rng.random(len(z)) < 0.3] = -np.inf
    wanted = np.lexsort((np.arange(len(z)), -z))[:200]
    assert best(z, 200).tolist() == sorted(wanted.tolist())


def test_fewer_than_k_possible_tokens_are_all_kept() -> None:
    z = np.full(49_152, -np.inf, np.float32)
    z[[7, 40_000]] = [1.0, -5.0]
    assert best(z, 200).tolist() == [7, 40_000]


# --- factors ---------------------------------------------------------------------------------


def test_weight_zero_leaves_the_probabilities_of_the_best_as_they_were(
    rng: np.random.Generator,
) -> None:
    z, table = row(rng), rng.normal(size=50)
    for factor in (fudge(table, 0.0), reward(table, 0.0)):
        assert np.array_equal(steered(z, [factor], k=50), z)
        few = steered(z, [factor], k=5)
        assert np.isfinite(few).sum() == 5
        assert np.array_equal(few[np.isfinite(few)], z[np.isfinite(few)])


def test_no_factor_leaves_the_row_alone(rng: np.random.Generator) -> None:
    z = row(rng)
    assert np.array_equal(steered(z, [], k=3), z)


def test_with_all_candidates_the_formula_holds_everywhere(rng: np.random.Generator) -> None:
    z, table = row(rng), rng.normal(size=50)
    wanted = softmax(z) * (1 / (1 + np.exp(-table))) ** 2.5
    found = softmax(steered(z, [fudge(table, 2.5)], k=50))
    assert found == pytest.approx(wanted / wanted.sum(), abs=1e-6)


def test_factors_add_in_any_order(rng: np.random.Generator) -> None:
    z = row(rng)
    factors: list[Factor] = [
        fudge(rng.normal(size=50), 2.0),
        fudge(rng.normal(size=50), -1.0),
        reward(rng.normal(size=50), 30.0),
    ]
    first = steered(z, factors)
    added = z + sum(factor.weigh(np.arange(50), NOTHING) for factor in factors)
    assert first == pytest.approx(added, abs=1e-5)
    for order in itertools.permutations(factors):
        assert steered(z, order) == pytest.approx(first, abs=1e-5)


def test_a_negative_weight_asks_for_the_opposite(rng: np.random.Generator) -> None:
    ids, table = np.arange(50), rng.normal(size=50)
    for make in (fudge, reward):
        opposite = make(-table, 3.0).weigh(ids, NOTHING)
        assert make(table, -3.0).weigh(ids, NOTHING) == pytest.approx(opposite, abs=1e-12)
        assert not np.allclose(make(table, 3.0).weigh(ids, NOTHING), opposite)


def test_a_reward_is_at_most_its_weight_and_at_least_nothing() -> None:
    table = np.array([-1e4, -1.0, 0.0, 1.0, 1e4])
    given_ = reward(table, 30.0).weigh(np.arange(5), NOTHING)
    assert given_ == pytest.approx(30 / (1 + np.exp(-table.clip(-700, 700))))
    assert given_.min() >= 0
    assert given_.max() <= 30


def test_only_the_20_best_can_be_rewarded_as_the_paper_has_it(rng: np.random.Generator) -> None:
    z = row(rng)
    found = steered(z, [reward(np.ones(50), 10.0)], k=REWARD_CANDIDATES)
    assert np.flatnonzero(np.isfinite(found)).tolist() == best(z, 20).tolist()


def test_log_sigmoid_neither_overflows_nor_loses_small_numbers() -> None:
    found = log_sigmoid(np.array([-1e4, -40.0, 0.0, 40.0, 1e4]))
    assert found == pytest.approx([-1e4, -40, -np.log(2), -np.exp(-40.0), 0], rel=1e-9)


def test_a_damaged_head_is_an_error_and_not_a_row_without_tokens(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="not finite"):
        steered(row(rng), [fudge(np.full(50, np.nan))])


def test_a_fork_goes_its_own_way(rng: np.random.Generator) -> None:
    for make in (fudge, reward):
        first = make(rng.normal(size=(3, 50)), 2.0)
        second = first.fork()
        before = first.weigh(np.arange(50), NOTHING)
        second.take(2)
        assert np.array_equal(first.weigh(np.arange(50), NOTHING), before)
        assert not np.array_equal(second.weigh(np.arange(50), NOTHING), before)
        first.take(2)
        assert np.array_equal(
            first.weigh(np.arange(50), NOTHING), second.weigh(np.arange(50), NOTHING)
        )


# --- the price -------------------------------------------------------------------------------


def test_the_price_is_the_divergence_from_the_model(rng: np.random.Generator) -> None:
    z = row(rng)
    changed = steered(z, [fudge(-z, 4.0)], k=10)
    p, q = softmax(changed), softmax(z)
    inside = p > 0
    wanted = float((p[inside] * np.log(p[inside] / q[inside])).sum())
    assert kl(changed, ShapedLogits(z)) == pytest.approx(wanted, abs=1e-5)
    assert wanted > 0.01
    assert kl(SteeredLogits(z), ShapedLogits(z)) == pytest.approx(0, abs=1e-6)


def test_impossible_tokens_cost_nothing() -> None:
    z = np.array([0.0, 1.0, -np.inf, 2.0], np.float32)
    changed = np.array([0.0, -np.inf, -np.inf, -np.inf], np.float32)
    wanted = -np.log(softmax(z)[0])
    assert kl(SteeredLogits(changed), ShapedLogits(z)) == pytest.approx(wanted, abs=1e-6)


# --- FUDGE is the posterior ------------------------------------------------------------------
#
# Texts of six tokens of five, from a Markov chain, that shall have a sum divisible by 3 and no two
# zeros in a row. The exact discriminator is the probability that the rest of a text makes it so.

SIZE, LENGTH = 5, 6
Array = np.ndarray[Any, np.dtype[Any]]
Step = Callable[[Array, tuple[int, ...]], Array]


def chain() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(42)
    return rng.dirichlet(np.ones(SIZE)), rng.dirichlet(np.ones(SIZE), SIZE)


def is_valid(text: tuple[int, ...]) -> bool:
    return sum(text) % 3 == 0 and (0, 0) not in itertools.pairwise(text)


def prior(text: tuple[int, ...]) -> float:
    first, after = chain()
    return float(first[text[0]] * np.prod([after[a, b] for a, b in itertools.pairwise(text)]))


TEXTS = list(itertools.product(range(SIZE), repeat=LENGTH))


class Discriminator:
    """P(valid | prefix), by summing over all texts."""

    def __init__(self) -> None:
        valid: dict[tuple[int, ...], float] = {}
        mass: dict[tuple[int, ...], float] = {}
        first, after = chain()
        for text in TEXTS:
            p = float(first[text[0]] * np.prod([after[a, b] for a, b in itertools.pairwise(text)]))
            for n in range(LENGTH + 1):
                mass[text[:n]] = mass.get(text[:n], 0.0) + p
                valid[text[:n]] = valid.get(text[:n], 0.0) + p * is_valid(text)
        self.of = {prefix: valid[prefix] / mass[prefix] for prefix in mass}


class ExactFactor:
    """ln P(valid | prefix, token), and a large negative number in place of minus infinity."""

    def __init__(self, discriminator: Discriminator, prefix: tuple[int, ...] = ()) -> None:
        self.discriminator = discriminator
        self.prefix = prefix

    def weigh(self, token_ids: Int64[np.ndarray, " k"], forwards: Forwards) -> np.ndarray:
        del forwards
        p = np.array([self.discriminator.of[(*self.prefix, int(v))] for v in token_ids])
        found: np.ndarray = np.log(np.maximum(p, 1e-300))
        return found

    def take(self, token: int) -> None:
        self.prefix = (*self.prefix, token)

    def fork(self) -> "ExactFactor":
        return ExactFactor(self.discriminator, self.prefix)


def texts_under(step: Step) -> dict[object, float]:
    """Return the probability of each text, and of each prefix at which nothing could come."""
    first, after = chain()
    found: dict[object, float] = {}
    waiting: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
    while waiting:
        prefix, p = waiting.pop()
        if len(prefix) == LENGTH:
            found[prefix] = p
            continue
        weights = step(np.log(after[prefix[-1]] if prefix else first), prefix)
        if not weights.sum() > 0:
            found["dead", prefix] = p
            continue
        weights = weights / weights.sum()
        waiting += [((*prefix, v), p * w) for v, w in enumerate(weights.tolist()) if w > 0]
    return found


def distance_to_the_posterior(found: dict[object, float]) -> float:
    """Return the total variation."""
    exact: dict[object, float] = {text: prior(text) for text in TEXTS if is_valid(text)}
    total = sum(exact.values())
    keys = set(exact) | set(found)
    return 0.5 * sum(abs(exact.get(key, 0.0) / total - found.get(key, 0.0)) for key in keys)


def fudge_step(discriminator: Discriminator, k: int, dtype: type) -> Step:
    def step(log_p: np.ndarray, prefix: tuple[int, ...]) -> np.ndarray:
        z = ComposedLogits(log_p.astype(dtype))
        found = steer(z, [ExactFactor(discriminator, prefix)], NOTHING, k=k)
        wide: np.ndarray = np.exp(found.astype(np.float64) - found.max())
        return wide

    return step


@pytest.mark.untyped
def test_fudge_with_an_exact_discriminator_is_the_posterior() -> None:
    exact = Discriminator()
    found = texts_under(fudge_step(exact, SIZE, np.float64))
    assert distance_to_the_posterior(found) <= 1e-12


def test_in_single_precision_it_is_the_posterior_up_to_rounding() -> None:
    exact = Discriminator()
    found = texts_under(fudge_step(exact, SIZE, np.float32))
    assert distance_to_the_posterior(found) <= 1e-6


def test_a_mask_that_only_looks_one_step_ahead_is_not() -> None:
    exact = Discriminator()

    def step(log_p: np.ndarray, prefix: tuple[int, ...]) -> np.ndarray:
        can = np.array([exact.of[(*prefix, v)] > 0 for v in range(SIZE)])
        kept: np.ndarray = np.where(can, np.exp(log_p), 0)
        return kept

    assert distance_to_the_posterior(texts_under(step)) == pytest.approx(0.241, abs=5e-4)


@pytest.mark.parametrize(("k", "distance"), [(4, None), (3, 0.533), (2, 0.910)])
def test_what_the_cut_to_the_best_candidates_costs(k: int, distance: float | None) -> None:
    found = distance_to_the_posterior(texts_under(fudge_step(Discriminator(), k, np.float32)))
    assert found > 0.1
    if distance is not None:
        assert found == pytest.approx(distance, abs=5e-4)
