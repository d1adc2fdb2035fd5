"""Answers in the model's words: what holds is said, what does not is mended, struck or flagged."""

from typing import Any

import pytest

from dialog.agent import DialogAgent
from dialog.reply import Reply, TurnRequest
from dialog.testing import MemorySessionStore
from llm.chat import Message
from llm.decoding.grammar_spec import Choices, Lark
from llm.decoding.spec import DecodeSpec, Search
from llm.errors import ConstraintError
from llm.sampling_params import SamplingParams
from llm.testing import LetterScorer, ScriptedChatModel
from rag.document import sha256_hex
from rag.pipeline import RetrievalPipeline
from rag.testing import HashingEmbedder
from rag.verifier import Verifier
from tests.dialog.test_agent import DIM, KETTLE, TEXTS, collection_of

GOOD = "The kettle switches off when water boils. [1]"


def ask(replies: list[str], *, verifier: Verifier | None = None, **changes: Any) -> Reply:
    return asked(replies, verifier=verifier, **changes)[0]


def asked(
    replies: list[str], *, verifier: Verifier | None = None, **changes: Any
) -> tuple[Reply, ScriptedChatModel]:
    model = ScriptedChatModel(replies)
    collection = collection_of(TEXTS)
    pipeline = RetrievalPipeline(lambda _: collection, HashingEmbedder(dim=DIM))
    agent = DialogAgent(model, pipeline, MemorySessionStore(), verifier=verifier)
    request: dict[str, Any] = {
        "messages": (Message(role="user", content=KETTLE),),
        "collection": "house",
        "answer": "generative",
        **changes,
    }
    return agent.respond(TurnRequest(**request)), model


def test_what_the_evidence_bears_out_is_said_and_cites_the_sentence_that_does() -> None:
    reply, model = asked([GOOD])
    assert reply.text == GOOD
    (citation,) = reply.citations
    assert citation.quote == "The kettle switches itself off when the water boils."
    source = TEXTS["kettle"].encode()
    assert source[citation.start : citation.end].decode() == citation.quote
    assert citation.text_sha256 == sha256_hex(source)
    assert reply.grounding is not None
    (sentence,) = reply.grounding.sentences
    assert reply.grounding.mode == "generative"
    assert (sentence.verdict, sentence.citations) == ("supported", (1,))
    assert isinstance(model.specs[0].grammar, Lark)
    assert "Evidence:\n[1] kettle: A kettle boils water quickly." in model.prompts[0][-1].content


def test_a_wrong_mark_is_put_right() -> None:
    reply = ask([GOOD.replace("[1]", "[3]")])
    assert reply.text == GOOD
    assert reply.citations[0].uri == "kettle"


def test_a_sentence_that_nothing_bears_out_is_written_anew_as_a_quote() -> None:
    reply, model = asked(
        [
            "The kettle explodes after 17 minutes. [1]",
            '"The kettle switches itself off when the water boils." [1]',
        ]
    )
    assert reply.text == '"The kettle switches itself off when the water boils." [1]'
    assert isinstance(model.specs[1].grammar, Choices)
    assert (
        '"The kettle switches itself off when the water boils." [1]'
        in model.specs[1].grammar.options
    )
    assert reply.grounding is not None
    assert [s.verdict for s in reply.grounding.sentences] == ["supported"]
    assert reply.grounding.sentences[0].is_rewritten
    drawn = ask([GOOD]).grounding
    assert drawn is not None
    assert [s.is_rewritten for s in drawn.sentences] == [False]


def test_what_cannot_be_mended_is_struck_and_nothing_left_is_an_abstention() -> None:
    reply = ask([f"{GOOD} The kettle explodes after 17 minutes. [1]"])
    assert reply.text == GOOD
    assert reply.grounding is not None
    assert reply.grounding.struck == 1
    assert reply.grounding.nearest == ()
    reply = ask(["The kettle explodes after 17 minutes. [1]", '"It was 18 Zeppelins." [1]'])
    assert reply.abstained
    assert reply.text.startswith("I found nothing")
    assert "kettle" in reply.text
    assert not reply.citations
    assert reply.grounding is not None
    assert reply.grounding.nearest[0].uri == "kettle"


def test_a_request_may_have_it_said_and_flagged() -> None:
    reply = ask(["The kettle explodes after 17 minutes. [1]"], unsupported="flag")
    assert reply.text.startswith("The kettle explodes after 17 minutes. [")
    assert reply.grounding is not None
    (sentence,) = reply.grounding.sentences
    assert sentence.verdict == "unsupported"
    assert [problem.text for problem in sentence.problems] == ["17"]


def test_scores_are_told_where_there_are_models_for_them() -> None:
    verifier = Verifier(HashingEmbedder(dim=DIM), LetterScorer())
    reply = ask([GOOD], verifier=verifier)
    assert reply.grounding is not None
    (sentence,) = reply.grounding.sentences
    assert sentence.similarity is not None
    assert sentence.similarity > 0.3
    assert sentence.lift is not None


def test_context_faithfulness_compares_with_the_bare_question() -> None:
    _, model = asked([GOOD], spec=DecodeSpec(context_faithfulness=0.5))
    assert model.baselines[0] is not None
    assert model.baselines[0][-1].content == KETTLE


def test_a_stop_string_ends_the_answer() -> None:
    draft = f"{GOOD} Never open a kettle while it boils. [1]"
    assert (
        ask([draft], params=SamplingParams(stop=("boils. [1]",))).text
        == GOOD.partition("boils.")[0]
    )


def test_a_form_of_ones_own_is_refused_and_so_is_an_answer_from_nowhere() -> None:
    with pytest.raises(ValueError, match="forms the answer itself"):
        ask([GOOD], spec=DecodeSpec(search=Search(method="beam")))
    with pytest.raises(ConstraintError, match="name a collection"):
        ask([GOOD], collection=None)
