"""The choice among finished samples: best of n, minimum Bayes risk, self-consistency, ensembles.

Needs only texts and what they weigh, so samples of several prompts, models and vocabularies may
stand in one pool. Knows no model and no grammar.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llm.decoding.search.answers import AnswerPattern
from llm.decoding.spec import Search
from llm.decoding.utilities import utility_matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A finished text; `mean_log_prob` in nats per token.

    `weight` is how much it counts as a vote or as a reference; 0 is a mere candidate.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    mean_log_prob: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"the weight of a sample must be finite and >= 0, got {self.weight}")
        if math.isnan(self.mean_log_prob):
            raise ValueError("the mean_log_prob of a sample must be a number, got nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Which of the samples, and what the search values it at."""

    index: int
    value: float


def select(
    search: Search,
    candidates: Sequence[Sample],
    *,
    scorer: Callable[[Sample], float] | None = None,
) -> list[Ranked]:
    """Return all samples, best first, with their values.

    The value is by "best_of" the mean log-probability or what `scorer` says; by "mbr" the mean
    utility for the samples as references, itself among them (arXiv 2211.07634); by
    "self_consistency" the share of votes for the sample's answer (arXiv 2203.11171). Equal ones
    are ordered by mean log-probability, then by index; samples of one text or answer stay together.

    Raises:
        ValueError: the search draws no samples, there are none, or all weigh nothing.
    """
    if not candidates:
        raise ValueError(f"a search {search.method!r} needs at least one sample, got none")
    if search.method == "best_of":
        value = scorer or (lambda sample: sample.mean_log_prob)
        return _ranked(range(len(candidates)), [value(sample) for sample in candidates], candidates)
    if search.method == "mbr":
        texts = [sample.text for sample in candidates]
        return _ranked(texts, _mean_utilities(search, candidates), candidates)
    if search.method == "self_consistency":
        answers = parse_answers(search, candidates)
        counted = votes(answers, candidates)
        whole = _total_weight(candidates)
        return _ranked(answers, [counted[answer] / whole for answer in answers], candidates)
    raise ValueError(f"a search {search.method!r} does not choose among samples")


def ensemble(sources: Sequence[tuple[float, Sequence[Sample]]]) -> list[Sample]:
    """Return the samples of several sources as one pool, in order.

    Each source comes with its weight, which its samples share in proportion to their own weights,
    however many they are.
    """
    pool: list[Sample] = []
    for weight, samples in sources:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of a source must be finite and >= 0, got {weight}")
        if samples:
            share = weight / _total_weight(samples)
            pool.extend(replace(sample, weight=share * sample.weight) for sample in samples)
    return pool


def parse_answers(search: Search, samples: Sequence[Sample]) -> list[str]:
    """Return the answer of each sample: what `answer_regex` captures, else the whole text.

    White space around it is removed, and its case does not count.

    Raises:
        ValueError: `answer_regex` cannot be compiled; see `AnswerPattern`.
    """
    pattern = AnswerPattern(search.answer_regex) if search.answer_regex else None
    found = [pattern.find(sample.text) if pattern else None for sample in samples]
    return [
        (sample.text if answer is None else answer).strip().casefold()
        for sample, answer in zip(samples, found, strict=True)
    ]


def votes(answers: Sequence[str], samples: Sequence[Sample]) -> dict[str, float]:
    """Return the weight of the samples that gave each answer."""
    return {
        answer: math.fsum(s.weight for a, s in zip(answers, samples, strict=True) if a == answer)
        for answer in answers
    }


def can_stop_early(counted: Mapping[str, float], remaining: float) -> bool:
    """Whether the leading answer wins whatever the samples of the remaining weight say.

    A tie would be settled by log-probabilities, so the leader must be ahead by more than that.
    """
    first, second = [*sorted(counted.values(), reverse=True), 0.0, 0.0][:2]
    return first > second + remaining


def _mean_utilities(search: Search, samples: Sequence[Sample]) -> list[float]:
    """Return the mean utility of each sample, each text being compared once."""
    # the order of sums must not depend on that of the samples
    texts = sorted({sample.text for sample in samples})
    weights = votes([sample.text for sample in samples], samples)
    share = np.array([weights[text] for text in texts]) / _total_weight(samples)
    means = (utility_matrix(search.utility, texts) * share).sum(axis=1)
    mean_of = dict(zip(texts, means.tolist(), strict=True))
    return [mean_of[sample.text] for sample in samples]


def _total_weight(samples: Iterable[Sample]) -> float:
    total = math.fsum(sample.weight for sample in samples)
    if total == 0:
        raise ValueError("the samples weigh nothing together; give one a weight above 0")
    return total


def _ranked(
    kinds: Sequence[Hashable], values: Sequence[float], samples: Sequence[Sample]
) -> list[Ranked]:
    """Order samples by value; those of one kind have one value and are kept together."""
    best: dict[Hashable, tuple[float, int]] = {}
    for i, (kind, sample) in enumerate(zip(kinds, samples, strict=True)):
        best[kind] = min(best.get(kind, (math.inf, i)), (-sample.mean_log_prob, i))
    order = sorted(
        range(len(samples)),
        key=lambda i: (-values[i], best[kinds[i]], -samples[i].mean_log_prob, i),
    )
    return [Ranked(index=i, value=values[i]) for i in order]
