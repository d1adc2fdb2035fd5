"""Each pair of phases that does not commute: a small row, its answer, and that of the wrong order.

The wrong order is written down in a line or two of numpy.
"""

import numpy as np
import pytest

from llm.decoding.compose import ContextAware, Contrastive
from llm.decoding.phases import (
    ComposedLogits,
    Forwards,
    Guidance,
    ShapedLogits,
)
from llm.decoding.steer import steer
from llm.errors import ConstraintConflictError
from llm.sampling_params import SamplingParams
from tests.llm.decoding.fixed_guides import (
    NONE,
    Advantage,
    Lift,
    P,
    Weights,
    Z,
    best,
    kept,
    marked,
    plus,
    told,
    top_p,
)
from tests.llm.decoding.toy_tokens import logits_of, numbered, toy_pipeline

# --- mask and thresholds -----------------------------------------------------------------------


def test_mask_then_top_p() -> None:
    """Of the legal tokens, .4 .3 .2 .1: two make .65. Of all: one illegal and one legal."""
    assert kept({"top_p": 0.65, "banned_token_ids": (0,)}) == [1, 2]
    assert [v for v in top_p(P, 0.65) if v != 0] == [1]


def test_mask_then_top_k() -> None:
    assert kept({"top_k": 1, "banned_token_ids": (0,)}) == [1]
    assert [v for v in np.argsort(-P)[:1] if v != 0] == []


def test_mask_then_min_p() -> None:
    assert kept({"min_p": 0.45, "banned_token_ids": (0,)}) == [1, 2, 3]
    assert [v for v in np.flatnonzero(0.45 * P.max() <= P) if v != 0] == []


def test_mask_then_plausible_head() -> None:
    """A quarter of .2 lets all legal tokens through, a quarter of the illegal .5 only two."""
    contrast = Contrastive(Advantage(np.zeros(5)), weight=1.0, head=0.24)
    guidance = Guidance(composers=(contrast,))
    assert kept({"banned_token_ids": (0,)}, guidance) == [1, 2, 3, 4]
    assert [v for v in np.flatnonzero(0.24 * P.max() <= P) if v != 0] == [1, 2]


def test_mask_then_the_best_candidates_of_a_factor() -> None:
    """200 illegal tokens stand above the five legal ones; among these the factor decides."""
    illegal = 200
    z = np.concatenate([np.full(illegal, 9.0), Z]).astype(np.float32)
    weights = np.zeros(len(z))
    weights[illegal:] = [-9, -9, -9, -0.1, -9]
    guidance = Guidance(factors=(Weights(weights),))
    legal = tuple(range(illegal, len(z)))
    assert best({"allowed_token_ids": legal}, guidance, z=z) == illegal + 3
    wrong = steer(ComposedLogits(z.copy()), guidance.factors, NONE)
    assert not np.isfinite(wrong[illegal:]).any()


def test_a_factor_never_raises_what_it_did_not_look_at() -> None:
    """Left as it is, the third token would come first: its rivals were scored, it was not."""
    factor = Weights(np.array([-3.0, -2.0, 0.0, 0.0, 0.0]))
    right = steer(ComposedLogits(Z.copy()), (factor,), NONE, k=2)
    assert np.flatnonzero(np.isfinite(right)).tolist() == [0, 1]
    unchanged = Z.copy()
    unchanged[:2] = right[:2]
    assert int(right.argmax()) == 1
    assert int(unchanged.argmax()) == 2


# --- biases ------------------------------------------------------------------------------------


def test_a_bias_that_forces_meets_the_mask() -> None:
    """As a number after the mask, 100 more of nothing is nothing: token 0 would come, unsaid."""
    with pytest.raises(ConstraintConflictError, match="logit_bias"):
        kept({"banned_token_ids": (4,), "logit_bias": ((4, 100.0),)})
    z = np.where(np.arange(5) == 4, -np.inf, Z)
    z[4] += 100
    assert int(z.argmax()) == 0


