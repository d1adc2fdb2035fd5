"""What the engine counts and measures about itself, and a picture of its state.

Written by the engine's thread alone; whoever reads sees numbers that may be a step apart. Knows
nothing of how they are published.
"""

import bisect
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llm.sequence import Sequence

_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

BACKGROUND = 1  # the priority of what nobody waits for; its times are not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """How much is served at once: rows a step, sequences that run, requests that wait."""

    max_rows: int = 512
    max_running: int = 64
    max_waiting: int = 256

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_running", "max_waiting"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """What runs, what waits, what is kept, and on what it is computed."""

    running: int
    waiting: int
    num_blocks: int
    used_blocks: int
    cached_blocks: int
    block_size: int
    prefix_queried_tokens: int
    prefix_hit_tokens: int
    evicted_blocks: int
    kernels: str
    threads: int
    determinism: str
    fingerprint: str
    context_size: int
    limits: EngineLimits

    @property
    def kv_usage(self) -> float:
        """The share of blocks that running requests hold."""
        return self.used_blocks / self.num_blocks


@runtime_checkable
class CountedRequest(Protocol):
    """What is counted of a request (satisfied by `llm.request.Request`)."""

    @property
    def sequence(self) -> Sequence:
        """Its tokens, when it came and how urgent it is."""
        ...

    @property
    def first_token_at(self) -> float | None:
        """When its first token came."""
        ...

    @property
    def last_token_at(self) -> float:
        """When its last one came."""
        ...

    @property
    def cached_tokens(self) -> int | None:
        """How much of its prompt was not computed again; None while it is not known."""
        ...


class Histogram:
    """Durations in buckets: `counts[i]` of at most `bounds[i]` seconds, the last of more."""

    def __init__(self, bounds: tuple[float, ...] = _SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect.bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class EngineStatistics:
    """Counters since the start; all times in seconds."""

    def __init__(self) -> None:
        self.steps = 0
        self.rows = 0
        self.preemptions = 0
        self.prompt_tokens = 0
        self.generated_tokens = 0
        self.forward_s = 0.0
        self.step_s = 0.0
        self.ends: dict[str, int] = {}
        self.cancelled: dict[str, int] = {"queue": 0, "prefill": 0, "decode": 0}
        self.time_to_first_token = Histogram()
        self.inter_token = Histogram()
        self.request = Histogram()

    def count_step(self, *, rows: int, preempted: int, forward_s: float, total_s: float) -> None:
        """Count a step, the rows in it, and how long it took with and without the model."""
        self.steps += 1
        self.rows += rows
        self.preemptions += preempted
        self.forward_s += forward_s
        self.step_s += total_s

    def count_token(self, request: CountedRequest, now: float) -> None:
        """Count a token, before the request hears of it."""
        if request.sequence.priority >= BACKGROUND:
            return
        self.generated_tokens += 1
        if request.first_token_at is None:
            self.prompt_tokens += request.sequence.num_prompt_tokens
            self.time_to_first_token.observe(now - request.sequence.arrival)
        else:
            self.inter_token.observe(now - request.last_token_at)

    def count_end(self, request: CountedRequest, reason: str, now: float) -> None:
        """Count a request that ended, and in which stage if it was given up."""
        if request.sequence.priority >= BACKGROUND:
            return
        self.ends[reason] = self.ends.get(reason, 0) + 1
        self.request.observe(now - request.sequence.arrival)
        if reason == "cancelled":
            stage = "decode"
            if request.first_token_at is None:
                stage = "queue" if request.cached_tokens is None else "prefill"
            self.cancelled[stage] += 1
