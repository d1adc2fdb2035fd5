import json
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.testing import ScriptedAgent, read_events
from llm.errors import ContextOverflowError, EngineBusyError
from rag.document import Document, sha256_hex

CHAT = "/v1/chat/completions"
HELLO = {"model": "scripted", "messages": [{"role": "user", "content": "Hello?"}]}


def index_one(application: Application, collection: str = "docs") -> None:
    text = "A closure keeps the names of the scope it was made in."
    application.ingestor.ingest_documents(
        [
            Document(
                uri="scope.txt",
                title="Scope",
                text=text,
                media_type="text/plain",
                source_sha256=sha256_hex(text.encode()),
            )
        ],
        collection,
    )


def error_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["x-request-id"]
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def chunks_of(client: TestClient, **more: Any) -> list[Any]:
    response = client.post(CHAT, json={**HELLO, "stream": True, **more})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    return read_events(response.text)


def test_a_plain_answer_has_the_shape_of_the_openai_api(client: TestClient) -> None:
    body = client.post(CHAT, json=HELLO).json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "scripted"
    assert body["system_fingerprint"].startswith("fp_")
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "It is so."
    assert body["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_the_extension_of_an_answer_holds_seed_timings_and_notes(client: TestClient) -> None:
    body = client.post(CHAT, json={**HELLO, "seed": 11}).json()
    assert body["choices"][0]["message"]["causerie"] == {
        "citations": [],
        "abstained": False,
        "dropped_turns": 0,
        "left_window": 0,
        "finish_reason": "stop",
        "notes": [],
        "conversation": None,
        "seed": 11,
        "timings": {
            "retrieval_s": 0.25,
            "prefill_s": 0.5,
            "decode_s": 0.5,
            "total_s": 1.5,
            "tokens_per_s": 6.0,
        },
    }


def test_an_answer_from_a_collection_carries_its_citations(
    client: TestClient, application: Application
) -> None:
    index_one(application)
    asked = {**HELLO, "causerie": {"collection": "docs"}}
    body = client.post(CHAT, json=asked).json()
    (citation,) = body["choices"][0]["message"]["causerie"]["citations"]
    assert citation["uri"] == "scope.txt"
    assert citation["quote"].startswith("A closure")
    assert set(citation) == {
        "id",
        "collection",
        "document_id",
        "title",
        "uri",
        "start",
        "end",
        "quote",
        "score",
        "text_sha256",
    }
    asked["causerie"] = {"collection": "docs", "citations": False}
    body = client.post(CHAT, json=asked).json()
    assert body["choices"][0]["message"]["causerie"]["citations"] == []


def test_a_stream_is_role_then_text_then_finish_then_done(client: TestClient) -> None:
    *chunks, done = chunks_of(client)
    assert done == "[DONE]"
    assert len({(c["id"], c["created"], c["model"], c["system_fingerprint"]) for c in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta["content"] for delta in deltas[1:-1]] == ["It", " is", " so."]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, None, "stop"]
    assert deltas[-1]["causerie"] == chunks[-1]["causerie"]
    assert "usage" not in chunks[-1]


def test_usage_comes_in_a_last_chunk_when_asked_for(client: TestClient) -> None:
    *chunks, _ = chunks_of(client, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 8


def test_the_evidence_comes_before_the_first_text(
    client: TestClient, application: Application
) -> None:
    index_one(application)
    chunks = chunks_of(client, causerie={"collection": "docs"})
    (passage,) = chunks[1]["causerie"]["evidence"]
    assert chunks[1]["choices"][0]["delta"] == {}
    assert set(passage) == {
        "rank",
        "score",
        "collection",
        "document_id",
        "title",
        "uri",
        "start",
        "end",
        "text",
    }


def test_parameters_reach_the_turn(client: TestClient, agent: ScriptedAgent) -> None:
    sent = {
        "model": "scripted",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One "}]},
            {"role": "assistant", "content": "Two", "refusal": None, "causerie": {"seed": 1}},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Th"}, {"type": "text", "text": "ree"}],
            },
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "max_completion_tokens": 17,
        "stop": "\n",
        "causerie": {
            "top_k": 5,
            "min_p": 0.1,
            "repetition_penalty": 1.2,
            "typical_p": 0.9,
            "min_tokens": 2,
            "banned_strings": ["foo"],
            "stop_regex": ["[0-9]{3}"],
        },
        "user": "ada",
        "metadata": {"a": "b"},
        "n": 1,
        "tools": [],
        "response_format": {"type": "text"},
        "frequency_penalty": 0.5,
        "presence_penalty": -1,
        "logit_bias": {"7": 1.5, "5": -100},
        "logprobs": False,
        "modalities": ["text"],
    }
    assert client.post(CHAT, json=sent).status_code == 200
    (turn,) = agent.requests
    assert [(m.role, m.content) for m in turn.messages] == [
        ("system", "Be brief."),
        ("user", "One "),
        ("assistant", "Two"),
        ("user", "Three"),
    ]
    params = turn.params
    assert (params.temperature, params.top_p, params.seed) == (0.5, 0.9, 3)
    assert (params.max_tokens, params.stop) == (17, ("\n",))
    assert (params.top_k, params.min_p) == (5, 0.1)
    assert (params.frequency_penalty, params.presence_penalty) == (0.5, -1)
    assert params.logit_bias == ((5, -100.0), (7, 1.5))
    assert (params.repetition_penalty, params.typical_p, params.min_tokens) == (1.2, 0.9, 2)
    assert (params.banned_strings, params.stop_regex) == (("foo",), ("[0-9]{3}",))
    assert turn.collection is None


def test_the_settings_bound_an_answer_that_names_no_length(
    client: TestClient, agent: ScriptedAgent, application: Application
) -> None:
    client.post(CHAT, json={**HELLO, "stop": ["a", "b"]})
    assert agent.requests[0].params.max_tokens == application.settings.max_tokens
    assert agent.requests[0].params.stop == ("a", "b")


UNSUPPORTED: list[tuple[str, Any]] = [
    ("functions", [{"name": "f"}]),
    ("function_call", {"name": "f"}),
    ("modalities", ["text", "audio"]),
    ("audio", {"voice": "x"}),
    ("web_search_options", {}),
    ("moderation", {"model": "m"}),
]


@pytest.mark.parametrize(("name", "value"), UNSUPPORTED)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(
    client: TestClient, name: str, value: Any
) -> None:
    error = error_of(client.post(CHAT, json={**HELLO, name: value}), 400)
    assert error["param"] == name
    assert error["type"] == "invalid_request_error"
    assert name in error["message"]
    assert "not supported" in error["message"]


BAD: list[tuple[dict[str, Any], str | None, str]] = [
    ({"temperature": 11}, "temperature", "must be in"),
    ({"temperature": "hot"}, "temperature", "valid number"),
    ({"top_p": 0}, "top_p", "must be in"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"seed": 2**70}, "seed", "64 bits"),
    ({"stop": [""]}, "stop", "must not be empty"),
    ({"stop": ["x"] * 17}, "stop", "at most 16"),
    ({"stop": [1]}, "stop[0]", "valid string"),
    ({"messages": []}, "messages", "at least 1"),
    ({"messages": [{"role": "user", "content": "  "}]}, "messages", "empty"),
    ({"messages": [{"role": "assistant", "content": "Hi"}]}, "messages", "user"),
    ({"messages": [{"role": "function", "content": "Hi"}]}, "messages[0].role", "'tool'"),
    ({"messages": [{"role": "tool", "content": "Hi"}]}, "messages[0]", "tool_call_id belongs"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "required"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content",
        "not supported",
    ),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "surrogate"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "stream"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens", "contradict"),
    ({"temprature": 1}, "temprature", "unknown parameter"),
    ({"causerie": {"colection": "x"}}, "causerie.colection", "unknown parameter"),
    ({"causerie": {"min_p": 2}}, "causerie.min_p", "must be in"),
    ({"frequency_penalty": 9}, "frequency_penalty", "must be in"),
    ({"causerie": {"typical_p": 0}}, "causerie.typical_p", "must be in"),
    ({"causerie": {"stop_regex": ["("]}}, "causerie.stop_regex", ""),
    ({"causerie": {"top_k": -1}}, "causerie.top_k", "greater"),
    ({"causerie": {"conversation": "c"}, "messages": HELLO["messages"] * 2}, "messages", "history"),  # type: ignore[operator]
]


