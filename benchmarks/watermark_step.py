"""What a mark adds to a step of eight rows, in seconds of the processor.

A mark works only in the draw, so drawing is timed by itself: the same logits of the model, eight
texts side by side, are drawn from in turn with the mark and without, and the difference is told as
a share of a whole step without one. Timing whole steps with and without instead needs hours on a
shared machine: there they differ by ten per cent from one minute to the next.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from benchmarks.report import Figure
from llm.decoding.phases import UNGUIDED, Guidance
from llm.decoding.pipeline import Pipeline
from llm.decoding.sampler import BatchSampler
from llm.decoding.spec import DecodeSpec, Speculation
from llm.engine import Engine
from llm.native.loader import load_library
from llm.sampling_params import SamplingParams
from llm.watermark.marker import Marker

MOST_OVERHEAD = 0.03
ROWS = 8
LENGTH = 80
_STEPS = 20
_WHOLE_STEPS = 3  # how often whole steps are timed
_OFF = Speculation(drafter="off")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """As many tokens as the model has; plain draws do not look at what they spell."""

    size: int
    eos_ids: frozenset[int] = frozenset()

    @property
    def token_bytes(self) -> tuple[bytes, ...]:
        return (b"x",) * self.size


def step_figures(
    engine: Engine,
    marker: Marker,
    read: Callable[[list[int]], Float32[np.ndarray, "t v"]],
    texts: Sequence[Sequence[int]],
    schemes: Sequence[str],
    *,
    rounds: int,
) -> Iterator[Figure]:
    """Return what each mark adds, between the quartiles of the rounds, and what a step takes.

    `read` gives the model's logits after each token of a text, of which there are `ROWS` or more
    of `LENGTH` tokens or more.
    """
    logits = np.stack([read(list(text[:LENGTH])) for text in texts[:ROWS]], axis=1)
    step = statistics.median(_step_seconds(engine, texts[0][:20]) for _ in range(_WHOLE_STEPS))
    yield Figure(
        name=f"price, a step of {ROWS} rows without a mark", value=1000 * step, unit="CPU ms"
    )
    for name in schemes:
        added = []
        for number in range(rounds + 1):
            # which of both goes first alternates, as a busy machine slows down and recovers
            marks = ("off", name) if number % 2 else (name, "off")
            seconds = {mark: _draw_seconds(logits, marker, mark) for mark in marks}
            added.append((seconds[name] - seconds["off"]) / step)
        low, middle, high = statistics.quantiles(added[1:], n=4)
        yield Figure(
            name=f"price, {name}, cost of a step of {ROWS} rows",
            value=middle,
            unit=f"share of the step, median of {rounds}",
            spread=(low, high),
            target=MOST_OVERHEAD if name == "gumbel" else None,
            higher_is_better=False,
        )


def _draw_seconds(logits: Float32[np.ndarray, "t r v"], marker: Marker, mark: str) -> float:
    """Return the mean seconds of a draw of all rows, and of taking the tokens."""
    pipeline = Pipeline(BatchSampler(load_library()), _Tokens(size=logits.shape[2]))
    rows = []
    for i in range(logits.shape[1]):
        params = SamplingParams(temperature=1.0, top_p=0.95)
        begun = marker.start(mark, is_greedy=False, seed=i)
        guidance = UNGUIDED if begun is None else Guidance(mark=begun)
        rows.append(pipeline.join(params, i, [1, 2, 3], guidance))
    seconds = []
    for z in logits:
        given = z.copy()
        began = time.thread_time()
        for row, token in zip(rows, pipeline.draw(given, rows).token_ids.tolist(), strict=True):
            row.take(token)
        seconds.append(time.thread_time() - began)
    return statistics.fmean(seconds)


def _step_seconds(engine: Engine, prompt: Sequence[int]) -> float:
    requests = [
        engine.add_request(
            [*prompt, 10 + i],
            SamplingParams(max_tokens=500, min_tokens=400, temperature=1.0, top_p=0.95, seed=i),
            lambda _: None,
            spec=DecodeSpec(mark="off", speculation=_OFF),
        )
        for i in range(ROWS)
    ]
    while any(request.sequence.num_generated < 5 for request in requests):
        engine.step()
    began = time.process_time()
    for _ in range(_STEPS):
        engine.step()
    seconds = time.process_time() - began
    for request in requests:
        request.wiring.cancel.set()
    while engine.has_work:
        engine.step()
    return seconds / _STEPS
