"""Whole turns on doubles: a scripted model, hashed vectors, a collection and a log in memory."""

import threading
from dataclasses import replace

import pytest

from dialog.agent import DialogAgent
from dialog.answer_grounding import OWN_WORDS_LABEL
from dialog.errors import UnknownConversationError
from dialog.reply import EvidenceFound, Reply, TurnRequest
from dialog.testing import MemorySessionStore
from index.errors import UnknownCollectionError
from index.protocol import Item
from index.testing import MemoryCollection
from llm.chat import Message, TextDelta
from llm.errors import ContextOverflowError
from llm.sampling_params import SamplingParams
from llm.testing import ScriptedChatModel
from rag.document import sha256_hex
from rag.pipeline import RetrievalPipeline
from rag.testing import HashingEmbedder

DIM = 256
TEXTS = {
    "kettle": "A kettle boils water quickly. The kettle switches itself off when the water boils."
    " Never open a kettle while it boils.",
    "garden": "Roses need much sun. Ferns like shade and damp soil. A garden wants patience.",
    "train": "The night train leaves at nine. It reaches the coast in the morning.",
}


def collection_of(texts: dict[str, str]) -> MemoryCollection:
    embedder = HashingEmbedder(dim=DIM)
    collection = MemoryCollection("house", fingerprint=embedder.fingerprint, dim=DIM)
    for uri, text in texts.items():
        collection.upsert(
            uri=uri,
            title=uri,
            media_type="text/plain",
            source_sha256=sha256_hex(text.encode()),
            text=text,
            items=[Item(start=0, end=len(text.encode()))],
            vectors=embedder.encode([text], "passage"),
            fingerprint=embedder.fingerprint,
            metadata={},
        )
    return collection


class House:
    """An agent with all its parts within reach."""

    def __init__(self, replies: list[str], *, context_size: int = 4096) -> None:
        self.model = ScriptedChatModel(replies, context_size=context_size)
        self.sessions = MemorySessionStore()
        self.collection = collection_of(TEXTS)
        pipeline = RetrievalPipeline(self.open, HashingEmbedder(dim=DIM))
        self.agent = DialogAgent(self.model, pipeline, self.sessions, max_tokens=20)

    def open(self, name: str) -> MemoryCollection:
        if name != "house":
            raise UnknownCollectionError(f"no collection {name!r}; there is 'house'")
        return self.collection

    def conversation(self, collection: str | None = "house") -> str:
        return self.sessions.create(owner="", collection=collection).id

    def ask(self, text: str, conversation_id: str | None = None, **changes: object) -> Reply:
        return self.agent.respond(request(text, conversation_id=conversation_id, **changes))


def request(text: str, **changes: object) -> TurnRequest:
    turn = TurnRequest(messages=(Message(role="user", content=text),))
    return replace(turn, **changes)  # type: ignore[arg-type]


KETTLE = "When does the kettle switch itself off?"


def test_an_answer_quotes_the_source_and_its_citations_are_the_bytes() -> None:
    house = House(["I do not know."])
    reply = house.ask(KETTLE, collection="house")
    assert reply.text.startswith("The kettle switches itself off when the water boils. [1]")
    assert not reply.abstained
    source = TEXTS["kettle"].encode()
    for citation in reply.citations:
        assert f"[{citation.id}]" in reply.text
        if citation.uri == "kettle":
            assert source[citation.start : citation.end].decode() == citation.quote
            assert citation.text_sha256 == sha256_hex(source)


def test_the_parts_come_in_order_and_add_up_to_the_reply() -> None:
    house = House(["I do not know."])
    parts = list(house.agent.stream(request(KETTLE, collection="house")))
    assert isinstance(parts[0], EvidenceFound)
    assert parts[0].passages[0].uri == "kettle"
    reply = parts[-1]
    assert isinstance(reply, Reply)
    assert "".join(p.text for p in parts if isinstance(p, TextDelta)) == reply.text


def test_each_sentence_of_an_answer_has_its_verdict_and_its_bytes() -> None:
    house = House(["The kettle switches off when water boils."])
    reply = house.ask(KETTLE, collection="house")
    assert reply.grounding is not None
    assert reply.grounding.mode == "extractive"
    assert reply.grounding.gate.decision == "answer"
    *quoted, own = reply.grounding.sentences
    said = reply.text.encode()
    quotes = {citation.id: citation.quote for citation in reply.citations}
    for sentence in quoted:
        (number,) = sentence.citations
        assert said[sentence.start : sentence.end].decode() == quotes[number]
        assert (sentence.verdict, sentence.is_verbatim) == ("supported", True)
    assert said[own.start : own.end].decode() == "The kettle switches off when water boils."
    assert (own.verdict, own.citations, own.is_verbatim) == ("supported", (1,), False)


