import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.application import Application
from api.metrics import registry_of
from llm.engine_statistics import EngineState, EngineStatistics
from tests.api.conftest import local_client
from tests.api.test_engine_state import STATE
from tests.api.tiny_service import HELLO, becomes_idle, tiny_service
from tools.call_counts import UNKNOWN, CallCounts
from tools.result import ResultKind

NAMES = {
    "num_requests_running": "gauge",
    "num_requests_waiting": "gauge",
    "kv_cache_usage_ratio": "gauge",
    "prefix_cache_queries": "counter",
    "prefix_cache_hits": "counter",
    "prefix_cache_evictions": "counter",
    "preemptions": "counter",
    "prompt_tokens": "counter",
    "generation_tokens": "counter",
    "steps": "counter",
    "step_rows": "counter",
    "step_seconds": "counter",
    "forward_seconds": "counter",
    "requests_ended": "counter",
    "cancelled": "counter",
    "tool_calls": "counter",
    "time_to_first_token_seconds": "histogram",
    "inter_token_latency_seconds": "histogram",
    "e2e_request_latency_seconds": "histogram",
    "engine_info": "gauge",
}


class StandingEngine:
    """An engine that tells what it is told to."""

    def __init__(self, state: EngineState = STATE) -> None:
        self.statistics = EngineStatistics()
        self._state = state

    def state(self) -> EngineState:
        return self._state


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Application]:
    with tiny_service(tmp_path / "tiny") as built:
        yield built


@pytest.fixture
def tiny(service: Application) -> Iterator[TestClient]:
    with local_client(service) as opened:
        yield opened


def scraped(client: TestClient) -> dict[str, Metric]:
    response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def value_of(families: dict[str, Metric], name: str, **labels: str) -> float:
    (value,) = (
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return value


def test_each_metric_has_its_name_and_kind_and_says_what_it_is(tiny: TestClient) -> None:
    families = scraped(tiny)
    ours = {name: family for name, family in families.items() if name.startswith("causerie_")}
    assert {name.removeprefix("causerie_"): f.type for name, f in ours.items()} == NAMES
    assert all(family.documentation.endswith(".") for family in ours.values())
    assert all(name.startswith(("causerie_", "process_")) for name in families)


def test_what_was_answered_is_counted(service: Application, tiny: TestClient) -> None:
    for _ in range(3):
        tiny.post("/v1/chat/completions", json={**HELLO, "max_tokens": 5})
    assert becomes_idle(service)
    families = scraped(tiny)
    assert value_of(families, "causerie_generation_tokens_total") == 15
    assert value_of(families, "causerie_requests_ended_total", reason="length") == 3
    assert value_of(families, "causerie_time_to_first_token_seconds_count") == 3
    assert value_of(families, "causerie_inter_token_latency_seconds_count") == 12
    assert value_of(families, "causerie_e2e_request_latency_seconds_count") == 3
    assert value_of(families, "causerie_num_requests_running") == 0
    for stage in ("queue", "prefill", "decode"):
        assert value_of(families, "causerie_cancelled_total", stage=stage) == 0


def test_nothing_that_a_user_wrote_is_in_the_metrics(tiny: TestClient) -> None:
    asked = {**HELLO, "messages": [{"role": "user", "content": "xyzzy"}], "user": "plugh"}
    tiny.post("/v1/chat/completions", json=asked)
    text = tiny.get("/metrics").text
    assert "xyzzy" not in text
    assert "plugh" not in text


def test_two_applications_in_one_process_count_apart(tmp_path: Path) -> None:
    with (
        tiny_service(tmp_path / "one") as one,
        tiny_service(tmp_path / "two") as two,
        local_client(one) as first,
        local_client(two) as second,
    ):
        first.post("/v1/chat/completions", json={**HELLO, "max_tokens": 5})
        assert value_of(scraped(first), "causerie_generation_tokens_total") == 5
        assert value_of(scraped(second), "causerie_generation_tokens_total") == 0


def test_the_state_is_read_when_it_is_asked_for() -> None:
    engine = StandingEngine()
    registry = registry_of(engine, CallCounts())
    assert registry.get_sample_value("causerie_num_requests_waiting") == 5
    assert registry.get_sample_value("causerie_kv_cache_usage_ratio") == 2 / 7
    assert registry.get_sample_value("causerie_preemptions_total") == 0
    engine.statistics.count_step(rows=5, preempted=2, forward_s=0.75, total_s=1.0)
    assert registry.get_sample_value("causerie_preemptions_total") == 2
    labels = {
        "kernels": "portable",
        "determinism": "strict",
        "fingerprint": "portable-0123",
        "threads": "2",
    }
    assert registry.get_sample_value("causerie_engine_info", labels) == 1


def test_calls_of_tools_are_counted_by_tool_and_outcome() -> None:
    calls = CallCounts()
    registry = registry_of(StandingEngine(), calls)
    for tool, outcome in (
        ("clock", ResultKind.OK),
        ("clock", ResultKind.OK),
        ("clock", ResultKind.TIMEOUT),
        (UNKNOWN, ResultKind.UNKNOWN_TOOL),
    ):
        calls.count(tool, outcome)
    for tool, kind, count in (
        ("clock", "ok", 2),
        ("clock", "timeout", 1),
        ("(unknown)", "unknown_tool", 1),
        ("clock", "denied", None),
    ):
        labels = {"tool": tool, "outcome": kind}
        assert registry.get_sample_value("causerie_tool_calls_total", labels) == count


@given(st.lists(st.floats(min_value=0, max_value=1e4)))
def test_buckets_grow_and_the_last_holds_all(seconds: list[float]) -> None:
    engine = StandingEngine()
    for duration in seconds:
        engine.statistics.request.observe(duration)
    registry = registry_of(engine, CallCounts())
    name = "causerie_e2e_request_latency_seconds"
    (family,) = (family for family in registry.collect() if family.name == name)
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }
    assert all(lower <= upper for lower, upper in pairwise(buckets.values()))
    for bound, count in buckets.items():
        assert count == sum(duration <= bound for duration in seconds)
    assert buckets[math.inf] == len(seconds)
    total = registry.get_sample_value(f"{name}_sum")
    assert total == pytest.approx(math.fsum(seconds))


def test_each_metric_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for name, kind in NAMES.items():
        shown = f"causerie_{name}_total" if kind == "counter" else f"causerie_{name}"
        assert f"`{shown}" in text
