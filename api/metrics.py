"""The numbers of the engine and of the tools for Prometheus, read when they are asked for.

A registry of its own for each application, so that two of them in one process never share a
counter. Labels come from fixed lists of ours and the names of tools that the service has; nothing
that a user or a model wrote is in them.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from api.application import InspectableEngine
from llm.engine_statistics import EngineState, EngineStatistics, Histogram
from tools.call_counts import CallCounts

PREFIX: Final = "causerie_"


def registry_of(engine: InspectableEngine, calls: CallCounts) -> CollectorRegistry:
    """Return a registry that tells of an engine, the calls of tools, and this process."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine))
    registry.register(CallCollector(calls))
    ProcessCollector(registry=registry)
    return registry


class EngineCollector(Collector):
    """An engine's state and statistics as metric families, made anew at every scrape.

    The engine writes them meanwhile, so numbers of one scrape may be a step apart.
    """

    def __init__(self, engine: InspectableEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        state, statistics = self._engine.state(), self._engine.statistics
        yield _info(state)
        yield from _gauges(state)
        yield from _counters(state, statistics)
        yield from _by_reason(statistics)
        yield from _durations(statistics)


class CallCollector(Collector):
    """How often tools were called, and how that ended, as one family."""

    def __init__(self, calls: CallCounts) -> None:
        self._calls = calls

    def collect(self) -> Iterator[Metric]:
        """Yield the family, without a sample for what has not happened."""
        family = CounterMetricFamily(
            f"{PREFIX}tool_calls",
            "Calls of the service's and the bots' tools, by how they ended.",
            labels=["tool", "outcome"],
        )
        for (tool, outcome), count in sorted(self._calls.counted().items()):
            family.add_metric([tool, outcome.value], count)
        yield family


def _info(state: EngineState) -> Metric:
    return InfoMetricFamily(
        f"{PREFIX}engine",
        "What the decoder is computed by.",
        value={
            "kernels": state.kernels,
            "determinism": state.determinism,
            "fingerprint": state.fingerprint,
            "threads": str(state.threads),
        },
    )


def _gauges(state: EngineState) -> Iterator[Metric]:
    for name, text, value in (
        ("num_requests_running", "Requests that hold blocks of the cache.", state.running),
        ("num_requests_waiting", "Requests in the queue.", state.waiting),
        (
            "kv_cache_usage_ratio",
            "Share of the cache's blocks that running requests hold, from 0 to 1.",
            state.kv_usage,
        ),
    ):
        yield GaugeMetricFamily(f"{PREFIX}{name}", text, value=value)


def _counters(state: EngineState, statistics: EngineStatistics) -> Iterator[Metric]:
    for name, text, value in (
        (
            "prefix_cache_queries",
            "Prompt tokens looked up in the prefix cache.",
            state.prefix_queried_tokens,
        ),
        (
            "prefix_cache_hits",
            "Prompt tokens found in the prefix cache and not computed again.",
            state.prefix_hit_tokens,
        ),
        (
            "prefix_cache_evictions",
            "Cached blocks given up because their memory was needed.",
            state.evicted_blocks,
        ),
        (
            "preemptions",
            "Running requests that gave their blocks back, to be computed again.",
            statistics.preemptions,
        ),
        (
            "prompt_tokens",
            "Tokens read, of requests that came to their first token.",
            statistics.prompt_tokens,
        ),
        ("generation_tokens", "Tokens written.", statistics.generated_tokens),
        ("steps", "Steps of the engine.", statistics.steps),
        ("step_rows", "Positions computed, of all steps together.", statistics.rows),
        ("step_seconds", "Time that steps took.", statistics.step_s),
        ("forward_seconds", "Time of it that the model's arithmetic took.", statistics.forward_s),
    ):
        yield CounterMetricFamily(f"{PREFIX}{name}", text, value=value)


def _by_reason(statistics: EngineStatistics) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        f"{PREFIX}requests_ended", "Requests that ended, by why.", labels=["reason"]
    )
    for reason, count in sorted(statistics.ends.copy().items()):
        ended.add_metric([reason], count)
    yield ended
    cancelled = CounterMetricFamily(
        f"{PREFIX}cancelled",
        "Requests that their clients gave up, by where they were: queue, prefill or decode.",
        labels=["stage"],
    )
    for stage, count in statistics.cancelled.items():
        cancelled.add_metric([stage], count)
    yield cancelled


def _durations(statistics: EngineStatistics) -> Iterator[Metric]:
    for name, text, histogram in (
        (
            "time_to_first_token_seconds",
            "From a request's arrival at the engine to its first token.",
            statistics.time_to_first_token,
        ),
        (
            "inter_token_latency_seconds",
            "Between one token of a request and the next.",
            statistics.inter_token,
        ),
        (
            "e2e_request_latency_seconds",
            "From a request's arrival at the engine to its end, whatever that was.",
            statistics.request,
        ),
    ):
        yield HistogramMetricFamily(
            f"{PREFIX}{name}", text, buckets=_buckets(histogram), sum_value=histogram.total
        )


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return the counts as Prometheus wants them: each with those of all shorter buckets."""
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts.copy()), strict=True))
