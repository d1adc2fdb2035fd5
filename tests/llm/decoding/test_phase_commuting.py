"""What has no order inside a phase."""

import itertools

import numpy as np
import pytest

from llm.decoding.compose import ContextAware, Contrastive
from llm.decoding.feasible import FixedClause
from llm.decoding.phases import (
    ComposedLogits,
    Composer,
    Forwards,
    Guidance,
    ShapedLogits,
    SteeredLogits,
)
from llm.decoding.spellings import mask_of
from llm.decoding.steer import steer
from tests.llm.decoding.fixed_guides import (
    NONE,
    Advantage,
    P,
    Weights,
    Z,
    told,
)


def test_clauses_commute() -> None:
    size = 5
    clauses = [
        FixedClause("a", mask_of((0, 1, 2, 3), size)),
        FixedClause("b", mask_of((1, 2, 4), size)),
        FixedClause("c", mask_of((0, 2, 4), size)),
    ]
    for order in itertools.permutations(clauses):
        mask = np.full(1, -1, np.int32)
        for clause in order:
            clause.narrow(mask)
        assert mask.tolist() == mask_of((2,), size).tolist()


def test_biases_commute() -> None:
    """Powers of two, so that no rounding differs."""
    biases = ((0, -2.0), (3, 4.0), (1, 0.5))
    found = [
        told({"logit_bias": order, "presence_penalty": 1.0}, taken=(0, 3))
        for order in itertools.permutations(biases)
    ]
    assert all(each == found[0] for each in found)


def test_factors_commute(rng: np.random.Generator) -> None:
    factors = [Weights(-np.abs(rng.normal(size=5)).round(3)) for _ in range(3)]
    found = [told({}, Guidance(factors=order)) for order in itertools.permutations(factors)]
    for each in found:
        assert each == pytest.approx(found[0], abs=1e-6)


def test_composers_commute(rng: np.random.Generator) -> None:
    forwards = Forwards(baseline=ShapedLogits(rng.normal(size=5).astype(np.float32)))
    composers: list[Composer] = [
        ContextAware(0.5),
        Contrastive(Advantage(rng.normal(size=5)), weight=0.5, head=0.25),
        Contrastive(Advantage(rng.normal(size=5)), weight=0.3, head=0.1),
    ]
    found = [
        told({}, Guidance(composers=order), forwards=forwards)
        for order in itertools.permutations(composers)
    ]
    assert sorted(found[0]) == np.flatnonzero(0.25 * P.max() <= P).tolist()
    for each in found:
        assert each == pytest.approx(found[0], abs=1e-6)


def test_steering_nothing_is_nothing() -> None:
    for guidance in (
        Guidance(factors=(Weights(np.zeros(5)),)),
        Guidance(composers=(ContextAware(0.0),)),
        Guidance(composers=(Contrastive(Advantage(P), weight=0.0, head=1e-9),)),
    ):
        assert told({}, guidance) == pytest.approx(told({}), abs=1e-7)
    same = steer(ComposedLogits(Z.copy()), (), NONE)
    assert np.array_equal(same, SteeredLogits(Z))