@pytest.mark.parametrize(("more", "param", "words"), BAD)
def test_a_bad_value_is_a_400_that_names_the_parameter(
    client: TestClient, more: dict[str, Any], param: str | None, words: str
) -> None:
    response = client.post(
        CHAT,
        content=json.dumps({**HELLO, **more}),
        headers={"content-type": "application/json"},
    )
    error = error_of(response, 400)
    assert error["param"] == param
    assert words in error["message"]


def test_an_unknown_model_is_named_with_those_there_are(client: TestClient) -> None:
    error = error_of(client.post(CHAT, json={**HELLO, "model": "gpt-4"}), 404)
    assert error["code"] == "model_not_found"
    assert "'gpt-4'" in error["message"]
    assert "'scripted'" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_collection_is_named_with_those_there_are(
    client: TestClient, application: Application, stream: bool
) -> None:
    index_one(application)
    asked = {**HELLO, "stream": stream, "causerie": {"collection": "nope"}}
    error = error_of(client.post(CHAT, json=asked), 404)
    assert error["code"] == "collection_not_found"
    assert "'nope'" in error["message"]
    assert "'docs'" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ContextOverflowError(num_tokens=5000, limit=4096), 400, "context_length_exceeded"),
        (EngineBusyError("8 requests are being answered; try again"), 503, "engine_busy"),
        (RuntimeError("secret detail"), 500, "internal_error"),
    ],
)
def test_what_fails_before_the_first_word_has_a_status_of_its_own(
    client: TestClient,
    application: Application,
    agent: ScriptedAgent,
    stream: bool,
    error: Exception,
    status: int,
    code: str,
) -> None:
    """Also behind the evidence, which a stream would otherwise have begun with."""
    index_one(application)
    agent.error = error
    asked = {**HELLO, "stream": stream, "causerie": {"collection": "docs"}}
    response = client.post(CHAT, json=asked)
    found = error_of(response, status)
    assert found["code"] == code
    assert "secret" not in found["message"]
    if status == 503:
        assert response.headers["retry-after"] == "1"
    if status == 400:
        assert "904 more than" in found["message"]


