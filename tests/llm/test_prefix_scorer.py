"""Scores of candidates: the formulas, states that can be rebuilt, and what does not fit."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from llm.prefix_scorer import (
    BilinearScorer,
    BilinearWeights,
    GRUScorer,
    GRUWeights,
    PrefixScorer,
)
from llm.unembedding import Unembedding

SIZE, WIDTH, RANK, INPUT, GATES = 61, 24, 5, 7, 6


def matrix(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture
def embedding(rng: np.random.Generator) -> np.ndarray:
    return matrix(rng, SIZE, WIDTH)


@pytest.fixture
def rows(embedding: np.ndarray) -> Unembedding:
    return Unembedding.of_weight(torch.from_numpy(embedding))


def bilinear_weights(rng: np.random.Generator, width: int = WIDTH) -> BilinearWeights:
    return BilinearWeights(
        query=matrix(rng, RANK, width),
        query_bias=matrix(rng, RANK),
        key=matrix(rng, RANK, width),
        token=matrix(rng, width),
        prefix=matrix(rng, width),
        bias=0.25,
    )


def gru_weights(rng: np.random.Generator) -> GRUWeights:
    return GRUWeights(
        projection=matrix(rng, INPUT, WIDTH) / 4,
        into=matrix(rng, 3 * GATES, INPUT),
        into_bias=matrix(rng, 3 * GATES),
        recurrent=matrix(rng, 3 * GATES, GATES),
        recurrent_bias=matrix(rng, 3 * GATES),
        start=matrix(rng, GATES),
        output=matrix(rng, GATES),
        bias=-0.5,
    )


def test_the_bilinear_score_is_its_formula(
    rng: np.random.Generator, embedding: np.ndarray, rows: Unembedding
) -> None:
    w = bilinear_weights(rng)
    hidden, ids = matrix(rng, WIDTH), np.array([60, 3, 3, 0])
    met = (embedding[ids] @ w.key.T) @ (w.query @ hidden + w.query_bias)
    wanted = met + embedding[ids] @ w.token + w.prefix @ hidden + w.bias
    scorer = BilinearScorer(w, rows)
    found = scorer.scores(scorer.start([1, 2]), hidden, ids)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    again = scorer.scores(scorer.start([]), hidden, ids)
    assert np.array_equal(found, again)  # nothing is left over from a call


def test_the_gru_is_torch_s(
    rng: np.random.Generator, embedding: np.ndarray, rows: Unembedding
) -> None:
    w = gru_weights(rng)
    cell = torch.nn.GRUCell(INPUT, GATES)
    with torch.no_grad():
        for name, value in (
            ("weight_ih", w.into),
            ("bias_ih", w.into_bias),
            ("weight_hh", w.recurrent),
            ("bias_hh", w.recurrent_bias),
        ):
            cell.get_parameter(name).copy_(torch.from_numpy(value))
        state = torch.from_numpy(w.start)
        for token in (5, 9, 9):
            state = cell(torch.from_numpy(embedding[token] @ w.projection.T), state)
        after = cell(torch.from_numpy(embedding[[7, 8]] @ w.projection.T), state.expand(2, -1))
        wanted = after.numpy() @ w.output + w.bias
    scorer = GRUScorer(w, rows)
    found = scorer.scores(scorer.start([5, 9, 9]), None, np.array([7, 8]))
    assert found == pytest.approx(wanted, abs=1e-4)


def test_an_incremental_state_is_the_one_of_reading_it_all_again(
    rng: np.random.Generator, rows: Unembedding
) -> None:
    scorer = GRUScorer(gru_weights(rng), rows)
    text = rng.integers(0, SIZE, 20).tolist()
    state = scorer.start(text[:4])
    for token in text[4:]:
        before = state.copy()
        following = scorer.step(state, token)
        assert np.array_equal(state, before)  # so a fork may share it
        state = following
    assert np.array_equal(state, scorer.start(text))


def test_a_score_is_the_logit_after_the_token_was_taken(
    rng: np.random.Generator, rows: Unembedding
) -> None:
    w = gru_weights(rng)
    scorer = GRUScorer(w, rows)
    state = scorer.start([1, 2])
    (score,) = scorer.scores(state, None, np.array([40]))
    assert score == pytest.approx(scorer.step(state, 40) @ w.output + w.bias, abs=1e-5)


def test_candidates_do_not_influence_each_other(
    rng: np.random.Generator, rows: Unembedding
) -> None:
    ids, hidden = np.arange(SIZE), matrix(rng, WIDTH)
    scorers: list[PrefixScorer] = [
        BilinearScorer(bilinear_weights(rng), rows),
        GRUScorer(gru_weights(rng), rows),
    ]
    for scorer in scorers:
        assert isinstance(scorer, PrefixScorer)
        together = scorer.scores(scorer.start([3]), hidden, ids)
        alone = [scorer.scores(scorer.start([3]), hidden, ids[i : i + 1])[0] for i in ids]
        assert together == pytest.approx(np.array(alone), abs=1e-4)


def test_a_bilinear_head_needs_the_hidden_state(
    rng: np.random.Generator, rows: Unembedding
) -> None:
    scorer = BilinearScorer(bilinear_weights(rng), rows)
    with pytest.raises(ValueError, match="needs the decoder's hidden state"):
        scorer.scores(scorer.start([]), None, np.array([1]))


def test_a_head_for_another_width_is_refused(rng: np.random.Generator, rows: Unembedding) -> None:
    with pytest.raises(ValueError, match="hidden size of 25 cannot read 24"):
        BilinearScorer(bilinear_weights(rng, 25), rows)


@pytest.mark.untyped
@pytest.mark.parametrize("make", [bilinear_weights, gru_weights])
def test_weights_that_do_not_fit_each_other_are_refused(
    rng: np.random.Generator, make: Callable[[np.random.Generator], object]
) -> None:
    good = make(rng)
    fields = {name: getattr(good, name) for name in type(good).__dataclass_fields__}  # type: ignore[attr-defined]
    for name, value in fields.items():
        if isinstance(value, np.ndarray) and name != "projection":
            with pytest.raises(ValueError, match="do not fit each other"):
                type(good)(**{**fields, name: value[:-1]})
