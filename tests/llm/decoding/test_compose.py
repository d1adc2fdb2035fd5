"""P3 against its formulas in float64, and what must leave a distribution as it was."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32

from llm.decoding.compose import (
    Amateur,
    ContextAware,
    Contrastive,
    EarlyExit,
    ExpertGuidance,
    NGramAmateur,
    compose,
    default_exit_layer,
    lowest_of_nucleus,
)
from llm.decoding.ngram_model import NGramModel
from llm.decoding.phases import Composer, Forwards, ShapedLogits
from llm.head_adapter import HeadAdapter
from llm.unembedding import Unembedding

V, C, RANK = 300, 16, 3
SEEDS = st.integers(0, 200)
EVERY = np.arange(V)
NGRAMS = [
    NGramModel.fit([np.random.default_rng(i).integers(0, V, 200).tolist()], order=3, vocab_size=V)
    for i in range(3)
]


class Case:
    """A row of a small model, with all the forwards that composers ask for."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.matrix = rng.normal(size=(V, C)).astype(np.float32)
        self.unembedding = Unembedding.of_weight(torch.from_numpy(self.matrix))
        self.hidden, self.exit = rng.normal(size=(2, C)).astype(np.float32)
        self.wide = self.matrix.astype(np.float64)
        self.raw = (self.wide @ self.hidden).astype(np.float32)
        self.baseline = rng.normal(scale=3, size=V).astype(np.float32)
        self.plus, self.minus = (
            HeadAdapter(
                down=rng.normal(size=(RANK, C)).astype(np.float32),
                up=rng.normal(scale=0.1, size=(C, RANK)).astype(np.float32),
            )
            for _ in range(2)
        )
        self.ngrams = NGRAMS[seed % len(NGRAMS)]
        self.forwards = Forwards(
            hidden=self.hidden, exit_hidden=self.exit, baseline=ShapedLogits(self.baseline)
        )

    def exit_contrast(
        self, weight: float = 0.5, head: float = 0.1, temperature: float = 1.0
    ) -> Contrastive:
        return Contrastive(EarlyExit(self.unembedding, temperature), weight=weight, head=head)

    def ngram_contrast(self, context: Sequence[int] = (), weight: float = 0.5) -> Contrastive:
        amateur = NGramAmateur(self.ngrams, self.unembedding, context)
        return Contrastive(amateur, weight=weight, head=1e-3)

    def experts(self, weight: float = 1.5, top_p: float = 0.9, *, equal: bool = False) -> Composer:
        return ExpertGuidance(
            expert=self.plus,
            anti_expert=self.plus if equal else self.minus,
            weight=weight,
            top_p=top_p,
            unembedding=self.unembedding,
        )

    def composed(
        self, composers: Sequence[Composer], logits: Float32[np.ndarray, " v"] | None = None
    ) -> Float32[np.ndarray, " v"]:
        row = ShapedLogits((self.raw if logits is None else logits).copy())
        return compose(row, composers, self.forwards)


