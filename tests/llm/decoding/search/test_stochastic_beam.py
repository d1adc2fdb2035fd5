"""Texts drawn without replacement: how often each comes, against enumeration."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm.decoding.search.beam import BeamSearch, perturb
from llm.decoding.search.branches import Candidates, Finished, Hypothesis, run
from llm.decoding.spec import Search
from tests.llm.decoding.search.table_model import EOS, Prefix, TableModel


def draw(
    model: TableModel, *, seed: int, width: int = 2, early_stop: bool = True
) -> list[Finished]:
    """Draw `width` texts of two tokens at most; `model` can be drawn from again."""
    search = BeamSearch(
        Search(method="beam", width=width),
        max_tokens=2,
        eos_ids={EOS},
        stochastic=True,
        seed=seed,
        early_stop=early_stop,
    )
    found = run(search, model)
    model.texts = {0: ()}
    return found


def distribution(model: TableModel) -> dict[Prefix, float]:
    """Return the probability of each text, every row renormalised over what is feasible."""

    def share(prefix: Prefix, token: int) -> float:
        row = np.exp(model.row(prefix))
        return float(row[token] / row[model.feasible(prefix)].sum())

    probabilities = {}
    for text, _ in model.all_texts(2):
        tokens = text if len(text) == 2 else (*text, EOS)
        probabilities[text] = math.prod(share(text[:i], t) for i, t in enumerate(tokens))
    assert math.fsum(probabilities.values()) == pytest.approx(1.0)
    return probabilities


@pytest.mark.slow
@pytest.mark.parametrize("accept_every", [1, 2])
def test_pairs_come_as_often_as_without_replacement(accept_every: int) -> None:
    """The first is an ordinary sample, the second one of what is left: p_i p_j / (1 - p_i)."""
    model = TableModel(3, seed=11, accept_every=accept_every)
    p = distribution(model)
    num_draws = 1000
    counts = Counter(
        tuple(f.token_ids for f in draw(model, seed=seed)) for seed in range(num_draws)
    )
    pairs = list(itertools.permutations(p, 2))
    assert counts.keys() <= set(pairs)
    expected = np.array([num_draws * p[i] * p[j] / (1 - p[i]) for i, j in pairs])
    seen = np.array([counts[pair] for pair in pairs], np.float64)
    rare = expected < 5
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        seen = np.append(seen[~rare], seen[rare].sum())
    assert stats.chisquare(seen, expected).pvalue > 1e-3


@pytest.mark.slow
def test_each_text_is_included_as_often_as_it_should_be() -> None:
    """Three of the texts of a sharper model; by enumeration of all ordered triples."""
    model = TableModel(3, seed=4, sharpness=2.0)
    p = distribution(model)
    inclusion = dict.fromkeys(p, 0.0)
    for i, j, k in itertools.permutations(p, 3):
        chance = p[i] * p[j] / (1 - p[i]) * p[k] / (1 - p[i] - p[j])
        for text in (i, j, k):
            inclusion[text] += chance
    num_draws = 1000
    counts = Counter(
        f.token_ids for seed in range(num_draws) for f in draw(model, seed=seed, width=3)
    )
    for text, chance in inclusion.items():
        assert stats.binomtest(counts[text], num_draws, min(chance, 1.0)).pvalue > 1e-4, text


@given(seed=st.integers(0, 10**6))
def test_a_beam_of_all_texts_draws_each_once(seed: int) -> None:
    model = TableModel(3, seed=seed)
    found = draw(model, seed=seed, width=16)
    assert sorted(f.token_ids for f in found) == sorted(text for text, _ in model.all_texts(2))
    order = [f.perturbed for f in found]
    assert order == sorted(order, reverse=True)
    raw = dict(model.all_texts(2))
    assert [f.log_prob for f in found] == pytest.approx([raw[f.token_ids] for f in found])


@given(seed=st.integers(0, 10**6), width=st.integers(1, 5))
def test_a_narrower_beam_draws_the_first_of_a_wider_one(seed: int, width: int) -> None:
    """Noise belongs to texts: pruning loses none that would have been drawn."""
    model = TableModel(4, seed=seed, accept_every=2)
    wide = draw(model, seed=seed, width=12)
    for early_stop in (True, False):
        narrow = draw(model, seed=seed, width=width, early_stop=early_stop)
        assert narrow == wide[: len(narrow)]
        assert len(narrow) == min(width, len(wide))


def test_the_greatest_gumbel_of_children_is_the_parents() -> None:
    p = np.array([0.6, 0.3, 0.1])
    parent = Hypothesis(token_ids=(4, 2), location=-1.5, perturbed=0.75)
    for seed in range(50):
        perturbed = perturb(parent, -1.5 + np.log(p), np.array([3, 0, 9]), seed=seed)
        assert perturbed.max() == 0.75
        assert np.isfinite(perturbed).all()
    alone = perturb(parent, np.array([-1.5]), np.array([3]), seed=0)
    assert alone.tolist() == [0.75]


def test_the_same_seed_draws_the_same_and_another_others() -> None:
    model = TableModel(4, seed=1)
    assert draw(model, seed=2**40) == draw(model, seed=2**40)
    assert len({tuple(f.token_ids for f in draw(model, seed=seed)) for seed in range(20)}) > 5


@given(seed=st.integers(0, 10**6))
def test_only_what_is_feasible_counts_in_drawing(seed: int) -> None:
    """Rows that leave much to what cannot come draw like those that leave nothing."""

    class Masked(TableModel):
        def candidates(self, prefix: Prefix) -> Candidates:
            whole = super().candidates(prefix)
            return replace(whole, log_probs=whole.log_probs - 1.0 - len(prefix))

    whole, masked = (draw(kind(4, seed=seed), seed=seed, width=4) for kind in (TableModel, Masked))
    assert [f.token_ids for f in whole] == [f.token_ids for f in masked]
    assert [f.perturbed for f in whole] == pytest.approx([f.perturbed for f in masked], abs=1e-9)
