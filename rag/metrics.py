"""How good rankings, citations, answers and abstentions are, and how sure such figures can be.

A ranking is a sequence of keys, best first, none twice. What it is judged by is never empty: a
query without a judgment is an error here and no NaN, since a mean over fewer queries than one
believes is worse than none. Knows no collection and no pipeline.

    nDCG@k = sum_i gain_i / log2(i + 1) over the first k, divided by that of the ideal order

Letters: `n` queries or decisions.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int64

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
NUM_BINS = 10
_MOST_DRAWN = 2**22  # integers at a time: 32 MB
T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def recall_at_k(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Return the share of what is relevant among the first k."""
    judged = _judged(ranked, relevant)
    return len(judged.intersection(ranked[: _depth(k)])) / len(judged)


def precision_at_k(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Return the share of k places that hold something relevant; empty places hold nothing."""
    judged = _judged(ranked, relevant)
    return len(judged.intersection(ranked[: _depth(k)])) / k


def reciprocal_rank(
    ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int | None = None
) -> float:
    """Return 1 / the rank of the first that is relevant among the first k (None: all), else 0."""
    judged = _judged(ranked, relevant)
    for rank, key in enumerate(ranked if k is None else ranked[: _depth(k)], start=1):
        if key in judged:
            return 1 / rank
    return 0.0


def average_precision(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """Return the mean of the precision at each relevant key; 0 at one that was not found."""
    judged = _judged(ranked, relevant)
    found = 0
    total = 0.0
    for rank, key in enumerate(ranked, start=1):
        if key in judged:
            found += 1
            total += found / rank
    return total / len(judged)


def ndcg_at_k(ranked: Sequence[Key], gains: Mapping[Key, float], k: int) -> float:
    """Return the discounted gain of the first k as a share of the best there can be.

    A gain of 0 or below is that of something irrelevant.
    """
    positive = {key: gain for key, gain in gains.items() if gain > 0}
    _judged(ranked, positive)
    best = sorted(positive.values(), reverse=True)[: _depth(k)]
    return _discounted([positive.get(key, 0.0) for key in ranked[:k]]) / _discounted(best)


def per_query(
    run: Mapping[str, T],
    judgments: Mapping[str, Collection[Hashable]],
    measure: Callable[[T, Collection[Hashable]], float],
) -> dict[str, float]:
    """Return the measure of every query, in the order of the judgments.

    Raises:
        ValueError: run and judgments are not of the same queries, or a query has no judgment.
    """
    unjudged = sorted(query for query in run if not judgments.get(query))
    if unjudged:
        raise ValueError(
            f"{len(unjudged)} of {len(run)} queries have no judgment, such as {unjudged[0]!r};"
            " judge them or leave them out of the run"
        )
    missing = sorted(set(judgments) - set(run))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(judgments)} judged queries were not run, such as"
            f" {missing[0]!r}; run them, an empty ranking counts as nothing found"
        )
    return {query: measure(run[query], relevant) for query, relevant in judgments.items()}


def citation_precision(supports: Sequence[Collection[int]]) -> float:
    """Return the share of an answer's citations that point at something relevant.

    `supports` has, for each citation, the numbers of the relevant spans that it shows.
    """
    if not supports:
        raise ValueError("an answer without citations has no citation precision; leave it out")
    return sum(1 for found in supports if found) / len(supports)


def citation_recall(supports: Sequence[Collection[int]], num_relevant: int) -> float:
    """Return the share of the relevant spans that some citation of the answer shows."""
    if num_relevant < 1:
        raise ValueError(f"num_relevant must be >= 1, got {num_relevant}; nothing is to be cited")
    return len({number for found in supports for number in found}) / num_relevant


def normalized_answer(text: str) -> str:
    """Return an answer without case, punctuation, articles and double spaces, as SQuAD does."""
    kept = (c for c in text.lower() if not unicodedata.category(c).startswith("P"))
    return " ".join(_ARTICLE.sub(" ", "".join(kept)).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Return 1 where the answer is one of the references after normalisation, else 0."""
    said = normalized_answer(answer)
    return float(any(said == normalized_answer(one) for one in _references(references)))


def answer_f1(answer: str, references: Sequence[str]) -> float:
    """Return the F1 of the answer's words against the nearest reference."""
    return max(_word_f1(answer, one) for one in _references(references))


def auroc(scores: Sequence[float], is_positive: Sequence[bool]) -> float:
    """Return the chance that a positive scores above a negative; equals count half."""
    values, labels = _labelled(scores, is_positive)
    positive, negative = values[labels], values[~labels]
    if not len(positive) or not len(negative):
        raise ValueError(
            f"AUROC needs both kinds, got {len(positive)} positive and {len(negative)} negative"
        )
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """The error rate among the share `coverage` of decisions that are surest."""

    coverage: float
    risk: float


def risk_coverage(confidences: Sequence[float], is_wrong: Sequence[bool]) -> list[RiskPoint]:
    """Return the risk at every coverage, from the surest decision alone to all of them.

    Decisions of equal confidence come together: no threshold parts them.
    """
    values, wrong = _labelled(confidences, is_wrong)
    if not len(values):
        raise ValueError("risk needs at least one decision, got none")
    order = np.argsort(-values, kind="stable")
    ordered, errors = values[order], np.cumsum(wrong[order])
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    return [
        RiskPoint(coverage=float((end + 1) / len(ordered)), risk=float(errors[end] / (end + 1)))
        for end in ends
    ]


def area_under_risk(points: Sequence[RiskPoint]) -> float:
    """Return the mean risk over all coverages: 0 is perfect, that of all decisions is blind."""
    area = 0.0
    before = 0.0
    for point in points:
        area += (point.coverage - before) * point.risk
        before = point.coverage
    return area


def calibration_error(
    probabilities: Sequence[float], outcomes: Sequence[bool], *, num_bins: int = NUM_BINS
) -> float:
    """Return the mean distance of probability and frequency over bins of equal width."""
    values, happened = _labelled(probabilities, outcomes)
    if not len(values):
        raise ValueError("a calibration error needs at least one decision, got none")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"a probability must be in [0, 1], got {values.min():g} to {values.max():g}"
        )
    bins = np.minimum((values * num_bins).astype(np.int64), num_bins - 1)
    gaps = np.bincount(bins, values - happened, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure from n queries, and where it would lie with 95 % of other samples of them."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much better one run is than another on the same n queries; `p` is two-sided."""

    value: float
    low: float
    high: float
    p: float
    n: int

    @property
    def is_loss(self) -> bool:
        """Whether it is surely worse."""
        return self.high < 0

    @property
    def is_gain(self) -> bool:
        """Whether it is surely better."""
        return self.low > 0


def bootstrap_interval(
    values: Sequence[float],
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval:
    """Return the mean of the values and its bootstrap percentiles.

    With `groups` whole groups are drawn, such as dialogues whose turns are alike.
    """
    sums, counts = _grouped(values, groups)
    means = _resampled_means(sums, counts, seed=seed, num_resamples=num_resamples)
    low, high = _percentiles(means)
    return Interval(value=float(sums.sum() / counts.sum()), low=low, high=high, n=len(values))


def paired_bootstrap(
    ours: Sequence[float],
    baseline: Sequence[float],
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> Difference:
    """Return the mean of ours - baseline, query by query, and its bootstrap percentiles."""
    if len(ours) != len(baseline):
        raise ValueError(
            f"a paired comparison needs the same queries, got {len(ours)} and {len(baseline)}"
        )
    sums, counts = _grouped([a - b for a, b in zip(ours, baseline, strict=True)], groups)
    means = _resampled_means(sums, counts, seed=seed, num_resamples=num_resamples)
    low, high = _percentiles(means)
    # One is added, so that no finite number of draws proves anything beyond doubt.
    below, above = (int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (min(below, above) + 1) / (num_resamples + 1))
    value = float(sums.sum() / counts.sum())
    return Difference(value=value, low=low, high=high, p=p, n=len(ours))


def auroc_interval(
    scores: Sequence[float],
    is_positive: Sequence[bool],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval:
    """Return the AUROC and its bootstrap percentiles; each kind is drawn among its own."""
    value = auroc(scores, is_positive)
    values, labels = _labelled(scores, is_positive)
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(num_resamples):
        picked = np.concatenate([rng.choice(rows, len(rows)) for rows in kinds])
        drawn.append(auroc(values[picked].tolist(), labels[picked].tolist()))
    low, high = _percentiles(np.array(drawn))
    return Interval(value=value, low=low, high=high, n=len(scores))


def _judged(ranked: Sequence[Hashable], relevant: Collection[Hashable]) -> set[Hashable]:
    if not relevant:
        raise ValueError("a query without a judgment has no score; judge it or leave it out")
    if len(set(ranked)) < len(ranked):
        key = next(key for key, count in Counter(ranked).items() if count > 1)
        raise ValueError(f"a ranking holds each key once, got {key!r} twice; keep the first")
    return set(relevant)


def _depth(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return k


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _references(references: Sequence[str]) -> Sequence[str]:
    if not references:
        raise ValueError("an answer is compared with at least one reference, got none")
    return references


def _word_f1(answer: str, reference: str) -> float:
    said, wanted = normalized_answer(answer).split(), normalized_answer(reference).split()
    if not said or not wanted:
        return float(said == wanted)
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted))


def _labelled(
    values: Sequence[float], labels: Sequence[bool]
) -> tuple[Float[np.ndarray, " n"], np.ndarray]:
    if len(values) != len(labels):
        raise ValueError(f"there are {len(values)} values for {len(labels)} outcomes")
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a score that is not finite cannot be ordered; leave its query out")
    return found, np.asarray(labels, bool)


def _grouped(
    values: Sequence[float], groups: Sequence[Hashable] | None
) -> tuple[Float[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return the sum and the number of each group's values; without groups each stands alone."""
    if not values:
        raise ValueError("an interval needs at least one value, got none")
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a value that is not finite has no mean; a query without a score is a bug")
    if groups is None:
        return found, np.ones(len(found), np.int64)
    if len(groups) != len(values):
        raise ValueError(f"there are {len(groups)} groups for {len(values)} values")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    of_value = np.array([numbers[group] for group in groups], np.int64)
    return np.bincount(of_value, found), np.bincount(of_value)


def _resampled_means(
    sums: Float[np.ndarray, " n"],
    counts: Int64[np.ndarray, " n"],
    *,
    seed: int,
    num_resamples: int,
) -> Float[np.ndarray, " r"]:
    rng = np.random.default_rng(seed)
    n = len(sums)
    means: list[np.ndarray] = []
    done = 0
    while done < num_resamples:
        rows = min(num_resamples - done, max(1, _MOST_DRAWN // n))
        drawn = rng.integers(n, size=(rows, n))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
        done += rows
    return np.concatenate(means)


def _percentiles(values: Float[np.ndarray, " r"]) -> tuple[float, float]:
    rest = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [rest, 1 - rest])
    return float(low), float(high)
