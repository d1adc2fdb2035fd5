"""Turns whose words are drawn under controls: no quotes, evidence in the prompt, cited by mark."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dialog.controlled_answer import NO_EVIDENCE_NOTE
from dialog.reply import EvidenceFound, Reply, TurnRequest
from llm.chat import Completion, Message, TextDelta, ToolCall, ToolCallDelta, Usage
from llm.decoding.grammar_spec import CitationIds, JsonSchema, Quote, Regex
from llm.decoding.spec import PLAIN, Contrast, DecodeSpec, Search, Speculation, Steer
from llm.errors import ConstraintError
from llm.sampling_params import SamplingParams
from llm.testing import ScriptedChatModel
from llm.tool_prompt import ToolUse
from tests.dialog.test_agent import KETTLE, House, request
from tests.llm.test_tool_prompt import CLOCK, OSLO, WEATHER

NONSENSE = "Qwxyz vbnmk?"
FORM = DecodeSpec(grammar=JsonSchema.of({"type": "object"}))
TOOLS = ToolUse(tools=(WEATHER, CLOCK))
CONTROLS: dict[str, dict[str, Any]] = {
    "grammar": {"spec": DecodeSpec(grammar=Regex(pattern=".*"))},
    "tools": {"tools": TOOLS},
    "search": {"spec": DecodeSpec(search=Search(method="best_of"))},
    "n": {"spec": DecodeSpec(num_choices=2)},
    "steer": {"spec": DecodeSpec(steer=(Steer(scorer="positive"),))},
    "contrast": {"spec": DecodeSpec(contrast=Contrast())},
    "context_faithfulness": {"spec": DecodeSpec(context_faithfulness=0.5)},
}


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_a_controlled_answer_from_a_collection_is_the_model_s_own(name: str) -> None:
    house = House(["It does so when it boils. [1]", "Well."])
    changes = CONTROLS[name]
    parts = list(house.agent.stream(request(KETTLE, collection="house", **changes)))
    assert isinstance(parts[0], EvidenceFound)
    reply = parts[-1]
    assert isinstance(reply, Reply)
    assert reply.text in {"It does so when it boils. [1]", "Well."}
    assert house.model.prompts[0][-1].content.startswith("Evidence:\n[1]")
    assert house.model.specs == [changes.get("spec", PLAIN)]
    if "boils" in reply.text:
        assert [citation.id for citation in reply.citations] == [1]


def test_a_guess_at_the_words_is_no_control() -> None:
    house = House(["x"])
    spec = DecodeSpec(speculation=Speculation(prediction="The kettle"))
    reply = house.ask(KETTLE, collection="house", spec=spec)
    assert reply.text.startswith("The kettle switches itself off when the water boils. [1]")
    assert house.model.specs == [spec]


def test_only_what_is_marked_is_cited() -> None:
    house = House(["When it boils. [1]", "When it boils. [9]"])
    spec = DecodeSpec(steer=(Steer(scorer="positive"),))
    assert [c.id for c in house.ask(KETTLE, collection="house", spec=spec).citations] == [1]
    assert house.ask(KETTLE, collection="house", spec=spec).citations == ()


def test_a_list_in_json_is_no_mark() -> None:
    house = House(['{"a":[1]}', '{"a":"it does \\" [1]"}'])
    assert house.ask(KETTLE, collection="house", spec=FORM).citations == ()
    assert [c.id for c in house.ask(KETTLE, collection="house", spec=FORM).citations] == [1]


def test_after_a_tool_s_result_the_evidence_is_for_the_question() -> None:
    house = House(["It does. [1]"])
    call = ToolCall(id="call_1", name="clock", arguments="{}")
    chat = (
        Message(role="user", content=KETTLE),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="noon", tool_call_id="call_1"),
    )
    reply = house.agent.respond(TurnRequest(messages=chat, tools=TOOLS, collection="house"))
    assert [citation.id for citation in reply.citations] == [1]
    last = house.model.prompts[0][-1].content
    assert last.startswith("Evidence:\n[1]")
    assert "noon" in last


def test_the_baseline_is_the_same_chat_with_the_bare_question() -> None:
    house = House(["Yes."] * 3)
    spec = DecodeSpec(context_faithfulness=0.5)
    house.ask(KETTLE, collection="house", spec=spec)
    (prompt,), (baseline,) = house.model.prompts, house.model.baselines
    assert baseline is not None
    assert baseline[:-1] == prompt[:-1]
    assert baseline[-1] == Message(role="user", content=KETTLE)
    assert prompt[-1].content != KETTLE
    house.ask(KETTLE, collection="house", spec=FORM)
    house.ask("Hello.", spec=FORM)
    assert house.model.baselines[1:] == [None, None]


@pytest.mark.parametrize(
    "changes", [{"spec": DecodeSpec(context_faithfulness=0.5)}, {"evidence_form": "quote"}]
)
def test_what_needs_evidence_needs_a_collection(changes: dict[str, Any]) -> None:
    house = House(["Yes."])
    with pytest.raises(ConstraintError, match="name a collection or leave it out"):
        house.ask(KETTLE, **changes)
    assert house.model.prompts == []


@pytest.mark.parametrize("form", ["quote", "cite"])
def test_the_evidence_gives_the_form_of_quotes_and_citations(form: str) -> None:
    house = House(["[1]"])
    reply = house.ask(KETTLE, collection="house", evidence_form=form)
    grammar = house.model.specs[0].grammar
    if form == "cite":
        assert isinstance(grammar, CitationIds)
        assert grammar.ids[0] == "1"
    else:
        assert isinstance(grammar, Quote)
        assert grammar.cite
        first = grammar.passages[0]
        assert (first.id, first.text) == (
            "1",
            "The kettle switches itself off when the water boils.",
        )
    assert [citation.id for citation in reply.citations] == [1]


def test_where_nothing_is_near_a_form_is_kept_and_the_lack_is_told() -> None:
    house = House(['{"a": 1}'])
    reply = house.ask(NONSENSE, collection="house", spec=replace(FORM, context_faithfulness=1.0))
    assert json.loads(reply.text) == {"a": 1}
    assert not reply.abstained
    assert reply.notes == (NO_EVIDENCE_NOTE,)
    assert house.model.prompts[0][-1].content == NONSENSE
    assert house.model.specs[0].context_faithfulness == 0


@pytest.mark.parametrize(
    "changes", [{"spec": DecodeSpec(num_choices=2)}, {"evidence_form": "quote"}]
)
def test_where_nothing_is_near_an_answer_without_a_form_abstains(changes: dict[str, Any]) -> None:
    house = House([])
    reply = house.ask(NONSENSE, collection="house", **changes)
    assert reply.abstained
    assert house.model.prompts == []


def test_a_call_comes_in_pieces_and_is_no_text() -> None:
    house = House([f"Let me see.{OSLO}"])
    parts = list(house.agent.stream(request("Rain?", tools=TOOLS)))
    *pieces, reply = parts
    assert isinstance(reply, Reply)
    assert reply.text == "Let me see."
    (call,) = reply.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Oslo"})
    assert "".join(p.text for p in pieces if isinstance(p, TextDelta)) == reply.text
    calls = [p for p in pieces if isinstance(p, ToolCallDelta)]
    assert (calls[0].id, calls[0].name) == (call.id, "weather")
    assert "".join(p.arguments for p in calls) == call.arguments
    assert "weather" in house.model.prompts[0][0].content


def test_a_result_is_answered_with_the_call_in_the_prompt() -> None:
    house = House(["It rains."])
    call = ToolCall(id="call_1", name="weather", arguments='{"city":"Oslo"}')
    chat = (
        Message(role="user", content="Rain?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="rain", tool_call_id="call_1"),
    )
    reply = house.agent.respond(TurnRequest(messages=chat, tools=TOOLS))
    assert reply.text == "It rains."
    system, user, assistant, result = house.model.prompts[0]
    assert [m.role for m in (system, user, assistant, result)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert assistant.content == OSLO
    assert result.content == "<tool_response>\nrain\n</tool_response>"


def test_several_answers_keep_apart_and_are_paid_for_together() -> None:
    house = House(["one two", f"three four {OSLO}", "five"])
    request_ = request("Count.", spec=DecodeSpec(num_choices=3), tools=TOOLS)
    *pieces, reply = house.agent.stream(replace(request_, params=SamplingParams(logprobs=True)))
    assert isinstance(reply, Reply)
    others = [reply.text, *(other.text for other in reply.alternatives)]
    assert sorted(others) == ["five", "one two", "three four "]
    for choice, text in enumerate(others):
        told = [p for p in pieces if isinstance(p, TextDelta) and p.choice == choice]
        assert "".join(p.text for p in told) == text
        log_probs = reply.log_probs if choice == 0 else reply.alternatives[choice - 1].log_probs
        assert tuple(t for p in told for t in p.log_probs) == log_probs
        assert log_probs
    assert sum(bool(other.tool_calls) for other in reply.alternatives) == 1
    assert reply.usage.completion_tokens == 6


def test_what_the_model_accounts_for_comes_with_the_reply() -> None:
    house = House(["Yes."])
    usage = Usage(prompt_tokens=1, completion_tokens=4)
    other = Completion(
        text="No.", finish_reason="stop", usage=usage, seed=3, prefill_s=0, decode_s=0, score=-2.0
    )
    house.model.end = {"steer_kl": 0.25, "drafted_tokens": 8, "accepted_tokens": 5, "score": -1.0}
    house.model.end["alternatives"] = (other,)
    reply = house.ask("Yes?", spec=DecodeSpec(search=Search(method="best_of")))
    assert (reply.steer_kl, reply.score) == (0.25, -1.0)
    assert (reply.drafted_tokens, reply.accepted_tokens) == (8, 5)
    assert [(o.text, o.score) for o in reply.alternatives] == [("No.", -2.0)]


def test_a_draft_that_is_only_quoted_beside_has_no_account_of_its_words() -> None:
    house = House(["Yes."])
    house.model.end = {"steer_kl": 0.25, "drafted_tokens": 8, "accepted_tokens": 5}
    reply = house.ask(KETTLE, collection="house", params=SamplingParams(logprobs=True))
    assert (reply.log_probs, reply.steer_kl) == ((), None)
    assert reply.drafted_tokens == 8


def test_a_stored_turn_under_controls_begins_the_next_prompt() -> None:
    house = House(["It does. [1]", "x"])
    conversation = house.conversation()
    house.ask(KETTLE, conversation, spec=DecodeSpec(steer=(Steer(scorer="positive"),)))
    assert house.model.read == []  # the model wrote it: it is computed already
    house.ask(KETTLE, conversation)
    first, second = house.model.prompts
    assert second[: len(first)] == first
    assert second[len(first)].content == "It does. [1]"


def test_a_result_of_a_tool_is_not_for_a_stored_conversation() -> None:
    result = Message(role="tool", content="rain", tool_call_id="call_1")
    with pytest.raises(ValueError, match="1 user message"):
        TurnRequest(messages=(result,), conversation_id="conv_1")


def test_the_double_counts_a_context_for_all_choices() -> None:
    model = ScriptedChatModel(["a", "b"])
    spec = DecodeSpec(num_choices=2)
    *_, end = model.stream([Message(role="user", content="x")], SamplingParams(), spec=spec)
    assert isinstance(end, Completion)
    assert len(end.alternatives) == 1
