"""Logistic regression: the optimum, by its own condition and beside a slow descent."""

import numpy as np
import pytest

from rag.logistic import fit_logistic


def test_the_slope_of_the_penalised_likelihood_is_zero_at_the_fit() -> None:
    draws = np.random.default_rng(1)
    rows = draws.standard_normal((200, 4)) * [1, 5, 0.1, 0] + [0, 3, 1, 7]
    truth = (rows @ [1, 0.3, -4, 0] + draws.standard_normal(200) > 0).astype(float)
    model = fit_logistic(rows, truth, ridge=2.0)
    spread = rows.std(axis=0)[:3]
    standard = (rows - rows.mean(axis=0))[:, :3] / spread
    missed = model.probabilities(rows) - truth
    assert np.abs(standard.T @ missed + 2.0 * model.weights[:3] * spread).max() < 1e-5
    assert abs(missed.sum()) < 1e-3
    assert model.weights[3] == 0  # it never varies


def test_more_ridge_is_smaller_weights_and_no_rows_are_an_error() -> None:
    rows, truth = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    weights = [float(fit_logistic(rows, truth, ridge=r).weights[0]) for r in (0.1, 1.0, 10.0)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0
    with pytest.raises(ValueError, match="needs rows"):
        fit_logistic(np.zeros((0, 2)), np.zeros(0), ridge=1.0)
