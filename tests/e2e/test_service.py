"""The real service from outside: the official client, citations to the byte, restarts, cancels."""

import signal
import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.e2e.conftest import ANSWER_TIMEOUT_S, LiveService

pytestmark = [pytest.mark.weights, pytest.mark.slow]

MODEL = "smollm2-135m-instruct"
QUESTION = "How are default parameter values evaluated?"


@pytest.fixture
def http(live_server: LiveService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server.url, timeout=ANSWER_TIMEOUT_S) as client:
        yield client


def new_conversation(http: httpx.Client) -> str:
    made = http.post("/v1/conversations", json={"collection": "python"})
    assert made.status_code == 201
    return str(made.json()["id"])


def ask(http: httpx.Client, conversation: str, question: str) -> dict[str, object]:
    answer = http.post(
        "/v1/chat/completions",
        json={
            "model": MODEL,
            "messages": [{"role": "user", "content": question}],
            "causerie": {"conversation": conversation},
        },
    )
    assert answer.status_code == 200, answer.text
    message: dict[str, object] = answer.json()["choices"][0]["message"]
    return message


def test_the_official_client_streams_a_cited_answer(live_server: LiveService) -> None:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key="unused") as client:
        chunks = list(
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
                extra_body={"causerie": {"collection": "python"}},
            )
        )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "left to right when the function definition is executed" in text
    end = chunks[-1].model_dump()["causerie"]
    assert end["citations"][0]["uri"] == "python/topics/function"
    assert end["abstained"] is False


def test_a_citation_is_the_bytes_it_says(http: httpx.Client) -> None:
    message = ask(http, new_conversation(http), QUESTION)
    for citation in message["causerie"]["citations"]:  # type: ignore[index]
        path = f"/v1/collections/{citation['collection']}/documents/{citation['document_id']}"
        document = http.get(path).json()
        source = document["text"].encode()
        assert source[citation["start"] : citation["end"]].decode() == citation["quote"]
        span = {"start": citation["start"], "end": citation["end"]}
        passage = http.get(f"{path}/passage", params=span).json()
        assert passage["text"] == citation["quote"]
        assert passage["text_sha256"] == citation["text_sha256"]


def test_what_the_corpus_does_not_hold_is_told(http: httpx.Client) -> None:
    message = ask(http, new_conversation(http), "Who won the football world cup?")
    assert message["causerie"]["abstained"] is True  # type: ignore[index]
    assert "found nothing" in str(message["content"])


def test_plain_chat_with_a_seed_is_the_same_twice(live_server: LiveService) -> None:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key="unused") as client:
        texts = {
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Name a colour."}],
                temperature=0.8,
                seed=11,
                max_tokens=12,
            )
            .choices[0]
            .message.content
            for _ in range(2)
        }
    assert len(texts) == 1


def test_a_client_that_leaves_stops_the_generation(http: httpx.Client) -> None:
    """The slot of an abandoned stream is free again at once, not after 4,000 tokens."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Write a very long story."}],
        "max_tokens": 4000,
        "temperature": 1.0,
        "stream": True,
    }
    for _ in range(12):  # more than are served at a time
        with http.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            next(answer.iter_text())
        time.sleep(0.3)


def test_conversations_survive_a_kill_and_nothing_is_indexed_again(
    live_server: LiveService, http: httpx.Client
) -> None:
    conversation = new_conversation(http)
    said = ask(http, conversation, QUESTION)["content"]
    chunks = http.get("/v1/collections/python").json()["num_chunks"]
    live_server.end(signal.SIGKILL)
    assert live_server.start() < 60
    with httpx.Client(base_url=live_server.url, timeout=ANSWER_TIMEOUT_S) as again:
        assert again.get("/v1/collections/python").json()["num_chunks"] == chunks
        messages = again.get(f"/v1/conversations/{conversation}").json()["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
        assert messages[1]["content"] == said
        follow_up = ask(again, conversation, "And when is that?")
        assert follow_up["causerie"]["citations"]  # type: ignore[index]
        assert len(again.get(f"/v1/conversations/{conversation}").json()["messages"]) == 4