def test_a_stop_string_cuts_the_sentences_that_are_judged() -> None:
    house = House(["x"])
    reply = house.ask(KETTLE, collection="house", params=SamplingParams(stop=("when",)))
    assert reply.grounding is not None
    (sentence,) = reply.grounding.sentences
    assert reply.text.encode()[sentence.start : sentence.end] == b"The kettle switches itself off "


def test_an_abstention_has_no_sentence_and_says_why() -> None:
    house = House([])
    reply = house.ask("Who was the painter Rembrandt married to?", collection="house")
    assert reply.abstained
    assert reply.text.endswith("None of that speaks of Rembrandt.")
    assert reply.grounding is not None
    assert (reply.grounding.gate.decision, reply.grounding.sentences) == ("abstain", ())
    assert all(passage.title in reply.text for passage in reply.grounding.nearest[:1])
    assert reply.grounding.nearest


def test_the_model_reads_the_evidence_with_numbers_and_the_question() -> None:
    house = House(["Yes."])
    house.ask(KETTLE, collection="house")
    system, user = house.model.prompts[0]
    assert system.role == "system"
    assert user.content.startswith("Evidence:\n[1]")
    assert "The kettle switches itself off when the water boils." in user.content
    assert "Never open a kettle" not in user.content  # what is not quoted cannot be said
    assert user.content.endswith(f"Question: {KETTLE}")


def test_a_recorded_turn_is_read_ahead_as_the_next_prompt_begins() -> None:
    house = House(["I do not know.", "I do not know.", "Hello."])
    conversation = house.conversation()
    house.ask(KETTLE, conversation)
    (read, tenant), *_ = house.model.read
    house.ask(KETTLE, conversation)
    assert house.model.prompts[1][: len(read)] == read
    assert tenant == ""
    house.model.read.clear()
    house.ask("Hello!", house.conversation(collection=None))  # what it wrote is computed anyway
    assert house.model.read == []


def test_its_own_words_are_shown_only_where_a_quote_bears_them_out() -> None:
    shortened = House(["The kettle switches off when water boils. It is blue."])
    reply = shortened.ask(KETTLE, collection="house")
    assert reply.text.endswith(f"{OWN_WORDS_LABEL}The kettle switches off when water boils.")
    reordered = House(["When the water switches off, the kettle boils."])
    assert OWN_WORDS_LABEL not in reordered.ask(KETTLE, collection="house").text
    invented = House(["The kettle costs 40 pounds and sings."])
    assert "pounds" not in invented.ask(KETTLE, collection="house").text


def test_a_hopeless_draft_costs_few_tokens() -> None:
    reply = House(["The answer is " + "la " * 40]).ask(KETTLE, collection="house")
    assert reply.timings.decoded_tokens < 9
    assert reply.finish_reason == "stop"
    assert "[1]" in reply.text


def test_a_stop_string_cuts_a_cited_answer_and_its_mark_with_it() -> None:
    params = SamplingParams(stop=(*(f"never{i}" for i in range(15)), " off"))
    reply = House(["x"]).ask(KETTLE, collection="house", params=params)
    assert reply.text == "The kettle switches itself"
    assert reply.citations == ()
    assert reply.finish_reason == "stop"


def test_evidence_takes_no_more_room_than_there_is() -> None:
    house = House(["x"], context_size=70)
    reply = house.ask(KETTLE, collection="house")
    assert not reply.abstained
    assert house.model.count_tokens(house.model.prompts[0]) < 70


def test_a_second_turn_waits_for_the_first_and_knows_it() -> None:
    house = House(["one two three", "four"])
    conversation = house.conversation(None)
    first = house.agent.stream(request("First?", conversation_id=conversation))
    next(first)
    replies: list[Reply] = []
    second = threading.Thread(
        target=lambda: replies.append(house.ask("Second?", conversation)), daemon=True
    )
    second.start()
    second.join(0.3)
    assert replies == []
    list(first)
    second.join(10)
    assert [reply.text for reply in replies] == ["four"]
    assert [message.content for message in house.model.prompts[1]][:1] == ["First?"]


