"""Wishes of a request that cannot be had: each a 400 that names the parameter."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.testing import ScriptedAgent
from llm.decoding.grammar_spec import JsonSchema
from llm.decoding.spec import (
    PLAIN,
)
from llm.errors import (
    BudgetTooSmallError,
    ConstraintConflictError,
    GrammarTooLargeError,
    HeadError,
    InvalidGrammarError,
    RefusedPairError,
    UnknownScorerError,
    UnsupportedSchemaError,
)
from tests.api.test_completions import CHAT, HELLO, error_of, index_one
from tests.api.test_decode_request import CLOCK, NAMED, TOOL, spec_of, typed

LISTED = {"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"n": 0}, "n", "[1, 16]"),
    ({"n": 17}, "n", "[1, 16]"),
    ({"n": "two"}, "n", "valid integer"),
    ({"n": 2, "causerie": {"search": {"method": "beam"}}}, "n", "exclude each other"),
    ({"top_logprobs": 3}, "top_logprobs", "'logprobs': true"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "[0, 20]"),
    ({"response_format": {"type": "yaml"}}, "response_format.type", "'json_schema'"),
    ({"response_format": {"type": "json_schema"}}, "response_format", "do not go together"),
    ({"response_format": {**typed(), "type": "text"}}, "response_format", "do not go together"),
    ({"response_format": typed(schema=7)}, "response_format.json_schema.schema", "dictionary"),
    ({"response_format": typed(schema={"a": "\ud800"})}, "response_format", "surrogate"),
    ({"response_format": typed(wish=1)}, "response_format.json_schema.wish", "unknown"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "required"),
    ({"tools": [{**CLOCK, "type": "file"}]}, "tools[0].type", "'function'"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", ""),
    ({"tools": [CLOCK, CLOCK]}, "tools", "same name"),
    ({"tools": [CLOCK] * 129}, "tools", "128"),
    (
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}
            ]
        },
        "tools",
        "'object'",
    ),
    ({"tool_choice": "required"}, "tool_choice", "no tools"),
    ({"tools": [TOOL], "tool_choice": NAMED}, "tool_choice", "it holds weather"),
    ({"prediction": {"type": "content"}}, "prediction.content", "required"),
    ({"prediction": {"type": "content", "content": "x" * 200_001}}, "prediction", "200000"),
]


@pytest.mark.parametrize(("body", "param", "words"), REFUSED)
def test_a_bad_wish_is_a_400_that_names_the_parameter(
    client: TestClient, agent: ScriptedAgent, body: dict[str, Any], param: str, words: str
) -> None:
    content = json.dumps({**HELLO, **body})
    response = client.post(CHAT, content=content, headers={"content-type": "application/json"})
    error = error_of(response, 400)
    assert error["param"] == param
    assert words in error["message"]
    assert agent.requests == []


OWN: list[tuple[str, object, str]] = [
    ("steer", [{"scorer": ""}], "name of a scorer"),
    ("steer", [{"scorer": "x", "weight": 1e9}], "[-1000, 1000]"),
    ("steer", [{"scorer": "x"}] * 9, "8"),
    ("steer", [{"scorer": "x", "candidates": 0}], "[1, 200]"),
    ("steer", [{"scorer": "x", "candidates": 201}], "[1, 200]"),
    ("steer[0].method", [{"scorer": "x", "method": "magic"}], "'fudge' or 'reward'"),
    ("experts.anti_expert", {"expert": "x"}, "required"),
    ("experts", {"expert": "x", "anti_expert": "y", "top_p": 0}, "(0, 1]"),
    ("contrast", {"amateur": "me"}, "'exit' or 'ngram:NAME'"),
    ("contrast", {"head": 2}, "(0, 1]"),
    ("contrast.wish", {"wish": 1}, "unknown parameter"),
    ("context_faithfulness", 11, "[0, 10]"),
    ("speculation", {"drafter": "ngram"}, "name of a model"),
    ("speculation", {"drafter": "prediction"}, "needs a prediction"),
    ("speculation", {"max_draft": 0}, "[1, 32]"),
    ("speculation.drafter", {"drafter": "magic"}, "'prediction'"),
    ("search", {"method": "beam", "width": 4, "groups": 3}, "divide"),
    ("search.method", {"method": "magic"}, "'beam'"),
    ("grammar", {}, "exactly one of"),
    ("grammar", {"regex": "a", "lark": "b"}, "exactly one of"),
    ("grammar", {"regex": ""}, "must not be empty"),
    ("grammar", {"choices": []}, "at least one option"),
    ("grammar.quote", {"quote": False}, "send true"),
    ("grammar.wish", {"wish": 1}, "unknown parameter"),
    ("whitespace", 65, "64"),
    ("mirostat", {"tau": 0}, "> 0 bits"),
    ("dry", {"multiplier": 101}, "[0, 100]"),
    ("dry.multiplier", {}, "required"),
    ("epsilon_cutoff", 1, "[0, 1)"),
    ("allowed_token_ids", [], "is empty"),
    ("banned_token_ids", [-1], ">= 0"),
    ("repetition_scope", "none", "'all' or 'output'"),
    ("logprobs_mode", "cooked", "'raw'"),
    ("wish", 1, "unknown parameter"),
]


@pytest.mark.parametrize(("param", "value", "words"), OWN)
def test_a_bad_wish_of_ours_names_the_parameter(
    client: TestClient, agent: ScriptedAgent, param: str, value: object, words: str
) -> None:
    name = param.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
    response = client.post(CHAT, json={**HELLO, "causerie": {name: value}})
    error = error_of(response, 400)
    assert error["param"] == f"causerie.{param}"
    assert words in error["message"]
    assert agent.requests == []


def test_mirostat_beside_another_cut_is_named(client: TestClient) -> None:
    own = {"mirostat": {}, "min_p": 0.1}
    error = error_of(client.post(CHAT, json={**HELLO, "causerie": own}), 400)
    assert error["param"] == "causerie.mirostat"
    assert "leave out min_p or mirostat" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [CLOCK], "response_format": {"type": "json_object"}},
        {"tools": [CLOCK], "causerie": {"grammar": {"regex": "a"}}},
        {"response_format": {"type": "json_object"}, "causerie": {"grammar": {"regex": "a"}}},
        {"tools": [CLOCK], "causerie": {"conversation": "conv_1"}},
    ],
)
def test_two_wishes_that_exclude_each_other_are_refused(
    client: TestClient, body: dict[str, Any]
) -> None:
    error = error_of(client.post(CHAT, json={**HELLO, **body}), 400)
    assert error["code"] == "refused_pair"
    assert error["param"] in {"tools", "response_format", "causerie.grammar"}
    assert "exclude each other" in error["message"]


def test_a_form_beside_tools_that_must_not_be_called_is_fine(
    client: TestClient, agent: ScriptedAgent
) -> None:
    body = {"tools": [CLOCK], "tool_choice": "none", "response_format": {"type": "json_object"}}
    assert isinstance(spec_of(client, agent, **body).grammar, JsonSchema)


@pytest.mark.parametrize(
    ("own", "param"),
    [
        ({"context_faithfulness": 0.5}, "causerie.context_faithfulness"),
        ({"grammar": {"quote": True}}, "causerie.grammar"),
        ({"grammar": {"cite": True}}, "causerie.grammar"),
    ],
)
def test_what_needs_evidence_needs_a_collection(
    client: TestClient, agent: ScriptedAgent, own: dict[str, Any], param: str
) -> None:
    error = error_of(client.post(CHAT, json={**HELLO, "causerie": own}), 400)
    assert (error["param"], error["code"]) == (param, "collection_needed")
    assert "name a collection" in error["message"]
    plain = client.post("/v1/conversations", json={}).json()
    own = {**own, "conversation": plain["id"]}
    error_of(client.post(CHAT, json={**HELLO, "causerie": own}), 400)
    assert agent.requests == []


def test_the_collection_of_a_conversation_is_evidence_too(
    client: TestClient, agent: ScriptedAgent, application: Application
) -> None:
    index_one(application)
    kept = client.post("/v1/conversations", json={"collection": "docs"}).json()["id"]
    own = {"conversation": kept, "grammar": {"cite": True}}
    assert client.post(CHAT, json={**HELLO, "causerie": own}).status_code == 200
    assert agent.requests[-1].evidence_form == "cite"
    assert agent.requests[-1].spec == PLAIN


def test_quotes_have_no_log_probabilities_unless_controlled(
    client: TestClient, application: Application
) -> None:
    index_one(application)
    body = {**HELLO, "logprobs": True, "causerie": {"collection": "docs"}}
    error = error_of(client.post(CHAT, json=body), 400)
    assert (error["param"], error["code"]) == ("logprobs", "refused_pair")
    assert client.post(CHAT, json={**body, "n": 2}).status_code == 200


TYPED = {"response_format": {"type": "json_object"}}
REGEX = {"causerie": {"grammar": {"regex": "a"}}}
STEERED = {"causerie": {"steer": [{"scorer": "x"}]}}
CONTRASTED = {"causerie": {"contrast": {"amateur": "ngram:x"}}}
SPECULATED = {"causerie": {"speculation": {"drafter": "ngram", "ngram": "x"}}}


@pytest.mark.parametrize(
    ("error", "body", "param", "code"),
    [
        (UnsupportedSchemaError(keyword="not", path="#"), TYPED, "response_format", None),
        (InvalidGrammarError("no"), REGEX, "causerie.grammar", "invalid_grammar"),
        (GrammarTooLargeError(what="it"), {"tools": [CLOCK]}, "tools", "grammar_too_large"),
        (BudgetTooSmallError(needed=43, budget=10), TYPED, "max_tokens", "budget_too_small"),
        (ConstraintConflictError("no token is left"), {}, None, "constraint_conflict"),
        (RefusedPairError("a and b exclude each other"), TYPED, None, "refused_pair"),
        (UnknownScorerError("x", ["y"]), STEERED, "causerie.steer", "unknown_scorer"),
        (UnknownScorerError("x", ["y"]), CONTRASTED, "causerie.contrast", "unknown_scorer"),
        (UnknownScorerError("x", ["y"]), SPECULATED, "causerie.speculation", "unknown_scorer"),
        (HeadError("of another model"), STEERED, "causerie.steer", "unusable_head"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_decoder_refuses_names_the_parameter_that_asked(
    client: TestClient,
    agent: ScriptedAgent,
    error: Exception,
    body: dict[str, Any],
    param: str | None,
    code: str | None,
    stream: bool,
) -> None:
    agent.error = error
    told = error_of(client.post(CHAT, json={**HELLO, **body, "stream": stream}), 400)
    assert told["param"] == param
    assert told["code"] == (code or "unsupported_schema")
    assert str(error) in told["message"]


def test_a_budget_that_is_too_small_says_how_many_tokens_it_takes(
    client: TestClient, agent: ScriptedAgent
) -> None:
    agent.error = BudgetTooSmallError(needed=43, budget=10)
    error = error_of(client.post(CHAT, json={**HELLO, **TYPED}), 400)
    assert "at least 43 tokens" in error["message"]
