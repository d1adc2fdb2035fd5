"""Watermarks by their definitions: plain integers, one token at a time, the whole output each time.

A secret makes six words, those and a context make a seed, a seed makes one word of 32 bits for each
token. All marks of contexts look at the last `WIDTH` tokens of the output, and at each only once.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

from llm.philox import Purpose
from tests.golden.philox_reference import philox

WIDTH = 4
GUMBEL_SUB_KEYS = 16
GREEN_SHARE = 0.5
GREEN_LIFT = 2.0
LAYERS = 30

History = Sequence[int]
Weights = dict[int, float]  # log-probabilities by token
Reweigh = Callable[[History, Weights], Weights]


def sub_key(secret: bytes, label: str, number: int) -> list[int]:
    digest = hashlib.blake2b(f"{label}/{number}".encode(), key=secret, digest_size=24).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 24, 4)]


def seed_of(context: History, key: list[int]) -> tuple[int, int]:
    """Return the two words of a seed; a context of at most four tokens is one block."""
    assert len(context) <= 4
    part = [*context, 0, 0, 0, 0][:4]
    c0, c1, c2, c3 = (token ^ word for token, word in zip(part, key[2:], strict=True))
    low, high, *_ = philox((c0, c1, c2, c3), (key[0], key[1]))
    return low, high


def word(v: int, seed: tuple[int, int]) -> int:
    """Return the word of a token."""
    return philox((v >> 2, 0, 0, Purpose.WATERMARK), seed)[v & 3]


def fresh_context(output: History) -> tuple[int, ...] | None:
    """Return what the coming token's seed is made of, None if there is none or it came before."""
    if len(output) < WIDTH:
        return None
    before = {tuple(output[i - WIDTH : i]) for i in range(WIDTH, len(output))}
    context = tuple(output[-WIDTH:])
    return None if context in before else context


def gumbel_noise(
    secret: bytes, size: int, *, seed: int, stream: int
) -> Callable[[History], list[float] | None]:
    """Return the noise of all tokens after an output, None where the request's own is taken."""
    key = sub_key(secret, f"gumbel-window{WIDTH}", (seed + stream) % GUMBEL_SUB_KEYS)

    def noise(output: History) -> list[float] | None:
        context = fresh_context(output)
        if context is None:
            return None
        of_context = seed_of(context, key)
        units = [(word(v, of_context) + 0.5) / 2**32 for v in range(size)]
        return [-math.log(-math.log(unit)) for unit in units]

    return noise


def reweigh_of(scheme: str, secret: bytes, size: int) -> Reweigh:
    """Return how a mark that is no noise changes log-probabilities."""
    if scheme == "unigram":
        return _unigram(secret, size)
    if scheme == "synthid":
        return _tournament(secret)
    return _green_lists(scheme, secret, size)


def _green_lists(scheme: str, secret: bytes, size: int) -> Reweigh:
    name = "sbw" if scheme == "sbw" else f"kgw{size}"
    key = sub_key(secret, f"{name}-window{WIDTH}", 0)

    def reweigh(output: History, log_probs: Weights) -> Weights:
        context = fresh_context(output)
        if context is None:
            return log_probs
        seed = seed_of(context, key)
        if scheme == "sbw":
            green = {v for v in range(size) if word(v, seed) < GREEN_SHARE * 2**32}
        else:
            green = _lowest(seed, size)
        return _lifted(log_probs, green, math.inf if scheme == "kgw-hard" else GREEN_LIFT)

    return reweigh


def _unigram(secret: bytes, size: int) -> Reweigh:
    key = sub_key(secret, f"unigram{size}-{round(GREEN_SHARE * size)}", 0)
    green = _lowest(seed_of((), key), size)

    def reweigh(output: History, log_probs: Weights) -> Weights:
        del output
        return _lifted(log_probs, green, GREEN_LIFT)

    return reweigh


def _lowest(seed: tuple[int, int], size: int) -> set[int]:
    ranked = sorted(range(size), key=lambda v: (word(v, seed), v))
    return set(ranked[: round(GREEN_SHARE * size)])


def _lifted(log_probs: Weights, green: set[int], lift: float) -> Weights:
    if not green & log_probs.keys() or log_probs.keys() <= green:
        return log_probs
    if lift == math.inf:
        return {v: x if v in green else -math.inf for v, x in log_probs.items()}
    return {v: x + lift * (v in green) for v, x in log_probs.items()}


def _tournament(secret: bytes) -> Reweigh:
    key = sub_key(secret, f"synthid-window{WIDTH}", 0)

    def reweigh(output: History, log_probs: Weights) -> Weights:
        context = fresh_context(output)
        if context is None:
            return log_probs
        seed = seed_of(context, key)
        total = math.fsum(map(math.exp, log_probs.values()))
        p = {v: math.exp(x) / total for v, x in log_probs.items()}
        for layer in range(LAYERS):
            bit = {v: word(v, seed) >> layer & 1 for v in p}
            ones = math.fsum(p[v] for v in p if bit[v])
            p = {v: p[v] * (1 + bit[v] - ones) for v in p}
        return {v: math.log(x) if x > 0 else -math.inf for v, x in p.items()}

    return reweigh
