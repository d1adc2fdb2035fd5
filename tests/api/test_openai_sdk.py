"""The official client, unchanged, against a live server."""

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from api.testing import application_of_doubles
from llm.errors import ContextOverflowError, EngineBusyError
from tests.api.conftest import LiveServer, serving
from tests.api.test_completions import index_one


@pytest.fixture
def sdk(live: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.address}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_the_sdk_gets_an_answer(sdk: openai.OpenAI) -> None:
    completion = sdk.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "Hello?"}]
    )
    assert completion.choices[0].message.content == "It is so."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 8
    assert completion._request_id


def test_the_sdk_finds_citations_in_the_message_and_in_the_last_chunk(
    sdk: openai.OpenAI, live: LiveServer
) -> None:
    index_one(live.application)
    extra = {"causerie": {"collection": "docs"}}
    completion = sdk.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "closure?"}], extra_body=extra
    )
    extension = completion.choices[0].message.causerie  # type: ignore[attr-defined]
    assert extension["citations"][0]["uri"] == "scope.txt"
    *_, last = sdk.chat.completions.create(
        model="scripted",
        messages=[{"role": "user", "content": "closure?"}],
        extra_body=extra,
        stream=True,
    )
    assert last.causerie["citations"][0]["uri"] == "scope.txt"  # type: ignore[attr-defined]


def test_the_sdk_streams_with_usage(sdk: openai.OpenAI) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model="scripted",
            messages=[{"role": "user", "content": "Hello?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "It is so."
    assert chunks[-1].usage is not None


def test_an_answer_can_be_sent_back_as_history(sdk: openai.OpenAI, live: LiveServer) -> None:
    first = sdk.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "Hello?"}]
    )
    sdk.chat.completions.create(
        model="scripted",
        messages=[
            {"role": "user", "content": "Hello?"},
            first.choices[0].message,  # type: ignore[list-item]
            {"role": "user", "content": "And then?"},
        ],
    )
    roles = [message.role for message in live.agent.requests[-1].messages]
    assert roles == ["user", "assistant", "user"]


def test_the_sdk_decodes_the_embeddings_it_asks_for_as_base64(
    sdk: openai.OpenAI, live: LiveServer
) -> None:
    found = sdk.embeddings.create(model="hashing", input=["one two", "three"])
    as_numbers = sdk.embeddings.create(
        model="hashing", input=["one two", "three"], encoding_format="float"
    )
    assert len(found.data[0].embedding) == 64
    for packed, plain in zip(found.data, as_numbers.data, strict=True):
        assert packed.embedding == pytest.approx(plain.embedding)
    assert found.usage.total_tokens == 3
    raw = sdk.embeddings.with_raw_response.create(
        model="hashing", input="one two", encoding_format="base64"
    )
    data = raw.http_response.json()["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(data)) == pytest.approx(
        tuple(as_numbers.data[0].embedding)
    )


def test_the_sdk_lists_the_models(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["scripted", "hashing"]
    assert sdk.models.retrieve("hashing").owned_by == "causerie"


def test_errors_arrive_as_the_classes_of_the_sdk(sdk: openai.OpenAI, live: LiveServer) -> None:
    hello: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="gpt-4", messages=hello)
    assert missing.value.code == "model_not_found"
    assert missing.value.param == "model"
    with pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model="scripted", messages=hello, n=17)
    assert bad.value.param == "n"
    live.agent.error = ContextOverflowError(num_tokens=9, limit=4)
    with pytest.raises(openai.BadRequestError) as long:
        sdk.chat.completions.create(model="scripted", messages=hello)
    assert long.value.code == "context_length_exceeded"
    live.agent.error = EngineBusyError("8 requests are being answered; try again in a moment")
    with pytest.raises(openai.InternalServerError) as busy:
        sdk.chat.completions.create(model="scripted", messages=hello)
    assert busy.value.status_code == 503
    live.agent.error, live.agent.num_words_before_error = RuntimeError("boom"), 1
    with pytest.raises(openai.APIError, match="server failed"):
        list(sdk.chat.completions.create(model="scripted", messages=hello, stream=True))


def test_a_wrong_key_is_an_authentication_error(tmp_path: Path) -> None:
    with (
        application_of_doubles(tmp_path, api_keys=("right-key-1",)) as application,
        serving(application) as live,
    ):
        for key, expected in [("wrong-key-1", openai.AuthenticationError), ("right-key-1", None)]:
            with openai.OpenAI(base_url=f"{live.address}/v1", api_key=key) as client:
                if expected is None:
                    assert list(client.models.list())
                else:
                    with pytest.raises(expected):
                        client.models.list()