def softmax(z: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(z - z.max())
    shares /= shares.sum()
    return shares


def log_softmax(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = z - z.max()
    found -= math.log(np.exp(found).sum())
    return found


def nucleus(z: np.ndarray, top_p: float) -> set[int]:
    if top_p == 1:
        return set(range(len(z)))
    p = softmax(z)
    order = np.argsort(-p, kind="stable")
    return set(order[: int((np.cumsum(p[order]) >= top_p).argmax()) + 1].tolist())


def same(got: np.ndarray, wanted: np.ndarray) -> bool:
    """As distributions, up to a constant of the row and the last bits of a logit in float32."""
    size = max(1.0, np.abs(wanted[np.isfinite(wanted)]).max())
    return bool(np.abs(softmax(got.astype(np.float64)) - softmax(wanted)).max() < 1e-6 * size)


@given(SEEDS, st.floats(0, 3), st.floats(1e-6, 1), st.sampled_from([1.0, 3.0]))
def test_contrast_is_its_formula(seed: int, weight: float, head: float, temperature: float) -> None:
    case = Case(seed)
    expert = case.raw.astype(np.float64)
    amateur = case.wide @ case.exit / temperature
    p = softmax(expert)
    wanted = np.where(p >= head * p.max(), (1 + weight) * expert - weight * amateur, -np.inf)
    got = case.composed([case.exit_contrast(weight, head, temperature)])
    assert np.array_equal(np.isfinite(got), np.isfinite(wanted))
    assert same(got, wanted)


@given(SEEDS, st.lists(st.integers(0, V - 1), max_size=4), st.floats(0, 2))
def test_contrast_with_an_ngram_model_is_its_formula(
    seed: int, taken: list[int], weight: float
) -> None:
    case = Case(seed)
    composer = case.ngram_contrast([3, 4], weight)
    for token in taken:
        composer.take(token)
    expert = log_softmax(case.raw.astype(np.float64))
    amateur = case.ngrams.log_probs([3, 4, *taken], EVERY)
    wanted = np.where(
        expert >= expert.max() + math.log(1e-3), (1 + weight) * expert - weight * amateur, -np.inf
    )
    assert same(case.composed([composer]), wanted)


@given(SEEDS, st.floats(0, 3))
def test_context_awareness_is_its_formula_of_log_probabilities(seed: int, alpha: float) -> None:
    case = Case(seed)
    with_evidence = log_softmax(case.raw.astype(np.float64))
    without = log_softmax(case.baseline.astype(np.float64))
    got = case.composed([ContextAware(alpha)])
    assert same(got, (1 + alpha) * with_evidence - alpha * without)


@given(SEEDS, st.floats(-4, 4), st.floats(0.05, 0.999) | st.just(1.0))
def test_experts_are_their_formula_in_the_top_p_set_of_the_model(
    seed: int, weight: float, top_p: float
) -> None:
    case = Case(seed)
    hidden = case.hidden.astype(np.float64)
    plus, minus = (
        case.wide @ (hidden + one.up.astype(np.float64) @ (one.down.astype(np.float64) @ hidden))
        for one in (case.plus, case.minus)
    )
    base = case.raw.astype(np.float64)
    got = case.composed([case.experts(weight, top_p)])
    kept = np.flatnonzero(np.isfinite(got))
    assert set(kept.tolist()) == nucleus(base, top_p)
    wanted = np.full(V, -np.inf)
    wanted[kept] = (base + weight * (plus - minus))[kept]
    assert same(got, wanted)


@given(SEEDS)
def test_guidance_by_a_tuned_model_against_its_reference_is_the_implicit_reward(seed: int) -> None:
    """p exp(beta log(pi / pi_ref)), normalised: DPO's reward as a factor on the base model."""
    case = Case(seed)
    beta = 1.3
    hidden = case.hidden.astype(np.float64)
    policy, reference = (
        softmax(case.wide @ (hidden + one.up @ (one.down @ hidden)))
        for one in (case.plus, case.minus)
    )
    tilted = softmax(case.raw.astype(np.float64)) * (policy / reference) ** beta
    got = softmax(case.composed([case.experts(beta, 1.0)]).astype(np.float64))
    assert np.abs(got - tilted / tilted.sum()).max() < 1e-6


@given(SEEDS)
def test_a_weight_of_nothing_and_equal_experts_change_nothing_but_who_may_come(seed: int) -> None:
    case = Case(seed)
    for composer in (
        case.exit_contrast(0.0),
        case.experts(0.0),
        case.experts(equal=True),
        ContextAware(0.0),
        case.exit_contrast(0.0, head=1e-300),
    ):
        got = case.composed([composer])
        kept = np.isfinite(got)
        assert np.array_equal(got[kept], case.raw[kept])
        least = composer.least(ShapedLogits(case.raw))
        assert np.array_equal(kept, case.raw.astype(np.float64) >= least)
    assert np.array_equal(case.composed([ContextAware(0.0)]), case.raw)
    assert np.array_equal(case.composed([case.exit_contrast(0.0, head=1e-300)]), case.raw)
    assert np.array_equal(case.composed([case.experts(equal=True, top_p=1.0)]), case.raw)
    assert np.array_equal(case.composed([]), case.raw)


@given(SEEDS, st.integers(0, 10))
def test_a_bias_on_the_logits_of_all_models_passes_through_once(seed: int, other: int) -> None:
    """Coefficients that sum to one: P2 on every model, then P3, is P3 and then P2."""
    case = Case(seed)
    bias = np.random.default_rng(other).normal(size=V).astype(np.float32)
    shaped = case.raw + bias
    for composer in (
        Contrastive(EarlyExit(case.unembedding), weight=0.7, head=1e-300),
        Contrastive(NGramAmateur(case.ngrams, case.unembedding), weight=0.7, head=1e-300),
        case.experts(top_p=1.0),
    ):
        assert same(case.composed([composer], shaped), case.composed([composer]) + bias)
    plain = case.composed([ContextAware(0.8)])
    case.forwards = Forwards(baseline=ShapedLogits(case.baseline + bias))
    assert same(case.composed([ContextAware(0.8)], shaped), plain + bias)


@settings(max_examples=20)
@given(SEEDS)
def test_the_order_of_composers_has_no_meaning_and_their_sets_are_intersected(seed: int) -> None:
    case = Case(seed)
    composers = [
        case.exit_contrast(),
        case.ngram_contrast([1, 2]),
        case.experts(),
        ContextAware(0.4),
    ]
    results = [case.composed(some) for some in itertools.permutations(composers)]
    for got in results:
        assert np.allclose(got, results[0], rtol=1e-6, atol=1e-6)
    kept = [set(np.flatnonzero(np.isfinite(case.composed([one]))).tolist()) for one in composers]
    assert set(np.flatnonzero(np.isfinite(results[0])).tolist()) == set.intersection(*kept)
    assert int(case.raw.argmax()) in set.intersection(*kept)


@given(SEEDS, st.sets(st.integers(0, V - 1), max_size=V))
def test_tokens_that_were_impossible_stay_so(seed: int, banned: set[int]) -> None:
    case = Case(seed)
    masked = case.raw.copy()
    masked[list(banned)] = -np.inf
    case.baseline[list(banned)] = -np.inf
    for composers in (
        [ContextAware(0.8)],
        [case.exit_contrast()],
        [case.experts()],
        [case.exit_contrast(), case.experts(), ContextAware(0.8), case.ngram_contrast()],
    ):
        got = case.composed(composers, masked)
        assert not np.isfinite(got[list(banned)]).any()
        assert not np.isnan(got).any()
        assert np.isfinite(got).any() == (len(banned) < V)


@given(SEEDS)
def test_the_head_and_the_nucleus_are_those_of_the_feasible_tokens(seed: int) -> None:
    """The most probable token is banned: the next one's head counts."""
    case = Case(seed)
    masked = case.raw.copy()
    masked[masked.argmax()] = -np.inf
    got = case.composed([case.exit_contrast(0.0, head=0.5)], masked)
    p = softmax(masked.astype(np.float64))
    assert np.array_equal(np.isfinite(got), p >= 0.5 * p.max())


@pytest.mark.parametrize("head", [1.0, 0.5])
def test_equals_of_the_most_probable_token_are_all_in_the_head(head: float) -> None:
    case = Case(0)
    row = np.full(V, -3, np.float32)
    row[[4, 7]] = 3.3333333
    got = case.composed([case.exit_contrast(head=head)], row)
    assert np.flatnonzero(np.isfinite(got)).tolist() == [4, 7]


def test_a_token_that_the_baseline_alone_holds_impossible_does_not_take_everything() -> None:
    case = Case(3)
    case.baseline[17] = -np.inf
    got = case.composed([ContextAware(1.0)])
    assert np.isfinite(got).all()
    others = case.baseline[np.isfinite(case.baseline)].min()
    assert math.isclose(got[17], 2 * case.raw[17] - others, rel_tol=1e-6)
    case.baseline[:] = -np.inf
    assert np.array_equal(case.composed([ContextAware(1.0)]), case.raw)


def test_rows_without_a_token_stay_so_and_damaged_ones_stay_damaged() -> None:
    case = Case(1)
    composers = [case.exit_contrast(), case.experts(), ContextAware(0.5)]
    nothing = np.full(V, -np.inf, np.float32)
    assert np.array_equal(case.composed(composers, nothing), nothing)
    damaged = case.raw.copy()
    damaged[3] = np.nan
    assert not np.isfinite(case.composed([case.exit_contrast()], damaged)).any()
    assert not np.isfinite(case.composed([case.experts()], damaged)).any()


@pytest.mark.parametrize(
    ("composer", "what"),
    [
        (Case(0).exit_contrast(), "early exit"),
        (Case(0).ngram_contrast(), "final hidden"),
        (Case(0).experts(), "final hidden"),
        (ContextAware(0.5), "without evidence"),
    ],
)
def test_a_forward_that_is_missing_is_named(composer: Composer, what: str) -> None:
    case = Case(0)
    forwards = Forwards(hidden=case.hidden if what == "early exit" else None)
    with pytest.raises(ValueError, match=what):
        compose(ShapedLogits(case.raw.copy()), [composer], forwards)


def test_a_fork_goes_its_own_way() -> None:
    case = Case(2)
    parent = case.ngram_contrast([5])
    before = case.composed([parent])
    child = parent.fork()
    context = next(t for t in range(V) if case.ngrams.best([t]) is not None)
    child.take(context)
    assert np.array_equal(case.composed([parent]), before)
    parent.take(context)
    assert np.array_equal(case.composed([parent]), case.composed([child]))
    for composer in (case.exit_contrast(), case.experts(), ContextAware(1.0)):
        composer.take(3)
        assert np.array_equal(case.composed([composer.fork()]), case.composed([composer]))


def test_composers_are_what_the_phases_ask_for() -> None:
    case = Case(0)
    for composer in (case.exit_contrast(), case.experts(), ContextAware(1.0)):
        assert isinstance(composer, Composer)
    for amateur in (EarlyExit(case.unembedding), NGramAmateur(case.ngrams, case.unembedding)):
        assert isinstance(amateur, Amateur)


@given(SEEDS, st.floats(1e-3, 1), st.floats(0.01, 30), st.sampled_from([3, V, 9000]))
def test_the_lowest_of_the_nucleus_is_that_of_the_definition(
    seed: int, top_p: float, spread: float, size: int
) -> None:
    row = (np.random.default_rng(seed).normal(size=size) * spread).astype(np.float32)
    got = lowest_of_nucleus(row, top_p)
    p = softmax(row.astype(np.float64))
    inside = row.astype(np.float64) >= got
    assert p[inside].sum() >= top_p - 1e-9
    above = row.astype(np.float64) > got
    assert top_p == 1 or p[above].sum() < top_p + 1e-9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda case: case.exit_contrast(-0.1), "weight of a contrast .* got -0.1"),
        (lambda case: case.exit_contrast(math.nan), "weight of a contrast"),
        (lambda case: case.exit_contrast(head=0.0), "head of a contrast .* got 0.0"),
        (lambda case: case.exit_contrast(head=1.1), "head of a contrast"),
        (lambda case: case.exit_contrast(temperature=0.0), "temperature of an exit .* got 0.0"),
        (lambda _: ContextAware(-1.0), "context_faithfulness .* got -1.0"),
        (lambda case: case.experts(math.inf), "weight of experts"),
        (lambda case: case.experts(top_p=0.0), "top_p of experts"),
    ],
)
def test_values_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(Case(0))  # type: ignore[operator]


def test_adapters_of_another_model_are_refused() -> None:
    case = Case(0)
    other = HeadAdapter(down=np.zeros((2, 8), np.float32), up=np.zeros((8, 2), np.float32))
    with pytest.raises(ValueError, match="hidden size of 8 and this model has 16"):
        ExpertGuidance(
            expert=case.plus, anti_expert=other, weight=1.0, top_p=1.0, unembedding=case.unembedding
        )


def test_the_exit_is_below_the_last_layer_wherever_there_is_one() -> None:
    assert [default_exit_layer(n) for n in (1, 2, 4, 30)] == [0, 0, 2, 25]
