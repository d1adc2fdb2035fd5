"""What a request asks of form, tools and decoding, as the turn gets it; and what is refused."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.testing import ScriptedAgent
from llm.decoding.grammar_spec import Choices, JsonSchema, Lark, Regex, StructuralTags
from llm.decoding.spec import (
    PLAIN,
    Contrast,
    DecodeSpec,
    Experts,
    Search,
    Speculation,
    Steer,
)
from llm.sampling_params import Dry, Mirostat
from tests.api.test_completions import CHAT, HELLO, index_one

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}}
FUNCTION = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CLOCK = {"type": "function", "function": {"name": "clock"}}
NAMED = {"type": "function", "function": {"name": "clock"}}


def typed(**schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", **schema}}


def spec_of(client: TestClient, agent: ScriptedAgent, **body: Any) -> DecodeSpec:
    response = client.post(CHAT, json={**HELLO, **body})
    assert response.status_code == 200, response.text
    return agent.requests[-1].spec


@pytest.mark.parametrize(
    ("body", "grammar"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, JsonSchema.of({"type": "object"})),
        ({"response_format": typed(schema=SCHEMA, strict=True)}, JsonSchema.of(SCHEMA)),
        ({"response_format": typed(description="x")}, JsonSchema.of({"type": "object"})),
        (
            {"response_format": typed(schema=SCHEMA), "causerie": {"whitespace": 2}},
            JsonSchema.of(SCHEMA, max_whitespace=2),
        ),
        ({"causerie": {"grammar": {"regex": "a+"}}}, Regex(pattern="a+")),
        ({"causerie": {"grammar": {"lark": "start: /a/"}}}, Lark(source="start: /a/")),
        ({"causerie": {"grammar": {"choices": ["a", "b"]}}}, Choices(options=("a", "b"))),
        ({"causerie": {"grammar": {"json_schema": SCHEMA}}}, JsonSchema.of(SCHEMA)),
        ({"causerie": {"grammar": {"json_schema": True}}}, JsonSchema.of(schema=True)),
    ],
)
def test_a_form_becomes_a_grammar(
    client: TestClient, agent: ScriptedAgent, body: dict[str, Any], grammar: object
) -> None:
    assert spec_of(client, agent, **body).grammar == grammar


def test_the_order_of_properties_is_kept(client: TestClient, agent: ScriptedAgent) -> None:
    grammar = spec_of(client, agent, response_format=typed(schema=SCHEMA)).grammar
    assert isinstance(grammar, JsonSchema)
    assert list(json.loads(grammar.schema)["properties"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, PLAIN),
        ({"n": 3}, DecodeSpec(num_choices=3)),
        (
            {"causerie": {"steer": [{"scorer": "a", "candidates": 50}]}},
            DecodeSpec(steer=(Steer(scorer="a", candidates=50),)),
        ),
        (
            {"causerie": {"steer": [{"scorer": "positive", "weight": -2, "method": "reward"}]}},
            DecodeSpec(steer=(Steer(scorer="positive", weight=-2.0, method="reward"),)),
        ),
        (
            {"causerie": {"experts": {"expert": "a", "anti_expert": "b", "weight": 2}}},
            DecodeSpec(experts=Experts(expert="a", anti_expert="b", weight=2.0)),
        ),
        ({"causerie": {"contrast": {}}}, DecodeSpec(contrast=Contrast())),
        (
            {"causerie": {"contrast": {"amateur": "ngram:x", "weight": 1, "head": 0.2}}},
            DecodeSpec(contrast=Contrast(amateur="ngram:x", weight=1.0, head=0.2)),
        ),
        (
            {"causerie": {"speculation": {"drafter": "off", "verify": "rejection"}}},
            DecodeSpec(speculation=Speculation(drafter="off", verify="rejection")),
        ),
        (
            {"causerie": {"search": {"method": "mbr", "width": 6, "utility": "token_f1"}}},
            DecodeSpec(search=Search(method="mbr", width=6, utility="token_f1")),
        ),
        (
            {
                "prediction": {"type": "content", "content": "It is"},
                "causerie": {"speculation": {"max_draft": 4}},
            },
            DecodeSpec(speculation=Speculation(prediction="It is", max_draft=4)),
        ),
        (
            {
                "prediction": {
                    "type": "content",
                    "content": [{"type": "text", "text": "It "}, {"type": "text", "text": "is"}],
                }
            },
            DecodeSpec(speculation=Speculation(prediction="It is")),
        ),
    ],
)
def test_controls_reach_the_turn(
    client: TestClient, agent: ScriptedAgent, body: dict[str, Any], expected: DecodeSpec
) -> None:
    assert spec_of(client, agent, **body) == expected


def test_context_faithfulness_reaches_a_turn_with_evidence(
    client: TestClient, agent: ScriptedAgent, application: Application
) -> None:
    index_one(application)
    own = {"collection": "docs", "context_faithfulness": 0.5}
    assert spec_of(client, agent, causerie=own) == DecodeSpec(context_faithfulness=0.5)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epsilon_cutoff", 0.01, 0.01),
        ("eta_cutoff", 0.01, 0.01),
        ("top_n_sigma", 1.5, 1.5),
        ("mirostat", {"tau": 4}, Mirostat(tau=4.0)),
        ("dry", {"multiplier": 0.8, "breakers": ["."]}, Dry(multiplier=0.8, breakers=(".",))),
        ("repetition_scope", "output", "output"),
        ("allowed_strings", ["a", "b"], ("a", "b")),
        ("allowed_token_ids", [1, 2], (1, 2)),
        ("banned_token_ids", [3], (3,)),
        ("logprobs_mode", "final", "final"),
    ],
)
def test_the_further_knobs_of_sampling_reach_the_turn(
    client: TestClient, agent: ScriptedAgent, name: str, value: object, expected: object
) -> None:
    spec_of(client, agent, causerie={name: value})
    assert getattr(agent.requests[-1].params, name) == expected


def test_log_probabilities_are_asked_for(client: TestClient, agent: ScriptedAgent) -> None:
    spec_of(client, agent, logprobs=True, top_logprobs=4)
    params = agent.requests[-1].params
    assert (params.logprobs, params.top_logprobs, params.logprobs_mode) == (True, 4, "raw")


@pytest.mark.parametrize(
    ("body", "demand", "names", "bounds", "text"),
    [
        ({}, "auto", ["weather", "clock"], (0, 16), True),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, "auto", None, (0, 1), True),
        ({"tool_choice": "required"}, "required", None, (1, 16), False),
        ({"tool_choice": NAMED}, "named", ["clock"], (1, 1), False),
    ],
)
def test_tools_become_a_grammar_of_calls(
    client: TestClient,
    agent: ScriptedAgent,
    body: dict[str, Any],
    demand: str,
    names: list[str] | None,
    bounds: tuple[int, int],
    text: bool,
) -> None:
    grammar = spec_of(client, agent, tools=[TOOL, CLOCK], **body).grammar
    assert isinstance(grammar, StructuralTags)
    assert (grammar.min_tags, grammar.max_tags) == bounds
    assert grammar.text == text
    use = agent.requests[-1].tools
    assert use is not None
    assert use.demand == demand
    assert [tool.name for tool in use.tools] == (names or ["weather", "clock"])
    if names is None:
        assert json.loads(use.tools[0].parameters) == SCHEMA


def test_no_tools_means_none(client: TestClient, agent: ScriptedAgent) -> None:
    bodies: list[dict[str, Any]] = [
        {"tools": []},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tool_choice": "auto"},
    ]
    for body in bodies:
        assert spec_of(client, agent, **body) == PLAIN
        assert agent.requests[-1].tools is None


def test_calls_and_results_can_be_sent_back(client: TestClient, agent: ScriptedAgent) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    chat = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    ]
    response = client.post(CHAT, json={**HELLO, "messages": chat, "tools": [CLOCK]})
    assert response.status_code == 200, response.text
    _, assistant, result = agent.requests[-1].messages
    assert [(c.id, c.name, c.arguments) for c in assistant.tool_calls] == [
        ("call_1", "clock", "{}")
    ]
    assert (result.role, result.tool_call_id, result.content) == ("tool", "call_1", "noon")
