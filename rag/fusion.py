"""One ranking made of several: by normalised scores, or by ranks alone.

Scores of lanes do not compare: a cosine ends at 1, BM25 nowhere. So each lane's are mapped onto
0..1 first, over what it found for this query; where even that compares nothing, as between lanes
whose scores are made up, the ranks are what is left.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

RANK_CONSTANT = 60
Key = TypeVar("Key", bound=Hashable)


def by_scores(
    lanes: Sequence[Mapping[Key, float]], weights: Sequence[float] | None = None
) -> dict[Key, float]:
    """Return the weighted mean of each key's scores, mapped onto 0..1 in every lane.

    A lane that did not find a key gives it 0, as it does its own last. The lanes should have been
    asked for equally many. Without weights they are equal.

    Raises:
        ValueError: the weights do not fit the lanes, or a score is not finite.
    """
    total: defaultdict[Key, float] = defaultdict(float)
    for lane, weight in zip(lanes, _shares(len(lanes), weights), strict=True):
        low, high = min(lane.values(), default=0.0), max(lane.values(), default=0.0)
        if not math.isfinite(high - low):
            raise ValueError(f"the scores of a lane must be finite, got {low} to {high}")
        for key, score in lane.items():
            # Where all are equal none is last.
            total[key] += weight * ((score - low) / (high - low) if high > low else 1.0)
    return dict(total)


def by_ranks(
    lanes: Sequence[Sequence[Key]],
    weights: Sequence[float] | None = None,
    *,
    constant: int = RANK_CONSTANT,
) -> dict[Key, float]:
    """Return the sum of weight / (constant + rank) over the lanes that found a key.

    Raises:
        ValueError: the weights do not fit the lanes, or the constant is below 0.
    """
    if constant < 0:
        raise ValueError(f"constant must be >= 0, got {constant}")
    total: defaultdict[Key, float] = defaultdict(float)
    for lane, weight in zip(lanes, _shares(len(lanes), weights), strict=True):
        for rank, key in enumerate(lane, start=1):
            total[key] += weight / (constant + rank)
    return dict(total)


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """Return the keys by falling score; equals in the order in which lanes first found them."""
    return sorted(scores, key=lambda key: -scores[key])


def _shares(num_lanes: int, weights: Sequence[float] | None) -> list[float]:
    """Return weights that sum to one."""
    given = [1.0] * num_lanes if weights is None else list(weights)
    if len(given) != num_lanes:
        raise ValueError(f"{num_lanes} lanes need as many weights, got {len(given)}")
    total = sum(given)
    if any(weight < 0 for weight in given) or (given and not 0 < total < math.inf):
        raise ValueError(f"weights must be >= 0, finite and not all 0, got {given}")
    return [weight / total for weight in given]
