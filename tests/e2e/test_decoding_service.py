"""Forms, calls, choices and controls with real weights, by the official client."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import jsonschema
import openai
import pydantic
import pytest

from llm.model_catalog import DEFAULT_CHAT_MODEL as MODEL
from tests.e2e.conftest import ANSWER_TIMEOUT_S

pytestmark = [pytest.mark.weights, pytest.mark.slow]

BOOK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 40},
        "year": {"type": "integer", "minimum": 1000, "maximum": 2100},
        "tags": {"type": "array", "items": {"enum": ["novel", "poem", "play"]}, "maxItems": 3},
    },
    "required": ["title", "year", "tags"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 30},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time"}},
]
QUESTION = "When does the kettle switch itself off?"


@pytest.fixture
def sdk(kitchen_address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{kitchen_address}/v1",
        api_key="unused",
        max_retries=0,
        timeout=ANSWER_TIMEOUT_S,
        _strict_response_validation=True,
    ) as client:
        yield client


def ask(sdk: openai.OpenAI, content: str, **more: Any) -> Any:
    own = more.pop("causerie", {})
    return sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": content}],
        extra_body={"causerie": own},
        **{"max_tokens": 60, **more},
    )


def typed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("max_tokens", [40, 100])
def test_an_answer_of_a_schema_validates_however_it_is_drawn_or_cut(
    sdk: openai.OpenAI, temperature: float, max_tokens: int
) -> None:
    completion = ask(
        sdk,
        "Name a book by Jane Austen.",
        response_format=typed(BOOK),
        temperature=temperature,
        seed=5,
        max_tokens=max_tokens,
    )
    jsonschema.validate(json.loads(completion.choices[0].message.content), BOOK)
    assert completion.usage.completion_tokens <= max_tokens


class Person(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(max_length=20)]
    age: Annotated[int, pydantic.Field(ge=0, le=150)]


def test_the_client_parses_what_it_asked_for_by_its_own_models(sdk: openai.OpenAI) -> None:
    message = (
        sdk.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Ada is 36 years old."}],
            response_format=Person,
            max_tokens=60,
        )
        .choices[0]
        .message
    )
    assert isinstance(message.parsed, Person)
    called = (
        sdk.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Ada is 36 years old."}],
            tools=[openai.pydantic_function_tool(Person)],
            tool_choice="required",
            parallel_tool_calls=False,
            max_tokens=80,
        )
        .choices[0]
        .message
    )
    assert called.tool_calls
    assert isinstance(called.tool_calls[0].function.parsed_arguments, Person)


def test_a_json_object_is_one(sdk: openai.OpenAI) -> None:
    completion = ask(
        sdk, "Describe a cat as JSON.", response_format={"type": "json_object"}, max_tokens=48
    )
    assert isinstance(json.loads(completion.choices[0].message.content), dict)


def test_a_budget_below_the_shortest_answer_says_how_many_tokens_that_has(
    sdk: openai.OpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, "A book.", response_format=typed(BOOK), max_tokens=5)
    assert (refused.value.param, refused.value.code) == ("max_tokens", "budget_too_small")
    found = re.search(r"needs at least (\d+) tokens", refused.value.message)
    assert found
    completion = ask(sdk, "A book.", response_format=typed(BOOK), max_tokens=int(found[1]))
    jsonschema.validate(json.loads(completion.choices[0].message.content), BOOK)


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"not": {"type": "string"}}, "unsupported_schema"),
        ({"enum": ["x" * 1000] * 900}, "grammar_too_large"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "invalid_grammar"),
    ],
)
def test_a_schema_that_cannot_be_had_is_refused_by_name(
    sdk: openai.OpenAI, schema: dict[str, Any], code: str
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(sdk, "A book.", response_format=typed(schema), stream=stream)
        assert (refused.value.param, refused.value.code) == ("response_format", code)


@pytest.mark.parametrize("choice", ["required", "named"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_demanded_call_is_made_and_its_arguments_validate(
    sdk: openai.OpenAI, choice: str, stream: bool
) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    asked: dict[str, Any] = {
        "content": "What is the weather in Oslo, in celsius?",
        "tools": TOOLS,
        "tool_choice": named if choice == "named" else choice,
        "parallel_tool_calls": False,
        "max_tokens": 80,
    }
    message = ask(sdk, **asked).choices[0].message
    (call,) = message.tool_calls
    assert not message.content
    arguments = json.loads(call.function.arguments)
    jsonschema.validate(arguments, WEATHER if call.function.name == "get_weather" else {})
    if choice == "named":
        assert call.function.name == "get_weather"
    if stream:
        told = list(ask(sdk, stream=True, **asked))
        pieces = [piece for c in told for piece in c.choices[0].delta.tool_calls or ()]
        assert pieces[0].id == call.id
        assert "".join(p.function.arguments or "" for p in pieces) == call.function.arguments
        assert told[-1].choices[0].finish_reason == "tool_calls"


def test_the_result_of_a_call_is_answered(sdk: openai.OpenAI) -> None:
    question: Any = {"role": "user", "content": "What is the weather in Oslo, in celsius?"}
    asked: dict[str, Any] = {"model": MODEL, "tools": TOOLS, "max_tokens": 60}
    message = (
        sdk.chat.completions.create(messages=[question], tool_choice="required", **asked)
        .choices[0]
        .message
    )
    assert message.tool_calls
    results: list[Any] = [
        {"role": "tool", "tool_call_id": call.id, "content": "7 degrees, rain"}
        for call in message.tool_calls
    ]
    chat: list[Any] = [question, message, *results]
    answer = sdk.chat.completions.create(messages=chat, tool_choice="none", **asked)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_log_probabilities_of_a_greedy_answer_are_those_of_its_best_tokens(
    sdk: openai.OpenAI,
) -> None:
    completion = ask(sdk, "Say hello.", logprobs=True, top_logprobs=3, max_tokens=12)
    choice = completion.choices[0]
    told = choice.logprobs.content
    assert len(told) == completion.usage.completion_tokens
    text = b"".join(bytes(token.bytes or ()) for token in told).decode()
    assert text == choice.message.content
    for token in told:
        assert token.logprob <= 0
        assert token.logprob == token.top_logprobs[0].logprob
        assert token.token == token.top_logprobs[0].token
        assert sum(2.718281828**other.logprob for other in token.top_logprobs) <= 1.0001
    chunks = list(ask(sdk, "Say hello.", logprobs=True, top_logprobs=3, max_tokens=12, stream=True))
    streamed = [
        token
        for chunk in chunks
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert [token.token for token in streamed] == [token.token for token in told]


def test_two_choices_differ_and_each_is_what_a_stream_gives(sdk: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "content": "Tell me of the sea.",
        "n": 2,
        "temperature": 1.0,
        "seed": 7,
        "max_tokens": 16,
    }
    completion = ask(sdk, **asked)
    texts = [choice.message.content for choice in completion.choices]
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert texts[0] != texts[1]
    assert completion.usage.completion_tokens <= 32
    streamed = ["", ""]
    for chunk in ask(sdk, stream=True, **asked):
        (choice,) = chunk.choices
        streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ({"regex": r"(yes|no), \d{2}%"}, r"(yes|no), \d{2}%"),
        ({"choices": ["rain", "snow", "sun"]}, "rain|snow|sun"),
        ({"lark": 'start: "a"* "b"'}, "a*b"),
    ],
)
def test_a_grammar_of_ours_is_kept_to(
    sdk: openai.OpenAI, grammar: dict[str, Any], pattern: str
) -> None:
    completion = ask(
        sdk, "What will it be?", causerie={"grammar": grammar}, temperature=1.0, seed=2
    )
    assert re.fullmatch(pattern, completion.choices[0].message.content)


@pytest.mark.parametrize("form", ["quote", "cite"])
def test_quotes_and_citations_are_those_of_the_evidence(sdk: openai.OpenAI, form: str) -> None:
    message = (
        ask(
            sdk,
            QUESTION,
            causerie={"collection": "kitchen", "grammar": {form: True}},
            max_tokens=120,
        )
        .choices[0]
        .message
    )
    citations = message.causerie["citations"]
    assert citations
    quotes = {f"[{c['id']}]": " ".join(c["quote"].split()) for c in citations}
    if form == "cite":
        assert re.fullmatch(r"(\[\d+\])+", message.content)
    else:
        for span, mark in re.findall(r'"(.*?)" (\[\d+\])', message.content):
            assert span in quotes[mark]


def test_faithfulness_to_the_evidence_changes_the_words_and_has_a_price(
    sdk: openai.OpenAI,
) -> None:
    asked: dict[str, Any] = {"content": QUESTION, "max_tokens": 40}
    answers = [
        ask(
            sdk,
            causerie={"collection": "kitchen", "context_faithfulness": alpha},
            **asked,
        )
        .choices[0]
        .message
        for alpha in (0.01, 2.0)
    ]
    assert answers[0].content != answers[1].content
    assert 0 <= answers[0].causerie["steer_kl"] < answers[1].causerie["steer_kl"]


def test_a_prediction_is_drafted_from_and_changes_no_word(sdk: openai.OpenAI) -> None:
    content = "Repeat exactly: the quick brown fox jumps over the lazy dog."
    off = ask(sdk, content, causerie={"speculation": {"drafter": "off"}}, max_tokens=30)
    text = off.choices[0].message.content
    on = ask(sdk, content, prediction={"type": "content", "content": text}, max_tokens=30)
    assert on.choices[0].message.content == text
    own = on.choices[0].message.causerie
    assert own["drafted_tokens"] >= own["accepted_tokens"] > 0


def test_a_search_gives_its_best_answer_with_its_score(sdk: openai.OpenAI) -> None:
    search = {"method": "best_of", "width": 3}
    own = (
        ask(
            sdk,
            "Name a fruit.",
            causerie={"search": search},
            temperature=1.0,
            seed=3,
            max_tokens=12,
        )
        .choices[0]
        .message.causerie
    )
    scores = [other["score"] for other in own["alternatives"]]
    assert len(scores) == 2
    assert own["score"] >= max(scores)


@pytest.mark.parametrize(
    "own",
    [
        {"steer": [{"scorer": "positive", "weight": 4}]},
        {"steer": [{"scorer": "negative", "weight": 4, "method": "reward"}]},
        {"experts": {"expert": "positive_expert", "anti_expert": "negative_expert"}},
        {"contrast": {"weight": 0.5}},
    ],
)
def test_a_direction_changes_the_words_and_tells_its_price(
    sdk: openai.OpenAI, own: dict[str, Any]
) -> None:
    content = "Review the film in one sentence."
    plain = ask(sdk, content, max_tokens=24).choices[0].message
    told = ask(sdk, content, causerie=own, max_tokens=24).choices[0].message
    assert "steer_kl" not in plain.causerie
    assert told.causerie["steer_kl"] > 0
    assert told.content != plain.content


def test_a_form_keeps_under_a_direction(sdk: openai.OpenAI) -> None:
    message = (
        ask(
            sdk,
            "Name a book.",
            response_format=typed(BOOK),
            causerie={"steer": [{"scorer": "positive", "weight": 8}], "contrast": {}},
        )
        .choices[0]
        .message
    )
    jsonschema.validate(json.loads(message.content), BOOK)
    assert message.causerie["steer_kl"] >= 0


@pytest.mark.parametrize(
    ("own", "more", "param", "code"),
    [
        ({"steer": [{"scorer": "purple"}]}, {}, "causerie.steer", "unknown_scorer"),
        (
            {"experts": {"expert": "a", "anti_expert": "b"}},
            {},
            "causerie.experts",
            "unknown_scorer",
        ),
        ({"contrast": {"amateur": "ngram:none"}}, {}, "causerie.contrast", "unknown_scorer"),
        ({"search": {"method": "beam"}}, {"temperature": 1.0}, "causerie.search", "refused_pair"),
        ({"grammar": {"regex": "("}}, {}, "causerie.grammar", "invalid_grammar"),
        ({"grammar": {"lark": "start: nothing"}}, {}, "causerie.grammar", "invalid_grammar"),
        ({"allowed_token_ids": [5], "banned_token_ids": [5]}, {}, None, "constraint_conflict"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name_and_others_go_on(
    sdk: openai.OpenAI, own: dict[str, Any], more: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, "Hello.", causerie=own, **more)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert ask(sdk, "Hello.", max_tokens=2).choices[0].message.content