def test_what_fails_in_the_middle_of_a_stream_ends_it_without_done(
    client: TestClient, agent: ScriptedAgent
) -> None:
    agent.error = RuntimeError("secret detail")
    agent.num_words_before_error = 2
    chunks = chunks_of(client)
    assert chunks[-1]["error"]["code"] == "internal_error"
    assert "secret" not in chunks[-1]["error"]["message"]
    assert chunks[-2]["choices"][0]["delta"]["content"] == " is"


def test_a_conversation_holds_history_and_collection(
    client: TestClient, application: Application, agent: ScriptedAgent
) -> None:
    index_one(application)
    made = client.post("/v1/conversations", json={"collection": "docs"}).json()
    asked = {**HELLO, "causerie": {"conversation": made["id"]}}
    body = client.post(CHAT, json=asked).json()
    extension = body["choices"][0]["message"]["causerie"]
    assert extension["conversation"] == made["id"]
    assert len(extension["citations"]) == 1

    other = {"conversation": made["id"], "collection": "other"}
    error = error_of(client.post(CHAT, json={**HELLO, "causerie": other}), 400)
    assert error["param"] == "causerie.collection"
    same = {"conversation": made["id"], "collection": "docs"}
    assert client.post(CHAT, json={**HELLO, "causerie": same}).status_code == 200

    error = error_of(client.post(CHAT, json={**HELLO, "causerie": {"conversation": "conv_x"}}), 404)
    assert error["code"] == "conversation_not_found"


def test_while_a_chat_is_answered_background_work_waits(
    client: TestClient, application: Application, agent: ScriptedAgent
) -> None:
    agent.delay_s = 0.1
    busy: list[int] = []
    timer = threading.Timer(0.15, lambda: busy.append(application.foreground.num_busy))
    timer.start()
    client.post(CHAT, json=HELLO)
    timer.join()
    assert busy == [1]
    application.foreground.wait_idle()
    assert application.foreground.num_busy == 0
