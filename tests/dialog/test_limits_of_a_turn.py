"""What bounds a turn besides its words: the window, the deadline, and whose cache it uses."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from dialog.errors import ConversationBusyError
from dialog.session import ALL_OWNERS
from llm.chat import Completion, Message, TextDelta
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.sampling_params import SamplingParams
from llm.testing import ScriptedChatModel
from rag.dialogue_context import DialogueContext
from tests.dialog.test_agent import KETTLE, House, request

ROLL = SamplingParams(overflow="roll")
SOON = SamplingParams(timeout_s=2.0)


class LateModel(ScriptedChatModel):
    """Its time is over after the first word."""

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        cancel: threading.Event | None = None,
        tenant: str = "",
    ) -> Iterator[TextDelta | Completion]:
        """Yield one word, then the end."""
        once = replace(params, max_tokens=1)
        parts = super().stream(
            messages, once, spec=spec, baseline=baseline, cancel=cancel, tenant=tenant
        )
        for part in parts:
            if isinstance(part, Completion):
                yield replace(part, finish_reason="deadline")
            else:
                yield part


def late_house(*replies: str) -> House:
    house = House([])
    house.model = LateModel(replies)
    house.agent._model = house.model
    return house


@pytest.mark.parametrize("collection", [None, "house"])
def test_a_message_longer_than_the_context_is_answered_where_the_cache_may_roll(
    collection: str | None,
) -> None:
    house = House(["x"], context_size=60)
    reply = house.ask(f"{KETTLE} " * 20, collection=collection, params=ROLL)
    assert reply.left_window > 0
    assert [note for note in reply.notes if f"{reply.left_window} tokens have left" in note]


def test_a_rolled_turn_leaves_the_window_of_the_next_one() -> None:
    house = House(["x", "y"], context_size=60)
    conversation = house.conversation(None)
    house.ask("word " * 80, conversation, params=ROLL)
    reply = house.ask("And how?", conversation, params=ROLL)
    assert (reply.left_window, reply.dropped_turns) == (0, 1)


def test_a_rolled_answer_from_a_collection_still_quotes() -> None:
    house = House(["x"], context_size=60)
    reply = house.ask(f"{KETTLE} {KETTLE} " * 6, collection="house", params=ROLL)
    assert reply.text.startswith("The kettle switches itself off when the water boils. [1]")


@pytest.mark.parametrize("collection", [None, "house"])
def test_the_owner_of_a_turn_is_the_tenant_of_its_cache(collection: str | None) -> None:
    house = House(["x", "y", "z"])
    for owner in ("ada", "bob", ALL_OWNERS):
        house.ask(KETTLE, collection=collection, owner=owner)
    assert house.model.tenants == ["ada", "bob", ALL_OWNERS]


@pytest.mark.parametrize("collection", [None, "house"])
def test_a_turn_that_ends_by_its_deadline_says_so(collection: str | None) -> None:
    reply = late_house("The kettle is hot.").ask(KETTLE, collection=collection, params=SOON)
    assert reply.finish_reason == "deadline"
    assert reply.notes == ("The deadline of 2 s passed: the answer stops here.",)


def test_quotes_are_given_whole_even_where_the_deadline_ended_the_draft() -> None:
    reply = late_house("The kettle is hot.").ask(KETTLE, collection="house", params=SOON)
    assert reply.text.startswith("The kettle switches itself off when the water boils. [1]")
    assert {citation.id for citation in reply.citations} >= {1}


def test_the_deadline_counts_from_the_beginning_of_the_turn() -> None:
    house = House(["x"])
    found = house.agent._retrieval.find

    def slowly(question: str, collection: str, *, context: DialogueContext) -> object:
        time.sleep(0.2)
        return found(question, collection, context=context)

    house.agent._retrieval.find = slowly  # type: ignore[method-assign, assignment]
    house.ask(KETTLE, collection="house", params=SOON)
    (params,) = house.model.params
    assert params.timeout_s is not None
    assert 0 < params.timeout_s <= 1.8


def test_a_time_that_is_over_before_the_model_is_asked_leaves_it_next_to_nothing() -> None:
    house = House(["x"])
    house.ask("Hello?", params=SamplingParams(timeout_s=1e-9))
    (params,) = house.model.params
    assert params.timeout_s is not None
    assert 0 < params.timeout_s <= 0.01


def test_a_turn_behind_another_one_waits_no_longer_than_its_deadline() -> None:
    house = House(["one two three", "four"])
    conversation = house.conversation(None)
    first = house.agent.stream(request("First?", conversation_id=conversation))
    next(first)
    began = time.monotonic()
    with pytest.raises(ConversationBusyError, match=r"another turn .* of the 0\.3 s"):
        house.ask("Second?", conversation, params=SamplingParams(timeout_s=0.3))
    assert time.monotonic() - began < 2
    list(first)
    assert house.ask("Third?", conversation, params=SOON).text == "four"
