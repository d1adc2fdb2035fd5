import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import bootstrap
from api.application import Application
from api.engine_report import EngineStateModel
from api.settings import load_settings
from api.state_lock import held
from llm.engine_statistics import EngineLimits, EngineState, EngineStatistics
from tests.api.conftest import local_client, serving
from tests.api.test_cli import run
from tests.api.test_completions import error_of
from tests.api.tiny_service import HELLO, becomes_idle, tiny_service

STATE = EngineState(
    running=3,
    waiting=5,
    num_blocks=7,
    used_blocks=2,
    cached_blocks=4,
    block_size=16,
    prefix_queried_tokens=0,
    prefix_hit_tokens=0,
    evicted_blocks=1,
    kernels="portable",
    threads=2,
    determinism="strict",
    fingerprint="portable-0123",
    context_size=112,
    limits=EngineLimits(max_rows=11, max_running=13, max_waiting=17),
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Application]:
    with tiny_service(tmp_path / "tiny") as built:
        yield built


@pytest.fixture
def tiny(service: Application) -> Iterator[TestClient]:
    with local_client(service) as opened:
        yield opened


def state_of(client: TestClient) -> dict[str, Any]:
    response = client.get("/v1/engine/state")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_everything_the_engine_tells_of_itself_is_shown(tiny: TestClient) -> None:
    found = state_of(tiny)
    assert {field.name for field in fields(EngineState)} <= set(found)
    assert {field.name for field in fields(EngineLimits)} == set(found["limits"])
    assert found["object"] == "engine.state"
    assert found["model"] == "tiny"


def test_what_was_answered_is_counted(service: Application, tiny: TestClient) -> None:
    before = state_of(tiny)["counters"]
    assert (before["steps"], before["ends"], before["prefix_hit_rate"]) == (0, {}, None)
    assert before["overhead_share"] is before["mean_inter_token_s"] is None
    told = {"role": "user", "content": "Tell me a story about the wind. " * 3}
    asked = {**HELLO, "messages": [told], "max_tokens": 7}
    assert tiny.post("/v1/chat/completions", json=asked).status_code == 200
    answer = tiny.post("/v1/chat/completions", json=asked)
    assert becomes_idle(service)
    found = state_of(tiny)
    counters = found["counters"]
    usage = answer.json()["usage"]
    assert counters["prompt_tokens"] == 2 * usage["prompt_tokens"]
    assert counters["generated_tokens"] == sum(counters["ends"].values()) * 7
    assert counters["ends"] == {"length": 2}
    assert counters["cancelled"] == {"queue": 0, "prefill": 0, "decode": 0}
    assert found["prefix_queried_tokens"] == 2 * usage["prompt_tokens"]
    hit = usage["prompt_tokens_details"]["cached_tokens"]
    assert 0 < hit == found["prefix_hit_tokens"]
    assert counters["prefix_hit_rate"] == round(hit / found["prefix_queried_tokens"], 4)
    assert 0 < counters["overhead_share"] < 1
    assert counters["mean_time_to_first_token_s"] > 0
    assert (found["running"], found["waiting"], found["used_blocks"]) == (0, 0, 0)


def test_shares_and_means_of_nothing_are_null_and_others_are_shares() -> None:
    statistics = EngineStatistics()
    empty = EngineStateModel.from_engine("m", STATE, statistics).counters
    assert empty.prefix_hit_rate is empty.overhead_share is None
    assert empty.mean_time_to_first_token_s is empty.mean_inter_token_s is None
    statistics.count_step(rows=5, preempted=1, forward_s=0.75, total_s=1.0)
    statistics.inter_token.observe(0.25)
    statistics.inter_token.observe(0.75)
    shown = EngineStateModel.from_engine("m", STATE, statistics)
    assert shown.kv_usage == round(2 / 7, 4)
    assert shown.counters.overhead_share == 0.25
    assert shown.counters.mean_inter_token_s == 0.5


@pytest.mark.parametrize("path", ["/v1/engine/state", "/metrics"])
def test_a_service_without_an_engine_says_so(client: TestClient, path: str) -> None:
    assert error_of(client.get(path), 404)["code"] == "no_engine"


@pytest.mark.parametrize("path", ["/v1/engine/state", "/metrics"])
def test_the_engine_is_told_of_to_those_who_have_a_key(tmp_path: Path, path: str) -> None:
    with (
        tiny_service(tmp_path / "keys", api_keys=("right-key-1",)) as built,
        local_client(built) as client,
    ):
        assert error_of(client.get(path), 401)["code"] == "invalid_api_key"
        key = {"authorization": "Bearer right-key-1"}
        assert client.get(path, headers=key).status_code == 200
        foreign = {**key, "origin": "https://elsewhere.example"}
        assert error_of(client.get(path, headers=foreign), 403)["code"] == "origin_not_allowed"


@pytest.fixture
def nothing_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded here")

    monkeypatch.setattr(bootstrap, "build", fail)
    monkeypatch.setattr(bootstrap, "prepare_models", fail)


@pytest.mark.usefixtures("nothing_loads")
def test_the_terminal_tells_the_state_of_the_running_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = load_settings().state
    with (
        tiny_service(state) as built,
        serving(built) as live,
        held(state, live.address),
    ):
        assert run("engine", "state", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["object"] == "engine.state"
        assert run("engine", "state") == 0
        said = capsys.readouterr().out
    assert "0 running of at most 64" in said
    assert found["fingerprint"] in said
    assert "none yet" in said


@pytest.mark.usefixtures("nothing_loads")
def test_without_a_running_server_the_terminal_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("engine", "state") == 1
    assert "python -m api serve" in capsys.readouterr().err
