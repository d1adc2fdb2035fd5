"""What `GET /v1/engine/state` tells: the engine's picture of itself, and what it has counted.

Shares are of 1, times in seconds. Nothing of what anybody wrote is in it.
"""

from typing import Literal, Self

from pydantic import BaseModel

from llm.engine_statistics import EngineLimits, EngineState, EngineStatistics, Histogram


class EngineLimitsModel(BaseModel):
    """How much is served at once: positions a step, requests that run, requests that wait."""

    max_rows: int
    max_running: int
    max_waiting: int

    @classmethod
    def from_limits(cls, limits: EngineLimits) -> Self:
        """Return what is shown of the limits."""
        return cls(
            max_rows=limits.max_rows,
            max_running=limits.max_running,
            max_waiting=limits.max_waiting,
        )


class EngineCountersModel(BaseModel):
    """Counters since the start; a share or a mean of nothing is null.

    `rows` are the positions computed in all steps; `overhead_share` is the part of the steps' time
    that was not the model's; `ends` counts requests by why they ended, `cancelled` those that their
    clients gave up, by where they were.
    """

    steps: int
    rows: int
    prompt_tokens: int
    generated_tokens: int
    preemptions: int
    prefix_hit_rate: float | None
    step_s: float
    forward_s: float
    overhead_share: float | None
    mean_time_to_first_token_s: float | None
    mean_inter_token_s: float | None
    ends: dict[str, int]
    cancelled: dict[str, int]

    @classmethod
    def from_engine(cls, state: EngineState, statistics: EngineStatistics) -> Self:
        """Return what is shown of the counters."""
        step_s, forward_s = statistics.step_s, statistics.forward_s
        return cls(
            steps=statistics.steps,
            rows=statistics.rows,
            prompt_tokens=statistics.prompt_tokens,
            generated_tokens=statistics.generated_tokens,
            preemptions=statistics.preemptions,
            prefix_hit_rate=_share(state.prefix_hit_tokens, state.prefix_queried_tokens),
            step_s=round(step_s, 3),
            forward_s=round(forward_s, 3),
            overhead_share=_share(step_s - forward_s, step_s),
            mean_time_to_first_token_s=_mean(statistics.time_to_first_token),
            mean_inter_token_s=_mean(statistics.inter_token),
            ends=dict(sorted(statistics.ends.copy().items())),
            cancelled=dict(statistics.cancelled),
        )


class EngineStateModel(BaseModel):
    """What runs, what waits, what is kept, what computes it, and what it has come to.

    `used_blocks` are held by requests that run; `cached_blocks` can be found again, in use or not.
    """

    object: Literal["engine.state"] = "engine.state"
    model: str
    running: int
    waiting: int
    num_blocks: int
    used_blocks: int
    cached_blocks: int
    evicted_blocks: int
    block_size: int
    kv_usage: float
    prefix_queried_tokens: int
    prefix_hit_tokens: int
    kernels: str
    threads: int
    determinism: str
    fingerprint: str
    context_size: int
    limits: EngineLimitsModel
    counters: EngineCountersModel

    @classmethod
    def from_engine(cls, model: str, state: EngineState, statistics: EngineStatistics) -> Self:
        """Return what is shown of an engine."""
        return cls(
            model=model,
            running=state.running,
            waiting=state.waiting,
            num_blocks=state.num_blocks,
            used_blocks=state.used_blocks,
            cached_blocks=state.cached_blocks,
            evicted_blocks=state.evicted_blocks,
            block_size=state.block_size,
            kv_usage=round(state.kv_usage, 4),
            prefix_queried_tokens=state.prefix_queried_tokens,
            prefix_hit_tokens=state.prefix_hit_tokens,
            kernels=state.kernels,
            threads=state.threads,
            determinism=state.determinism,
            fingerprint=state.fingerprint,
            context_size=state.context_size,
            limits=EngineLimitsModel.from_limits(state.limits),
            counters=EngineCountersModel.from_engine(state, statistics),
        )


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(durations: Histogram) -> float | None:
    count = sum(durations.counts)
    return round(durations.total / count, 6) if count else None
