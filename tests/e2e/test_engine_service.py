"""The real engine behind the real service: many streams, leaving clients, deadlines, settings."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from prometheus_client.parser import text_string_to_metric_families

from api.cli.main import main
from llm.model_store import ModelStore
from tests.e2e.conftest import ANSWER_TIMEOUT_S, LiveService
from tests.e2e.test_service import MODEL, QUESTION

pytestmark = [pytest.mark.weights, pytest.mark.slow]

NUM_STREAMS = 64
IDLE_S = 60


@pytest.fixture
def http(live_server: LiveService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.url, timeout=ANSWER_TIMEOUT_S) as client:
        yield client


def until_idle(http: httpx.Client) -> dict[str, Any]:
    end = time.monotonic() + IDLE_S
    state: dict[str, Any] = {}
    while time.monotonic() < end:
        state = http.get("/v1/engine/state").json()
        if state["running"] == state["waiting"] == state["used_blocks"] == 0:
            return state
        time.sleep(0.05)
    return pytest.fail(f"not idle {IDLE_S} s after the last client left: {state}")


async def stream(client: openai.AsyncOpenAI, i: int, patience_s: float | None) -> str:
    """Read one answer, for so long as there is patience; return what became of it."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": f"Write {i} very long stories of the sea."}
    ]
    causerie = {}
    if i % 7 == 0:  # some of those who stay, some of those who leave
        messages = [{"role": "user", "content": QUESTION}]
        causerie = {"collection": "python"}

    async def read() -> str:
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=messages,
            max_tokens=100 if patience_s is None else 4000,
            temperature=1.0,
            seed=i,
            stream=True,
            extra_body={"causerie": causerie},
        )
        reason = "cut"
        async with answer:
            async for chunk in answer:
                if chunk.choices and chunk.choices[0].finish_reason is not None:
                    reason = chunk.choices[0].finish_reason
        return reason

    try:
        async with asyncio.timeout(patience_s):
            return await read()
    except TimeoutError:
        return "left"


def test_of_64_streams_half_leave_at_random_moments_and_no_block_stays_held(
    live_server: LiveService, http: httpx.Client
) -> None:
    before = until_idle(http)["counters"]
    seed = random.Random(64)
    patience = [seed.uniform(0.05, 8.0) if i % 2 else None for i in range(NUM_STREAMS)]

    async def all_at_once() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{live_server.url}/v1",
            api_key="unused",
            max_retries=0,
            timeout=ANSWER_TIMEOUT_S,
        ) as client:
            return await asyncio.gather(
                *(stream(client, i, patience_s) for i, patience_s in enumerate(patience))
            )

    ends = Counter(asyncio.run(all_at_once()))
    assert set(ends) <= {"stop", "length", "left"}, ends
    assert ends["stop"] + ends["length"] >= NUM_STREAMS / 2
    assert ends["left"] >= NUM_STREAMS / 4
    counters = until_idle(http)["counters"]
    assert counters["ends"].get("error", 0) == before["ends"].get("error", 0)
    given_up = sum(counters["cancelled"].values()) - sum(before["cancelled"].values())
    assert given_up >= NUM_STREAMS / 8


def test_a_client_that_waits_for_the_whole_answer_and_leaves_is_noticed(
    http: httpx.Client,
) -> None:
    until_idle(http)
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Write a very long story."}],
        "max_tokens": 4000,
        "temperature": 1.0,
    }
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json=body, timeout=1.0)
    began = time.monotonic()
    until_idle(http)
    assert time.monotonic() - began < 5


def test_a_deadline_holds_and_is_told(live_server: LiveService) -> None:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key="unused") as client:
        began = time.monotonic()
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Write a very long story."}],
            max_tokens=4000,
            temperature=1.0,
            seed=5,
            extra_body={"causerie": {"timeout_s": 1.5, "min_tokens": 4000}},
        )
        assert time.monotonic() - began < 8
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert choice.message.content
    extension = choice.message.causerie  # type: ignore[attr-defined]
    assert extension["finish_reason"] == "deadline"
    assert "deadline of 1.5 s" in extension["notes"][0]


def test_the_same_prompt_again_is_found_in_the_cache(http: httpx.Client) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Describe the colours of a sunset. " * 12}],
        "max_tokens": 3,
    }
    first, second = (http.post("/v1/chat/completions", json=body).json() for _ in range(2))
    details = [answer["usage"]["prompt_tokens_details"] for answer in (first, second)]
    assert details[0]["cached_tokens"] < details[1]["cached_tokens"]
    assert first["system_fingerprint"] == second["system_fingerprint"]
    assert first["system_fingerprint"].endswith(("_strict", "_fast"))


def test_the_state_and_the_metrics_agree(
    live_server: LiveService,
    http: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = until_idle(http)
    metrics = {
        sample.name: sample.value
        for family in text_string_to_metric_families(http.get("/metrics").text)
        for sample in family.samples
    }
    counters = state["counters"]
    assert metrics["causerie_generation_tokens_total"] == counters["generated_tokens"]
    assert metrics["causerie_prefix_cache_hits_total"] == state["prefix_hit_tokens"]
    assert metrics["causerie_num_requests_running"] == 0
    monkeypatch.setenv("CAUSERIE_STATE", str(live_server.state))
    with pytest.raises(SystemExit) as ended:
        main(["engine", "state", "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == state["fingerprint"]


def test_the_start_says_what_computes(live_server: LiveService, http: httpx.Client) -> None:
    kernels = http.get("/v1/engine/state").json()["kernels"]
    said = live_server.log().splitlines()
    line = next(line for line in said if line.startswith("The decoder runs as "))
    assert kernels.removesuffix("-row-by-row") in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threads": "1024"}, "CAUSERIE_THREADS must be in"),
        (
            {"context_size": "8192", "cache_tokens": "4096"},
            "CAUSERIE_CACHE_TOKENS 4096 cannot hold one context of 8192 tokens",
        ),
        ({"cache_tokens": "1000000000000"}, "and this machine has"),
        ({"kernels": "warp"}, "CAUSERIE_KERNELS 'warp' cannot run here"),
    ],
)
def test_settings_that_cannot_work_end_the_start_with_one_sentence(
    models: ModelStore, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    code, said = LiveService(models.home, tmp_path / "own" / "state", **settings).fails()
    assert code == 1
    (line,) = (line for line in said.splitlines() if "error: " in line)
    assert words in line
    assert "Traceback" not in said


def test_a_message_longer_than_the_context_rolls_where_it_may(http: httpx.Client) -> None:
    context_size = http.get("/v1/engine/state").json()["context_size"]
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "The sea is wide. " * (context_size // 4)}],
        "max_tokens": 8,
    }
    refused = http.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    answer = http.post("/v1/chat/completions", json={**body, "causerie": {"overflow": "roll"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] > context_size
    extension = answer.json()["choices"][0]["message"]["causerie"]
    assert extension["left_window"] > 0
    assert f"{extension['left_window']} tokens have left" in extension["notes"][0]
    until_idle(http)
