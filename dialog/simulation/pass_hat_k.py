"""pass^k: the probability that k runs of a scenario all succeed (tau-bench, arXiv 2406.12045)."""

from collections.abc import Sequence
from math import comb


def pass_hat(successes: Sequence[int], n: int, k: int) -> float:
    """Return the mean over scenarios of C(c, k) / C(n, k), c of n runs having succeeded.

    Raises:
        ValueError: k is not in 1 to n, or a count is not in 0 to n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass^k of {n} runs needs 1 <= k <= {n}, got k = {k}")
    if any(not 0 <= c <= n for c in successes):
        raise ValueError(f"of {n} runs 0 to {n} succeed, got {sorted(set(successes))}")
    return sum(comb(c, k) / comb(n, k) for c in successes) / len(successes) if successes else 0.0
