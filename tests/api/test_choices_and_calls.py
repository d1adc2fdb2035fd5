"""Choices, calls, log-probabilities and accounts on the wire, seen by the official client."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from api.testing import application_of_doubles
from dialog.agent import DialogAgent
from llm.chat import Completion, Usage
from llm.testing import ScriptedChatModel
from rag.pipeline import RetrievalPipeline
from tests.api.conftest import serving
from tests.api.test_decode_request import CLOCK, TOOL
from tests.llm.test_tool_prompt import OSLO, call_text

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]


class Clock(pydantic.BaseModel):
    zone: str


CALLS = f"Let me see.{OSLO}" + call_text("clock", "{}")


@pytest.fixture
def model() -> ScriptedChatModel:
    return ScriptedChatModel()


@pytest.fixture
def sdk(tmp_path: Path, model: ScriptedChatModel) -> Iterator[openai.OpenAI]:
    """Give the client of a server whose dialogue is real and whose model is scripted."""
    with application_of_doubles(tmp_path / "state") as doubles:
        pipeline = RetrievalPipeline(doubles.store.open, doubles.embedder)
        agent = DialogAgent(model, pipeline, doubles.sessions)
        with (
            serving(replace(doubles, agent=agent, chat_model=model)) as live,
            openai.OpenAI(
                base_url=f"{live.address}/v1",
                api_key="unused",
                max_retries=0,
                _strict_response_validation=True,
            ) as client,
        ):
            yield client


def ask(sdk: openai.OpenAI, **more: Any) -> Any:
    return sdk.chat.completions.create(model="scripted", **{"messages": HELLO, **more})


def chunks(sdk: openai.OpenAI, **more: Any) -> list[ChatCompletionChunk]:
    return list(ask(sdk, stream=True, **more))


def test_calls_are_in_the_message_and_the_reason_says_so(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = [CALLS]
    (choice,) = ask(sdk, tools=[TOOL, CLOCK]).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    first, second = choice.message.tool_calls
    assert (first.type, first.function.name) == ("function", "weather")
    assert json.loads(first.function.arguments) == {"city": "Oslo"}
    assert (second.function.name, second.function.arguments) == ("clock", "{}")
    assert first.id.startswith("call_")
    assert first.id != second.id


def test_a_call_alone_has_no_content(sdk: openai.OpenAI, model: ScriptedChatModel) -> None:
    model.replies = [OSLO]
    (choice,) = ask(sdk, tools=[TOOL], tool_choice="required").choices
    assert choice.message.content is None
    assert choice.message.tool_calls


def test_streamed_calls_come_in_fragments_that_add_up(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    spaced = call_text("weather", '{"city": "Oslo by the sea"}')
    model.replies = [f"Let me see.{spaced}" + call_text("clock", "{}")] * 2
    whole = ask(sdk, tools=[TOOL, CLOCK]).choices[0].message.tool_calls
    told = chunks(sdk, tools=[TOOL, CLOCK])
    assert told[-1].choices[0].finish_reason == "tool_calls"
    assert "".join(c.choices[0].delta.content or "" for c in told) == "Let me see."
    pieces = [call for c in told for call in c.choices[0].delta.tool_calls or ()]
    for index, call in enumerate(whole):
        first, *others = [piece for piece in pieces if piece.index == index]
        assert first.function is not None
        assert (first.id, first.type, first.function.name) == (
            call.id,
            "function",
            call.function.name,
        )
        assert all(piece.id is None and piece.type is None for piece in others)
        parts = [p.function.arguments or "" for p in (first, *others) if p.function]
        assert "".join(parts) == call.function.arguments
        assert not any(piece.function and piece.function.name for piece in others)


def test_the_client_s_own_accumulation_of_a_stream_holds_the_calls(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = [CALLS]
    with sdk.chat.completions.stream(
        model="scripted",
        messages=HELLO,
        tools=[TOOL, CLOCK],  # type: ignore[list-item]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "Let me see."
    assert message.tool_calls is not None
    assert [call.function.name for call in message.tool_calls] == ["weather", "clock"]
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}


def test_a_whole_round_with_a_tool(sdk: openai.OpenAI, model: ScriptedChatModel) -> None:
    model.replies = [OSLO, "It rains in Oslo."]
    message = ask(sdk, tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
    answer = ask(sdk, messages=[*HELLO, message, result], tools=[TOOL])
    assert answer.choices[0].message.content == "It rains in Oslo."
    assert answer.choices[0].finish_reason == "stop"
    *_, called, given = model.prompts[-1]
    assert called.content == OSLO
    assert "rain" in given.content


def test_a_cut_call_says_that_its_length_ended_it(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = [call_text("weather", '{"city": "Oslo by the sea"}')]
    (choice,) = ask(sdk, tools=[TOOL], max_tokens=3).choices
    assert choice.finish_reason == "length"
    assert choice.message.tool_calls[0].function.arguments == '{"city": "Oslo by'


def test_log_probabilities_are_told_token_by_token(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = ["It is so."] * 2
    (choice,) = ask(sdk, logprobs=True, top_logprobs=3).choices
    tokens = choice.logprobs.content
    assert [token.token for token in tokens] == ["It", " is", " so."]
    assert bytes(b for token in tokens for b in token.bytes) == b"It is so."
    for token in tokens:
        assert token.logprob == pytest.approx(math.log(0.5))
        own, half_a_character, special = token.top_logprobs
        assert own.token == token.token
        assert (half_a_character.token, half_a_character.bytes) == ("\ufffd", [0xE2, 0x82])
        assert (special.bytes, special.logprob) == (None, -9999.0)
    told = chunks(sdk, logprobs=True, top_logprobs=3)
    streamed = [
        token
        for chunk in told
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert [t.to_dict() for t in streamed] == [t.to_dict() for t in tokens]


def test_tokens_of_calls_are_accounted_for_in_a_stream_too(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = [CALLS] * 2
    (choice,) = ask(sdk, tools=[TOOL, CLOCK], logprobs=True).choices
    told = chunks(sdk, tools=[TOOL, CLOCK], logprobs=True)
    streamed = [
        token.token
        for chunk in told
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert streamed == [token.token for token in choice.logprobs.content]
    assert "".join(streamed) == CALLS


def test_no_log_probabilities_unless_asked(sdk: openai.OpenAI, model: ScriptedChatModel) -> None:
    assert ask(sdk).choices[0].logprobs is None
    assert all(chunk.choices[0].logprobs is None for chunk in chunks(sdk))


def test_several_choices_are_numbered_and_all_are_paid_for(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = ["one two", "three", "four"]
    completion = ask(sdk, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert [c.message.content for c in completion.choices] == ["one two", "three", "four"]
    assert completion.usage.completion_tokens == 4
    assert completion.choices[0].message.causerie["timings"]
    assert completion.choices[2].message.causerie == {"finish_reason": "stop", "seed": 2}


def test_streamed_choices_each_begin_and_end(sdk: openai.OpenAI, model: ScriptedChatModel) -> None:
    model.replies = ["one two", f"three{OSLO}"]
    told = chunks(sdk, n=2, tools=[TOOL])
    by_choice: dict[int, list[Any]] = {0: [], 1: []}
    for chunk in told:
        (choice,) = chunk.choices
        by_choice[choice.index].append(choice)
    for index, reason, text in ((0, "stop", "one two"), (1, "tool_calls", "three")):
        first, *_, last = by_choice[index]
        assert first.delta.role == "assistant"
        assert last.finish_reason == reason
        assert "".join(c.delta.content or "" for c in by_choice[index]) == text
        assert sum(c.finish_reason is not None for c in by_choice[index]) == 1
    assert told[-1].causerie["timings"]  # type: ignore[attr-defined]
    assert [c.model_extra for c in told[:-1] if "causerie" in (c.model_extra or {})] == []


def test_accounts_are_there_where_they_apply(sdk: openai.OpenAI, model: ScriptedChatModel) -> None:
    plain = ask(sdk).choices[0].message.causerie
    model.end = {"steer_kl": 0.25, "drafted_tokens": 8, "accepted_tokens": 5}
    steered = ask(sdk).choices[0].message.causerie
    assert {name: steered[name] for name in steered.keys() - plain.keys()} == model.end
    model.end = {"steer_kl": 0.0}
    assert ask(sdk).choices[0].message.causerie["steer_kl"] == 0
    model.end = {"drafted_tokens": 2, "accepted_tokens": 0}
    assert ask(sdk).choices[0].message.causerie["accepted_tokens"] == 0


def test_a_search_gives_one_choice_and_tells_of_the_others(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    usage = Usage(prompt_tokens=1, completion_tokens=2)
    other = Completion(
        text="No.", finish_reason="stop", usage=usage, seed=3, prefill_s=0, decode_s=0, score=-2.0
    )
    model.end = {"score": -1.5, "alternatives": (other,)}
    search = {"causerie": {"search": {"method": "best_of", "width": 2}}}
    (choice,) = ask(sdk, extra_body=search).choices
    assert choice.message.causerie["score"] == -1.5
    assert choice.message.causerie["alternatives"] == [
        {"text": "No.", "score": -2.0, "finish_reason": "stop"}
    ]
    *_, last = chunks(sdk, extra_body=search)
    assert last.choices[0].index == 0
    assert last.causerie["score"] == -1.5  # type: ignore[attr-defined]


def test_a_message_that_the_client_parsed_can_be_sent_back(
    sdk: openai.OpenAI, model: ScriptedChatModel
) -> None:
    model.replies = [call_text("Clock", '{"zone":"x"}'), "Noon."]
    tools = [openai.pydantic_function_tool(Clock)]
    message = (
        sdk.chat.completions.parse(model="scripted", messages=HELLO, tools=tools).choices[0].message
    )
    assert message.tool_calls
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "noon"}
    answer = ask(sdk, messages=[*HELLO, message, result], tools=tools)
    assert answer.choices[0].message.content == "Noon."
