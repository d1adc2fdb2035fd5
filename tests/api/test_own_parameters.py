"""What `causerie.overflow` and `causerie.timeout_s` do, over a real engine, seen by the SDK."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from starlette.testclient import TestClient

from api.application import Application
from api.system_fingerprint import system_fingerprint
from api.testing import ScriptedAgent
from llm.engine_statistics import EngineState
from tests.api.conftest import LiveServer, local_client, serving
from tests.api.test_completions import CHAT, error_of
from tests.api.test_completions import HELLO as HELLO_SCRIPTED
from tests.api.test_engine_state import STATE
from tests.api.test_metrics import StandingEngine
from tests.api.tiny_service import ENDLESS, HELLO, MODEL, becomes_idle, tiny_service

LONG_MESSAGE = "word and word " * 100  # far more than the 128 tokens of the tiny model


@pytest.fixture
def live_tiny(tmp_path: Path) -> Iterator[LiveServer]:
    with tiny_service(tmp_path / "tiny", delay_s=0.02) as built, serving(built) as live:
        yield live


@pytest.fixture
def sdk(live_tiny: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{live_tiny.address}/v1",
        api_key="unused",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def asked(sdk: openai.OpenAI, *contents: str, max_tokens: int = 5, **own: Any) -> ChatCompletion:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "assistant", "content": content} if i % 2 else {"role": "user", "content": content}
        for i, content in enumerate(contents)
    ]
    return sdk.chat.completions.create(
        model=MODEL,
        messages=messages,
        max_tokens=max_tokens,
        temperature=1.0,
        seed=1,
        extra_body={"causerie": own},
    )


def extension_of(completion: ChatCompletion) -> dict[str, Any]:
    extension: dict[str, Any] = completion.choices[0].message.causerie  # type: ignore[attr-defined]
    return extension


def test_the_parameters_reach_the_turn(client: TestClient, agent: ScriptedAgent) -> None:
    own = {"overflow": "roll", "timeout_s": 2.5}
    assert client.post(CHAT, json={**HELLO_SCRIPTED, "causerie": own}).status_code == 200
    assert client.post(CHAT, json=HELLO_SCRIPTED).status_code == 200
    given, default = (turn.params for turn in agent.requests)
    assert (given.overflow, given.timeout_s) == ("roll", 2.5)
    assert (default.overflow, default.timeout_s) == ("error", None)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overflow", "spin", "'error' or 'roll'"),
        ("timeout_s", 0, "> 0 seconds"),
        ("timeout_s", -1.5, "> 0 seconds"),
        ("timeout_s", "soon", "valid number"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(
    client: TestClient, name: str, value: object, words: str
) -> None:
    response = client.post(CHAT, json={**HELLO_SCRIPTED, "causerie": {name: value}})
    error = error_of(response, 400)
    assert error["param"] == f"causerie.{name}"
    assert error["message"].startswith(f"causerie.{name}")
    assert words in error["message"]


def test_a_time_that_is_no_number_is_refused(client: TestClient) -> None:
    body = (
        '{"model": "scripted", "messages": [{"role": "user", "content": "Hello?"}],'
        ' "causerie": {"timeout_s": NaN}}'
    )
    response = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert error_of(response, 400)["param"] == "causerie.timeout_s"


def test_a_deadline_ends_the_answer_with_what_there_is(
    sdk: openai.OpenAI, live_tiny: LiveServer
) -> None:
    completion = asked(sdk, "Hello.", max_tokens=90, timeout_s=0.3)
    (choice,) = completion.choices
    assert choice.finish_reason == "length"
    assert choice.message.content
    assert completion.usage is not None
    assert 0 < completion.usage.completion_tokens < 90
    extension = extension_of(completion)
    assert extension["finish_reason"] == "deadline"
    assert extension["notes"] == ["The deadline of 0.3 s passed: the answer stops here."]
    assert becomes_idle(live_tiny.application)


def test_a_stream_s_deadline_comes_as_length_too(sdk: openai.OpenAI) -> None:
    *_, last = sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Hello."}],
        stream=True,
        extra_body={"causerie": {"timeout_s": 0.3}},
        max_tokens=90,
        temperature=1.0,
        seed=1,
    )
    assert last.choices[0].finish_reason == "length"
    assert last.causerie["finish_reason"] == "deadline"  # type: ignore[attr-defined]
    assert "deadline" in last.causerie["notes"][0]  # type: ignore[attr-defined]


def test_a_message_longer_than_the_context_is_refused_unless_it_may_roll(
    sdk: openai.OpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        asked(sdk, LONG_MESSAGE)
    assert refused.value.code == "context_length_exceeded"
    completion = asked(sdk, LONG_MESSAGE, overflow="roll")
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 128
    assert completion.usage.completion_tokens == 5
    extension = extension_of(completion)
    assert extension["left_window"] > 0
    assert f"{extension['left_window']} tokens have left" in extension["notes"][0]


def test_an_answer_may_roll_on_past_the_context(sdk: openai.OpenAI) -> None:
    bounded = asked(sdk, "Hello.", max_tokens=200)
    rolled = asked(sdk, "Hello.", max_tokens=200, overflow="roll")
    assert bounded.usage is not None
    assert rolled.usage is not None
    assert bounded.usage.total_tokens <= 128
    assert rolled.usage.completion_tokens == 200
    assert extension_of(bounded)["left_window"] == 0
    assert extension_of(rolled)["left_window"] == rolled.usage.total_tokens - 1 - 128


def test_a_long_conversation_goes_on_and_says_what_left_it(sdk: openai.OpenAI) -> None:
    contents = ["Hello, how do you do?"]
    dropped = []
    for _ in range(8):
        completion = asked(sdk, *contents)
        extension = extension_of(completion)
        dropped.append(extension["dropped_turns"])
        notes = [note for note in extension["notes"] if "left the window" in note]
        assert bool(notes) == (extension["dropped_turns"] > 0)
        contents += [completion.choices[0].message.content or "", "And what did you say then?"]
    assert dropped[0] == 0
    assert dropped[-1] > 0
    assert dropped == sorted(dropped)


def test_usage_says_how_much_of_the_prompt_was_known(sdk: openai.OpenAI) -> None:
    first, second = (asked(sdk, "Tell me of the wind and the sea, please.") for _ in range(2))
    for completion, is_known in ((first, False), (second, True)):
        assert completion.usage is not None
        details = completion.usage.prompt_tokens_details
        assert details is not None
        assert details.cached_tokens is not None
        assert (details.cached_tokens > 0) == is_known
        assert details.cached_tokens < completion.usage.prompt_tokens
    assert first.choices[0].message.content == second.choices[0].message.content


def test_no_key_finds_what_was_computed_for_another(tmp_path: Path) -> None:
    """Else the time to the first token would tell what others asked; the words are the same."""
    keys = ("ada-key-1", "bob-key-2", "admin-key-3")
    asked_of_all = {
        **HELLO,
        "messages": [{"role": "user", "content": "Is the moon made of cheese, do you think?"}],
        **ENDLESS,
        "max_tokens": 6,
    }
    with (
        tiny_service(tmp_path / "keys", api_keys=keys[:2], admin_key=keys[2]) as built,
        local_client(built) as client,
    ):
        cached: dict[str, list[int]] = {}
        texts = set()
        for key in (*keys, *keys):
            headers = {"authorization": f"Bearer {key}"}
            body = client.post(CHAT, json=asked_of_all, headers=headers).json()
            details = body["usage"]["prompt_tokens_details"]
            cached.setdefault(key, []).append(details["cached_tokens"])
            texts.add(body["choices"][0]["message"]["content"])
    for first, second in cached.values():
        assert first == 0
        assert second > 0
    assert len(texts) == 1


def fingerprint_with(application: Application, **changes: object) -> str:
    state: EngineState = replace(STATE, **changes)  # type: ignore[arg-type]
    return system_fingerprint(replace(application, engine=StandingEngine(state)))


def test_the_fingerprint_changes_with_what_computes_and_names_the_mode(
    application: Application,
) -> None:
    names = {
        system_fingerprint(application),
        fingerprint_with(application),
        fingerprint_with(application, kernels="avx2"),
        fingerprint_with(application, fingerprint="torch-float32-0123"),
        fingerprint_with(application, determinism="fast"),
        fingerprint_with(application, context_size=64),
    }
    assert len(names) == 6
    assert fingerprint_with(application).endswith("_strict")
    assert fingerprint_with(application, determinism="fast").endswith("_fast")
    assert fingerprint_with(application) == fingerprint_with(application, running=9, waiting=9)


def test_answers_bear_the_fingerprint(live_tiny: LiveServer, sdk: openai.OpenAI) -> None:
    expected = system_fingerprint(live_tiny.application)
    assert asked(sdk, "Hello.").system_fingerprint == expected
    assert expected.startswith("fp_")