def test_a_bias_that_bans_is_a_ban() -> None:
    """As a number, -100 would still leave the only token that is allowed."""
    with pytest.raises(ConstraintConflictError, match="logit_bias"):
        kept({"allowed_token_ids": (4,), "logit_bias": ((4, -100.0),)})
    z = np.where(np.arange(5) == 4, Z - 100, -np.inf)
    assert np.isfinite(z).any()


def test_a_bias_that_forces_is_stronger_than_any_logit() -> None:
    z = np.array([250.0, 0, 0, 0, 0], np.float32)
    assert kept({"logit_bias": ((4, 100.0),)}, z=z) == [4]
    assert int(plus(z, {4: 100.0}).argmax()) == 0


def test_a_finite_bias_then_truncation() -> None:
    assert kept({"top_k": 1, "logit_bias": ((4, 3.0),)}) == [4]
    after = plus(np.where(np.arange(5) == P.argmax(), Z, -np.inf), {4: 3.0})
    assert np.flatnonzero(np.isfinite(after)).tolist() == [0]


# --- penalties ---------------------------------------------------------------------------------


def test_repetition_then_log_softmax() -> None:
    z = np.array([4.0, 3.0, -9.0, -9.0, -9.0], np.float32)
    assert best({"repetition_penalty": 2.0}, z=z, prompt=(0,)) == 1
    log_p = z - np.log(np.exp(z).sum())
    log_p[0] *= 2
    assert int(log_p.argmax()) == 0


def test_penalties_then_compose() -> None:
    """Doubled by a contrast of weight 1 the bias would be 3, and decide; it must be 1.5."""
    z = np.array([2.0, 1.0, -9.0, -9.0, -9.0], np.float32)
    amateur = np.zeros(5)
    contrast = Contrastive(Advantage(z - amateur), weight=1.0, head=0.01)
    params: dict[str, object] = {"logit_bias": ((0, -1.5),)}
    found = told(params, Guidance(composers=(contrast,)), z=z)
    assert np.log(found[0] / found[1]) == pytest.approx((4 - 1.5) - 2)
    expert = plus(z, {0: -1.5})
    assert int((2 * expert - amateur).argmax()) == 1


def test_penalties_reach_the_other_prompt_too() -> None:
    """1.8 z - .8 z' of rows that both were lowered by 1 at token 0: lowered by 1, not by 1.8."""
    z = np.array([2.0, 1.0, 0.0, 0.0, 0.0], np.float32)
    other = ShapedLogits(np.array([1.8, 1.0, 0.0, 0.0, 0.0], np.float32))
    guidance = Guidance(composers=(ContextAware(0.8),))
    params: dict[str, object] = {"presence_penalty": 1.0}
    found = told(params, guidance, z=z, taken=(0,), forwards=Forwards(baseline=other))
    right = 1.8 * 2.0 - 0.8 * 1.8 - 1.0
    assert np.log(found[0] / found[1]) == pytest.approx(right - 1.0)
    assert right > 1.0 > 1.8 * (2.0 - 1.0) - 0.8 * 1.8


def test_an_additive_shape_passes_through_all_composers_unchanged(
    rng: np.random.Generator,
) -> None:
    z = rng.normal(size=5).astype(np.float32)
    other = ShapedLogits(rng.normal(size=5).astype(np.float32))
    amateur = Advantage(rng.normal(size=5))
    guidance = Guidance(composers=(ContextAware(0.7), Contrastive(amateur, weight=0.4, head=1e-9)))
    biases = {1: 0.75, 3: -1.25}
    asked: dict[str, object] = {"logit_bias": tuple(biases.items())}
    with_bias = told(asked, guidance, z=z, forwards=Forwards(baseline=other))
    without = told({}, guidance, z=z, forwards=Forwards(baseline=other))
    moved = {v: np.log(with_bias[v] / without[v]) for v in range(5)}
    for v in range(5):
        assert moved[v] - moved[0] == pytest.approx(biases.get(v, 0.0), abs=1e-5)


# --- temperature -------------------------------------------------------------------------------


