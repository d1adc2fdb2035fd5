"""What a mark costs: distortion of an enumerable model, quality of replies.

Distortion: all texts of five tokens over three symbols of a Markov model. Over random keys the
share of each text must be its probability; beside stand as many draws from the model itself, and
the same mark where a repeated context is marked again. Quality: perplexity under the model and the
share of distinct pairs of tokens, with the mark and without, on the same prompts; the interval is
over prompts. Time is measured by `watermark_step`.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float64

from benchmarks.report import Figure
from benchmarks.watermark_generations import Drawing, Reply, replies
from llm.decoding.phases import Survivors
from llm.engine import Engine
from llm.watermark.contexts import Seeding
from llm.watermark.gumbel import Gumbel
from llm.watermark.scheme import Scheme, TextMark
from llm.watermark.synthid import SynthID

_SYMBOLS = 3
_LENGTH = 5
_MODEL = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.25, 0.15, 0.6]])
_FIRST = np.array([0.5, 0.3, 0.2])
_RESAMPLED = 2000


def distortion_figures(num_keys: int, seed: int) -> Iterator[Figure]:
    """Return the total variation to the model, and that of as many draws from the model."""
    p = text_probs()
    rng = np.random.default_rng(seed)
    draws = [total_variation(rng.multinomial(num_keys, p), p) for _ in range(200)]
    low, high = np.quantile(draws, (0.0005, 0.9995)).tolist()
    left = Seeding(width=1)  # so that contexts repeat within five tokens
    for name, scheme in (("Gumbel", Gumbel(seeding=left)), ("SynthID", SynthID(seeding=left))):
        for what, dedups in (("", True), (", repeated contexts marked again", False)):
            counts = np.zeros(len(p), np.int64)
            for _ in range(num_keys if dedups else num_keys // 4):
                counts[_marked_text(scheme, rng, dedups=dedups)] += 1
            yield Figure(
                name=f"distortion, {name}{what}: total variation to the model over keys",
                value=total_variation(counts, p),
                unit=f"of {counts.sum()} keys",
                spread=(low, high) if dedups else None,
                baseline=statistics.fmean(draws) if dedups else None,
                target=high if dedups else None,
                higher_is_better=False,
            )


def text_probs() -> Float64[np.ndarray, " n"]:
    """Return the probability of each text; its digits to the base of the symbols are its tokens."""
    p = _FIRST
    for _ in range(_LENGTH - 1):
        last = np.arange(len(p)) % _SYMBOLS
        p = (p[:, None] * _MODEL[last]).reshape(-1)
    return p


def total_variation(counts: np.ndarray, p: Float64[np.ndarray, " n"]) -> float:
    """Return half the distance of shares from probabilities."""
    return float(np.abs(counts / counts.sum() - p).sum() / 2)


def _marked_text(scheme: Scheme, rng: np.random.Generator, *, dedups: bool) -> int:
    secret = rng.bytes(16)
    mark: TextMark = scheme.start(secret, seed=0)
    ids = np.arange(_SYMBOLS)
    token, number = -1, 0
    for position in range(_LENGTH):
        if position and not dedups:  # forgets the contexts before the last one
            mark = scheme.start(secret, seed=0)
            mark.take(token)
        probs = _FIRST if position == 0 else _MODEL[token]
        weighed = mark.reweight(Survivors(token_ids=ids, log_probs=np.log(probs)))
        noise = mark.noise(ids)
        score = weighed.log_probs + (rng.gumbel(size=_SYMBOLS) if noise is None else noise)
        token = int(score.argmax())
        mark.take(token)
        number = number * _SYMBOLS + token
    return number


def quality_figures(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    schemes: Sequence[str],
    seed: int,
    *,
    num_tokens: int,
) -> Iterator[Figure]:
    """Return perplexity and diversity with each mark, without it as the baseline."""

    def said(mark: str) -> list[Reply]:
        drawing = Drawing(num_tokens=num_tokens, has_log_probs=True)
        return replies(engine, prompts, mark, drawing)

    plain = said("off")
    for name in schemes:
        marked = said(name)
        rows = (
            ("perplexity", "of the model", _perplexity),
            ("distinct pairs", "share of pairs", _distinct),
        )
        for what, unit, measure in rows:
            ratios = _ratios(marked, plain, measure, seed)
            low, high = np.quantile(ratios, (0.025, 0.975)).tolist()
            value, own = measure(marked), measure(plain)
            yield Figure(
                name=f"price, {name}, {what} with the mark",
                value=value,
                unit=f"{unit}, {len(prompts)} prompts, {num_tokens} tokens",
                spread=(own * low, own * high),
                baseline=own,
            )


def _perplexity(said: Sequence[Reply]) -> float:
    return math.exp(-statistics.fmean(reply.mean_log_prob for reply in said))


def _distinct(said: Sequence[Reply]) -> float:
    pairs = [pair for r in said for pair in zip(r.token_ids, r.token_ids[1:], strict=False)]
    return len(set(pairs)) / len(pairs)


def _ratios(
    marked: Sequence[Reply],
    plain: Sequence[Reply],
    measure: Callable[[Sequence[Reply]], float],
    seed: int,
) -> list[float]:
    """Return the measure's ratio on prompts drawn with replacement."""
    rng = np.random.default_rng(seed)
    times = _RESAMPLED if measure is _perplexity else _RESAMPLED // 20
    picks = (rng.integers(0, len(plain), len(plain)) for _ in range(times))
    return [
        measure([marked[i] for i in pick]) / measure([plain[i] for i in pick]) for pick in picks
    ]
