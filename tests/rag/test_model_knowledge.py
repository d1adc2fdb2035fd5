"""What a model wrote is read and never cited: by no quote, no number, no mark of the grammar."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dialog.generated_answer import cited_sentences
from index.protocol import DocumentRecord
from rag.document import Passage
from rag.packing import PackedPassage, generative_prompt, pack_passages
from rag.quotes import Quote, choose_quotes
from rag.sentences import split_sentences
from rag.testing import HashingEmbedder, passage

SAID = "The kettle boils water at ninety degrees."
SOURCE = passage("The kettle boils water at a hundred degrees.", uri="kettle.md", score=0.5)
WRITTEN = replace(passage(SAID, uri="model:scripted", score=0.9), origin="model")


def get(document_id: str) -> tuple[DocumentRecord, str]:
    assert document_id == SOURCE.document_id, "what a model wrote is in no document"
    record = DocumentRecord(
        id=document_id,
        uri=SOURCE.uri,
        title="",
        media_type="text/plain",
        source_sha256="",
        text_sha256="0" * 64,
        num_bytes=1,
        num_chunks=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return record, SOURCE.chunk.text


def packed(*passages: Passage) -> list[PackedPassage]:
    return pack_passages(passages, get, count_tokens=lambda text: len(text.split()))


def test_it_is_never_quoted() -> None:
    quotes = choose_quotes(
        "At how many degrees does the kettle boil water?",
        [WRITTEN, SOURCE],
        embedder=HashingEmbedder(),
        term_weights={},
        priors={},
    )
    assert [quote.sentence.text for quote in quotes] == [SOURCE.chunk.text]


def test_it_gets_no_number_and_the_grammar_admits_none() -> None:
    numbered = packed(WRITTEN, SOURCE)
    assert [(one.number, one.passage.uri) for one in numbered] == [(1, "kettle.md")]
    grammar = cited_sentences([one.number for one in numbered]).source
    assert r"\[(1)\]" in grammar
    prompt = generative_prompt("How hot?", numbered, [WRITTEN])
    assert SAID in prompt
    assert prompt.count("[") == 1
    assert prompt.index(SAID) > prompt.index(SOURCE.chunk.text)
    assert generative_prompt("How hot?", numbered) == prompt.replace(
        f"\n\nNot evidence, and not to be cited: {SAID}", ""
    )


def test_no_citation_can_be_made_of_it() -> None:
    (sentence,) = split_sentences(WRITTEN.chunk)
    with pytest.raises(ValueError, match="no source"):
        Quote(passage=WRITTEN, sentence=sentence, score=1.0).citation(1)
    with pytest.raises(ValueError, match="no source"):
        PackedPassage(number=1, passage=WRITTEN, text_sha256="").citation(0, 5)