def test_temperature_then_min_p_and_top_p() -> None:
    """Squared and renormalised: .769 .123 .069 .031 .008."""
    assert kept({"temperature": 0.5, "min_p": 0.29}) == [0]
    assert np.flatnonzero(0.29 * P.max() <= P).tolist() == [0, 1, 2]
    assert kept({"temperature": 0.5, "top_p": 0.75}) == [0]
    assert top_p(P, 0.75) == [0, 1, 2]


def test_factors_then_temperature() -> None:
    """(1 - 1.5) / T against 0: the second; 1 / T - 1.5 = .5 against 0: the first."""
    z = np.array([1.0, 0.0, -9.0, -9.0, -9.0], np.float32)
    factor = Weights(np.array([-1.5, 0, 0, 0, 0]))
    params: dict[str, object] = {"temperature": 0.5}
    found = told(params, Guidance(factors=(factor,)), z=z)
    assert np.log(found[0] / found[1]) == pytest.approx((1.0 - 1.5) / 0.5)
    assert int((z / 0.5 + factor.values).argmax()) == 0


def test_compose_then_factors() -> None:
    """The factor is not doubled with the expert: 2 (z - 0) - 1.5 against 2 (z + w)."""
    z = np.array([1.0, 0.0, -9.0, -9.0, -9.0], np.float32)
    contrast = Contrastive(Advantage(z.astype(np.float64)), weight=1.0, head=0.01)
    guidance = Guidance(composers=(contrast,), factors=(Weights(np.array([-1.5, 0, 0, 0, 0])),))
    assert best({}, guidance, z=z) == 0
    assert int((2 * (plus(z, {0: -1.5}))).argmax()) == 1


# --- marks -------------------------------------------------------------------------------------


def test_truncation_then_mark() -> None:
    """The green rubbish of .05 is lifted above all, but it was cut before."""
    mark = Lift(frozenset([4, 1]), delta=3.0)
    assert marked({"top_k": 2}, mark) == 1
    lifted = plus(Z, {1: 3.0, 4: 3.0})
    assert 4 in np.argsort(-lifted)[:2]


def test_one_survivor_makes_a_mark_void() -> None:
    assert marked({"top_k": 1}, Lift(frozenset([4]), delta=9.0)) == 0


def test_temperature_then_mark() -> None:
    """.7 / T = 1.4 beats 1; untempered, 1 would beat .7."""
    z = np.array([0.7, 0.0, -9.0, -9.0, -9.0], np.float32)
    assert marked({"temperature": 0.5}, Lift(frozenset([1]), delta=1.0), z=z) == 0
    assert int(plus(z, {1: 1.0}).argmax()) == 1


def test_penalties_then_mark() -> None:
    """Halving 2 - .5 would take half of the mark away as well: .75 against 1."""
    z = np.array([0.8, 1.0, -9.0, -9.0, -9.0], np.float32)
    mark = Lift(frozenset([0]), delta=0.7)
    assert marked({"repetition_penalty": 2.0, "repetition_scope": "output"}, mark, z=z) == 0
    pipeline = toy_pipeline(numbered(5))
    params = SamplingParams(temperature=1.0, repetition_penalty=2.0)
    row = pipeline.join(params, 0, (0,), Guidance(mark=mark))
    assert pipeline.draw(z[None].copy(), [row]).token_ids.tolist() == [0]
    assert int(np.array([(0.8 + 0.7) / 2, 1.0]).argmax()) == 1


# --- drafted rows ------------------------------------------------------------------------------


def test_a_drafted_row_is_penalised_for_the_drafts_before_it() -> None:
    """.5 e^-1 = .184 is below .2 once token 0 was written. At the committed history both rows
    would give 0, and the draft 0 0 would be accepted."""
    pipeline = toy_pipeline(numbered(5))
    row = pipeline.join(SamplingParams(presence_penalty=1.0), 0, (4,))
    committed = [int(pipeline.draw(logits_of(P.tolist()), [row]).token_ids[0]) for _ in range(2)]
    assert committed == [0, 0]
    verified = []
    for _ in range(2):
        verified.append(int(pipeline.draw(logits_of(P.tolist()), [row]).token_ids[0]))
        row.take(verified[-1])
    assert verified == [0, 1]
