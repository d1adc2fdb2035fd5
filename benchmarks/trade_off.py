"""What steering buys at what price: points, the best share up to each perplexity, methods compared.

All settings go on from the same starts with the same random numbers, so two methods are compared
start by start: an interval comes from drawing the starts again (the paired bootstrap), which is
narrower than what the two shares alone would allow. Letters: `s` settings, `n` starts, `r` draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

_GRID = 25  # perplexities at which two methods are compared
_DRAWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What came of a setting: whether each text is positive, and its nats a token.

    `kl` is nats per token from the unsteered distribution, `distinct` the share of pairs of
    neighbouring tokens that occur once, over all texts.
    """

    method: str
    weight: float
    is_positive: tuple[bool, ...]
    surprises: tuple[float, ...]
    kl: float
    distinct: float
    example: str

    def __post_init__(self) -> None:
        if not len(self.is_positive) == len(self.surprises) > 0:
            raise ValueError(
                f"a point needs a verdict and a surprise for each of its texts and at least one"
                f" text, got {len(self.is_positive)} and {len(self.surprises)}"
            )

    @property
    def num(self) -> int:
        """How many texts there are."""
        return len(self.is_positive)

    @property
    def num_positive(self) -> int:
        """How many of them are positive."""
        return sum(self.is_positive)

    @property
    def share(self) -> float:
        """How many texts of all are positive."""
        return self.num_positive / self.num

    @property
    def perplexity(self) -> float:
        """Perplexity of all texts; they are of one length."""
        return math.exp(math.fsum(self.surprises) / self.num)


Line = list[tuple[float, float]]


def frontier(points: Sequence[Point], methods: Sequence[str]) -> Line:
    """Return (perplexity, share) by rising share: the best share up to each price.

    A setting that another one beats in both counts for nothing.
    """
    return _line([(one.perplexity, one.share) for one in points if one.method in methods])


def share_at(line: Line, perplexity: float) -> float:
    """Return the share at a perplexity, straight between the settings; NaN below the cheapest."""
    if perplexity < line[0][0]:
        return math.nan
    return float(np.interp(perplexity, [x for x, _ in line], [y for _, y in line]))


def perplexity_at(line: Line, positive: float) -> float:
    """Return the perplexity at a share, straight between the settings; NaN if never reached."""
    if positive > line[-1][1]:
        return math.nan
    return float(np.interp(positive, [y for _, y in line], [x for x, _ in line]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advantage:
    """By how much more texts one method makes positive than another, at equal perplexity.

    The mean over the perplexities that both have, its 95 % interval over starts, and the least and
    the largest of the differences.
    """

    mean: float
    interval: tuple[float, float]
    least: float
    largest: float


def advantage(
    points: Sequence[Point], method: str, other: str, common: str, *, seed: int
) -> Advantage:
    """Compare two methods; the settings of `common` belong to both.

    Raises:
        ValueError: a method has no setting, or the settings are not of the same starts.
    """
    for name in (method, other):
        if not any(point.method == name for point in points):
            raise ValueError(f"there is no setting of {name} to compare")
    if len({point.num for point in points}) > 1:
        raise ValueError("settings are compared on the same starts; they have different numbers")
    num = points[0].num
    positive = np.array([point.is_positive for point in points], np.float64)
    surprises = np.array([point.surprises for point in points])
    own = np.array([point.method in (method, common) for point in points])
    others = np.array([point.method in (other, common) for point in points])
    gaps = _gaps(positive.mean(1), np.exp(surprises.mean(1)), own, others)
    counts = np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), size=_DRAWS)
    shares = counts @ positive.T / num
    prices = np.exp(counts @ surprises.T / num)
    drawn = [_gaps(shares[i], prices[i], own, others).mean() for i in range(_DRAWS)]
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Advantage(
        mean=float(gaps.mean()),
        interval=(low, high),
        least=float(gaps.min()),
        largest=float(gaps.max()),
    )


def _gaps(
    shares: Float64[np.ndarray, " s"],
    prices: Float64[np.ndarray, " s"],
    own: Bool[np.ndarray, " s"],
    others: Bool[np.ndarray, " s"],
) -> Float64[np.ndarray, " g"]:
    lines = [_line(list(zip(prices[of], shares[of], strict=True))) for of in (own, others)]
    low = max(line[0][0] for line in lines)
    high = max(low, min(line[-1][0] for line in lines))
    grid = np.linspace(low, high, _GRID)
    ours, theirs = (
        np.array([share_at(line, perplexity) for perplexity in grid.tolist()]) for line in lines
    )
    found: Float64[np.ndarray, " g"] = ours - theirs
    return found


def _line(settings: Sequence[tuple[float, float]]) -> Line:
    kept: Line = []
    for perplexity, positive in sorted(settings):
        if not kept or positive > kept[-1][1]:
            kept.append((perplexity, positive))
    return kept
