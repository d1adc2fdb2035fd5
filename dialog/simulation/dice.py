"""The one source of chance: equal parts of a name give equal draws, on any machine."""

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
Dice = random.Random


def dice(*parts: object) -> Dice:
    """Return a generator seeded by what it is for, such as (seed, scenario, "noise")."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - no secret


def weighted(rng: Dice, weights: Mapping[T, float]) -> T:
    """Return one of the keys, as probable as its share of the weights."""
    keys = list(weights)
    return rng.choices(keys, [weights[key] for key in keys])[0]


def some(rng: Dice, items: Sequence[T], least: int, most: int) -> list[T]:
    """Return `least` to `most` of the items, in their order."""
    k = min(len(items), rng.randint(least, most)) if items else 0
    return [items[i] for i in sorted(rng.sample(range(len(items)), k))]
