"""Tool calls of a model whose chat template knows tools, computed by a real (tiny) model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest

from api.application import Application
from api.testing import application_of_doubles
from api.toolbox import strategies_of
from dialog.agent import DialogAgent
from index.database import open_database
from llm.chat import Message, ToolCall, ToolSpec
from llm.chat_template import ChatTemplate
from llm.checkpoint import Decoder
from llm.tool_forms.hermes import HERMES
from llm.tool_prompt import ToolUse, with_tools
from rag.pipeline import RetrievalPipeline
from tests.api.conftest import local_client, serving
from tests.llm.test_tool_forms import QWEN
from tests.llm.test_tool_prompt import CLOCK, WEATHER
from tests.llm.tiny_engine import packable_decoder, tiny_async_engine
from tools.agent_log import SQLRunStore
from tools.audit import AuditLog
from tools.builtin.calculator import calculator
from tools.registry import ToolRegistry
from tools.runs import ToolRuns

ASKED: dict[str, Any] = {"role": "user", "content": "Is it raining?"}
TINY: dict[str, Any] = {"model": "tiny", "seed": 3, "temperature": 1.0}


def hermes_decoder() -> Decoder:
    decoder = packable_decoder()
    return replace(decoder, template=ChatTemplate(QWEN, decoder.tokenizer))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Application]:
    """Give a service over a tiny model with the template of a family that knows tools."""
    decoder = hermes_decoder()
    form = decoder.template.call_form
    assert form is HERMES
    state = tmp_path / "state"
    with application_of_doubles(state) as doubles:
        engine = tiny_async_engine(decoder=decoder, context_size=2_048, cache_tokens=4_096)
        database = open_database(f"sqlite:///{state / 'causerie.sqlite'}")
        runs = ToolRuns(
            engine,
            ToolRegistry([calculator()]),
            AuditLog(database),
            SQLRunStore(database),
            partial(strategies_of, call_form=form),
        )
        pipeline = RetrievalPipeline(doubles.store.open, doubles.embedder)
        agent = DialogAgent(engine, pipeline, doubles.sessions, max_tokens=200, runs=runs)
        try:
            yield replace(
                doubles,
                agent=agent,
                chat_model=engine,
                engine=engine,
                runs=runs,
                call_counts=runs.counts,
                call_form=form,
            )
        finally:
            engine.close()
            database.dispose()


@pytest.fixture
def sdk(service: Application) -> Iterator[openai.OpenAI]:
    with (
        serving(service) as live,
        openai.OpenAI(
            base_url=f"{live.address}/v1",
            api_key="unused",
            max_retries=0,
            _strict_response_validation=True,
        ) as client,
    ):
        yield client


def on_the_wire(spec: ToolSpec) -> dict[str, Any]:
    function = {
        "name": spec.name,
        "description": spec.description,
        "parameters": json.loads(spec.parameters),
    }
    return {"type": "function", "function": function}


def ask(sdk: openai.OpenAI, messages: list[Any], **more: Any) -> Any:
    tools = {"tools": [on_the_wire(WEATHER), on_the_wire(CLOCK)], "max_tokens": 200}
    return sdk.chat.completions.create(messages=messages, **{**TINY, **tools, **more})


def test_a_forced_call_has_the_template_s_form_and_its_result_is_told_by_it(
    sdk: openai.OpenAI,
) -> None:
    named = {"type": "function", "function": {"name": "weather"}}
    (choice,) = ask(sdk, [ASKED], tool_choice=named).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather"
    assert list(json.loads(call.function.arguments)) == ["city"]
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    second = ask(sdk, [ASKED, choice.message, result], max_tokens=64)
    # The prompt is, token by token, the template's own text of functions, call and result.
    made = ToolCall(id=call.id, name="weather", arguments=call.function.arguments)
    chat = [
        Message(role="user", content=ASKED["content"]),
        Message(role="assistant", content="", tool_calls=(made,)),
        Message(role="tool", content="rain", tool_call_id=call.id),
    ]
    decoder = hermes_decoder()
    use = ToolUse(tools=(WEATHER, CLOCK), form=HERMES)
    prompt = decoder.template.render(with_tools(chat, use))
    assert "<tools>" in prompt
    assert "<tool_response>\nrain\n</tool_response>" in prompt
    assert second.usage.prompt_tokens == len(decoder.tokenizer.encode(prompt))


def test_a_streamed_call_adds_up_to_the_whole_one(sdk: openai.OpenAI) -> None:
    whole = ask(sdk, [ASKED], tool_choice="required").choices[0].message.tool_calls
    chunks = [*ask(sdk, [ASKED], tool_choice="required", stream=True)]
    pieces = [call for c in chunks for call in c.choices[0].delta.tool_calls or ()]
    for index, call in enumerate(whole):
        mine = [piece.function for piece in pieces if piece.index == index]
        assert mine[0].name == call.function.name
        assert "".join(piece.arguments or "" for piece in mine) == call.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_service_s_own_tools_are_called_in_the_same_form(service: Application) -> None:
    """An untrained model calls something; each call parses and is answered, whatever it was."""
    own = {"tools": {"strategy": "native", "max_steps": 2}}
    body = {**TINY, "messages": [ASKED], "max_tokens": 120, "causerie": own}
    with local_client(service) as http:
        response = http.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        report = response.json()["choices"][0]["message"]["causerie"]["tools"]
        run = http.get(f"/v1/tool_runs/{report['run']}").json()
    spoken = [event["payload"] for event in run["events"] if event["kind"] == "model_spoke.v1"]
    assert spoken
    for step in spoken:
        assert step["text"].count(HERMES.opening) == len(step["calls"])
