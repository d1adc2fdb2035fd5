"""The figures of a run with their intervals, per kind and together, and against another run.

A loss counts where a gated figure is surely lower than before: by the paired bootstrap over the
questions of both runs, at 5 % over all gated figures together (Holm's procedure), so that a run
that changed nothing is seldom called a loss. Times and AUROC are told and not gated: times belong
to the machine, and AUROC is no mean over questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluation import QuestionResult
from rag.metrics import (
    Difference,
    Interval,
    RiskPoint,
    area_under_risk,
    auroc_interval,
    bootstrap_interval,
    calibration_error,
    paired_bootstrap,
    risk_coverage,
)

ALL = "all"
GATED = (
    "recall",
    "ndcg",
    "mrr",
    "citation_precision",
    "citation_recall",
    "decision",
    "answer_held",
    "faithfulness",
)
FIGURES = (
    *("recall", "ndcg", "mrr", "map", "citation_precision", "citation_recall"),
    *("decision", "faithfulness", "answer_held", "answer_f1", "exact_match"),
)
ALPHA = 0.05
MIN_PAIRS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """The median and the 95th percentile of times."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run is worth; `rows` has the figures of each kind by name, first of all together.

    `auroc` says how well confidence tells the answerable from the others; None where the set has
    only one sort. `risk` is over the questions that were answered: the share that is wrong.
    """

    num: int
    rows: Mapping[str, Mapping[str, Interval]]
    auroc: Interval | None
    calibration: float
    risk: tuple[RiskPoint, ...]
    area_under_risk: float | None
    num_answered: int
    retrieval: Seconds
    total: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The differences to an earlier run on the questions of both, and which of them are losses."""

    num_pairs: int
    differences: Mapping[str, Difference]
    losses: tuple[str, ...]


def summary_of(results: Sequence[QuestionResult], *, seed: int = 0) -> Summary:
    """Return the figures of a run; raises `ValueError` where it is empty."""
    if not results:
        raise ValueError("a run without questions has no figures")
    kinds = dict.fromkeys(result.kind for result in results)
    rows = {ALL: _row(results, seed)}
    if len(kinds) > 1:
        for kind in kinds:
            rows[kind] = _row([result for result in results if result.kind == kind], seed)
    confidences = [result.confidence for result in results]
    labels = [result.answerable for result in results]
    auroc = None
    if any(labels) and not all(labels):
        auroc = auroc_interval(confidences, labels, seed=seed, num_resamples=1000)
    answered = [result for result in results if result.is_answer]
    risk = (
        risk_coverage([r.confidence for r in answered], [not r.is_right for r in answered])
        if answered
        else []
    )
    return Summary(
        num=len(results),
        rows=rows,
        auroc=auroc,
        calibration=calibration_error(confidences, labels),
        risk=tuple(risk),
        area_under_risk=area_under_risk(risk) if risk else None,
        num_answered=len(answered),
        retrieval=_seconds([result.retrieval_s for result in results]),
        total=_seconds([result.total_s for result in results]),
    )


def compare(
    ours: Sequence[QuestionResult], before: Sequence[QuestionResult], *, seed: int = 0
) -> Comparison:
    """Return how a run differs from an earlier one on the questions that are in both unchanged."""
    earlier = {result.digest: result for result in before}
    pairs = [(one, earlier[one.digest]) for one in ours if one.digest in earlier]
    differences: dict[str, Difference] = {}
    for name in FIGURES:
        both = [
            (one.figures[name], other.figures[name])
            for one, other in pairs
            if name in one.figures and name in other.figures
        ]
        if len(both) >= MIN_PAIRS:
            differences[name] = paired_bootstrap(
                [mine for mine, _ in both], [theirs for _, theirs in both], seed=seed
            )
    return Comparison(
        num_pairs=len(pairs), differences=differences, losses=tuple(_losses(differences))
    )


def _losses(differences: Mapping[str, Difference]) -> list[str]:
    """Return the gated figures that are lower, by Holm's procedure."""
    gated = sorted(
        ((one.p, name) for name, one in differences.items() if name in GATED), key=lambda x: x[0]
    )
    losses = []
    for i, (p, name) in enumerate(gated):
        if p > ALPHA / (len(gated) - i):
            break
        if differences[name].value < 0:
            losses.append(name)
    return losses


def _row(results: Sequence[QuestionResult], seed: int) -> dict[str, Interval]:
    row = {}
    for name in FIGURES:
        values = [result.figures[name] for result in results if name in result.figures]
        if values:
            row[name] = bootstrap_interval(values, seed=seed)
    return row


def _seconds(values: Sequence[float]) -> Seconds:
    p50, p95 = np.percentile(values, [50, 95])
    return Seconds(p50=float(p50), p95=float(p95))
