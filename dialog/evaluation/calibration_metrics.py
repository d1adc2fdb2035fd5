"""How far probabilities are from frequencies: expected calibration error and AUC."""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Some decisions of about the same probability."""

    count: int
    confidence: float
    accuracy: float


def equal_mass_bins(
    probabilities: Sequence[float], is_right: Sequence[bool], *, bins: int = BINS
) -> list[CalibrationBin]:
    """Return the decisions in order of their probability, cut into bins of equal size.

    Sizes differ by one at most; with fewer decisions than bins each is a bin of its own. Equal
    probabilities are ordered as they came, so that the result is the same on any machine.

    Raises:
        ValueError: the lengths differ, or a probability is none.
    """
    if len(probabilities) != len(is_right):
        raise ValueError(f"{len(probabilities)} probabilities for {len(is_right)} decisions")
    if any(not 0 <= p <= 1 for p in probabilities):
        raise ValueError("a probability must be in [0, 1]; calibrate before measuring")
    if bins < 1:
        raise ValueError(f"bins must be >= 1, got {bins}")
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    found = []
    for b in range(bins):
        part = order[b * len(order) // bins : (b + 1) * len(order) // bins]
        if part:
            found.append(
                CalibrationBin(
                    count=len(part),
                    confidence=sum(probabilities[i] for i in part) / len(part),
                    accuracy=sum(is_right[i] for i in part) / len(part),
                )
            )
    return found


def expected_calibration_error(
    probabilities: Sequence[float], is_right: Sequence[bool], *, bins: int = BINS
) -> float:
    """Return the mean distance of confidence and accuracy over bins of equal mass; 0 for none."""
    found = equal_mass_bins(probabilities, is_right, bins=bins)
    total = sum(b.count for b in found)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in found) / total if total else 0.0


def auc(probabilities: Sequence[float], is_right: Sequence[bool]) -> float:
    """Return the chance that a right decision has the higher probability than a wrong one.

    Ties count one half. 0.5 where all are right or all are wrong.
    """
    order = sorted(range(len(probabilities)), key=probabilities.__getitem__)
    ranks = [0.0] * len(order)
    i = 0
    while i < len(order):
        j = i
        while j < len(order) and probabilities[order[j]] == probabilities[order[i]]:
            j += 1
        for k in order[i:j]:
            ranks[k] = (i + j + 1) / 2
        i = j
    positive = sum(is_right)
    negative = len(order) - positive
    if not positive or not negative:
        return 0.5
    total = sum(rank for rank, right in zip(ranks, is_right, strict=True) if right)
    return (total - positive * (positive + 1) / 2) / (positive * negative)