def test_where_nothing_is_near_the_answer_says_so_and_the_model_is_not_asked() -> None:
    house = House(["Paris."])
    reply = house.ask("Who painted Guernica?", collection="house")
    assert reply.abstained
    assert "found nothing" in reply.text
    assert reply.citations == ()
    assert house.model.prompts == []


def test_plain_chat_searches_nothing_and_passes_the_history_on() -> None:
    house = House(["Fine, thanks."])
    messages = (
        Message(role="system", content="Be kind."),
        Message(role="user", content="Hello."),
        Message(role="assistant", content="Hi!"),
        Message(role="user", content="How are you?"),
    )
    reply = house.agent.respond(TurnRequest(messages=messages))
    assert reply.text == "Fine, thanks."
    assert house.model.prompts == [messages]
    assert reply.citations == ()


def test_an_answer_has_the_default_length_where_the_request_names_none() -> None:
    house = House(["word " * 50])
    reply = house.ask("Talk.")
    assert reply.finish_reason == "length"
    assert reply.usage.completion_tokens == 20


def test_a_stored_conversation_is_remembered_with_its_evidence_unchanged() -> None:
    house = House(["x", "y"])
    conversation = house.conversation()
    house.ask(KETTLE, conversation)
    house.ask("Do ferns like shade and damp soil?", conversation)
    first, second = house.model.prompts
    assert second[: len(first)] == first
    assert second[len(first)].role == "assistant"
    assert second[len(first)].content.startswith("The kettle switches itself off")


def test_a_follow_up_is_searched_with_the_question_before_it() -> None:
    house = House(["x", "y"])
    conversation = house.conversation()
    house.ask("Roses need much sun, and ferns like shade and damp soil?", conversation)
    reply = house.ask("Why?", conversation)
    assert reply.citations[0].uri == "garden"
    assert House([]).ask("Why?", collection="house").abstained


def test_early_turns_leave_the_window_and_the_reply_says_so() -> None:
    house = House(["fine"] * 9, context_size=120)
    conversation = house.conversation(None)
    replies = [house.ask("word " * 15, conversation) for _ in range(9)]
    assert replies[0].dropped_turns == 0
    assert replies[0].notes == ()
    assert replies[-1].dropped_turns > 0
    assert "left the window" in replies[-1].notes[0]


@pytest.mark.parametrize("collection", [None, "house"])
def test_a_message_that_cannot_fit_is_refused_with_its_excess(collection: str | None) -> None:
    house = House(["x"], context_size=60)
    conversation = house.conversation(collection)
    with pytest.raises(ContextOverflowError, match="more than the"):
        house.ask("word " * 80, conversation)
    assert len(house.sessions.events(conversation, "")) == 1


def test_a_cancelled_turn_keeps_and_records_what_was_said() -> None:
    house = House(["one two three four five"])
    conversation = house.conversation(None)
    cancel = threading.Event()
    reply = None
    for part in house.agent.stream(request("Go.", conversation_id=conversation), cancel=cancel):
        if isinstance(part, TextDelta):
            cancel.set()
        elif isinstance(part, Reply):
            reply = part
    assert reply is not None
    assert reply.finish_reason == "cancelled"
    assert reply.text == "one"
    assert len(house.sessions.events(conversation, "")) == 3


def test_a_cancelled_cited_answer_cites_only_what_it_said() -> None:
    house = House(["a b c d e f g h"])
    cancel = threading.Event()
    parts = []
    for part in house.agent.stream(request(KETTLE, collection="house"), cancel=cancel):
        parts.append(part)
        if isinstance(part, TextDelta):
            cancel.set()
    reply = parts[-1]
    assert isinstance(reply, Reply)
    assert reply.finish_reason == "cancelled"
    assert {c.id for c in reply.citations} == {
        c.id for c in reply.citations if f"[{c.id}]" in reply.text
    }


def test_unknown_collections_and_conversations_are_named_errors() -> None:
    house = House(["x"])
    with pytest.raises(UnknownCollectionError, match="there is 'house'"):
        house.ask("Hello?", collection="nowhere")
    with pytest.raises(UnknownConversationError):
        house.ask("Hello?", "no-such-id")


@pytest.mark.parametrize("text", ["", "   \n"])
def test_an_empty_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        request(text)
