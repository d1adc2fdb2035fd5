"""Our ranking metrics against those of trec_eval, through pytrec-eval-terrier."""

import random

import pytest
import pytrec_eval

from rag.metrics import (
    average_precision,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
)

DEPTHS = (1, 5, 10, 100)


def _cases(seed: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Rankings of 0 to 120 keys and graded judgments, of which some are not found."""
    dice = random.Random(seed)
    keys = [f"d{number}" for number in range(150)]
    run, judgments = {}, {}
    for number in range(40):
        query = f"q{number}"
        run[query] = dice.sample(keys, dice.choice([1, 3, 10, 50, 120]))
        judged = dice.sample(keys, dice.randint(1, 30))
        judgments[query] = {key: dice.choice([0, 1, 2, 3]) for key in judged}
        judgments[query][judged[0]] = 1
    return run, judgments


@pytest.mark.parametrize("seed", range(5))
def test_ranking_metrics_equal_trec_eval(seed: int) -> None:
    run, judgments = _cases(seed)
    measures = {"map", "recip_rank"}
    measures |= {f"{name}.{k}" for name in ("recall", "ndcg_cut", "P") for k in DEPTHS}
    scored = {q: {key: float(len(r) - i) for i, key in enumerate(r)} for q, r in run.items()}
    reference = pytrec_eval.RelevanceEvaluator(judgments, measures).evaluate(scored)
    for query, ranked in run.items():
        relevant = {key for key, gain in judgments[query].items() if gain > 0}
        ours = {
            "map": average_precision(ranked, relevant),
            "recip_rank": reciprocal_rank(ranked, relevant),
        }
        for k in DEPTHS:
            ours[f"recall_{k}"] = recall_at_k(ranked, relevant, k)
            ours[f"P_{k}"] = precision_at_k(ranked, relevant, k)
            ours[f"ndcg_cut_{k}"] = ndcg_at_k(ranked, dict(judgments[query]), k)
        # Both sum doubles; trec_eval in another order.
        assert ours == pytest.approx(reference[query], abs=1e-9)
