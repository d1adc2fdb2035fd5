"""From a question to citations on doubles: a collection in memory and hashed vectors."""

import pytest

from index.protocol import Item
from index.testing import MemoryCollection
from rag.chunking import chunk
from rag.document import sha256_hex
from rag.loaders.table import load_table
from rag.pipeline import Evidence, RetrievalPipeline
from rag.testing import HashingEmbedder

DIM = 1024
TABLE = load_table(
    b"device,price in pounds,colour\nkettle,30,red\ntoaster,45,blue\niron,25,green\n"
).text
LIST = (
    "# Visits\n\n- Opening hours of the museum are Monday to Friday from nine to five\n"
    "- Dogs must wait outside\n"
)
CHINESE = "博物馆每天上午九点开门、下午五点关门。门票三十元。"
MARKDOWN = "# Zebras\nZebras have stripes in black and white. They live in the savanna.\n"


def find(question: str) -> Evidence:
    embedder = HashingEmbedder(dim=DIM)
    collection = MemoryCollection("house", fingerprint=embedder.fingerprint, dim=DIM)
    texts = {"table.csv": TABLE, "list.md": LIST, "chinese.txt": CHINESE, "zebras.md": MARKDOWN}
    for uri, text in texts.items():
        chunks = chunk(text, count_tokens=embedder.count_tokens, media_type="text/markdown")
        collection.upsert(
            uri=uri,
            title=uri,
            media_type="text/plain",
            source_sha256=sha256_hex(text.encode()),
            text=text,
            items=[Item(start=c.start, end=c.end, heading_path=c.heading_path) for c in chunks],
            vectors=embedder.encode([c.text for c in chunks], "passage"),
            fingerprint=embedder.fingerprint,
            metadata={},
        )
    evidence = RetrievalPipeline(lambda _: collection, embedder).find(question, "house")
    for citation in evidence.citations:
        source = texts[citation.uri].encode()
        assert source[citation.start : citation.end].decode() == citation.quote
        assert citation.text_sha256 == sha256_hex(source)
    return evidence


@pytest.mark.parametrize(
    ("question", "uri", "quote"),
    [
        (
            "What is the price in pounds of the device kettle, colour red?",
            "table.csv",
            "device: kettle\nprice in pounds: 30\ncolour: red",
        ),
        (
            "What are the opening hours of the museum, Monday to Friday?",
            "list.md",
            "Opening hours of the museum are Monday to Friday from nine to five",
        ),
        (
            "博物馆每天上午九点开门、下午五点关门",
            "chinese.txt",
            "博物馆每天上午九点开门、下午五点关门。",
        ),
        (
            "Which stripes have zebras, black and white?",
            "zebras.md",
            "Zebras have stripes in black and white.",
        ),
    ],
)
def test_what_the_gate_finds_near_is_quoted(question: str, uri: str, quote: str) -> None:
    evidence = find(question)
    assert evidence.gate.is_near
    assert evidence.is_near
    assert (evidence.citations[0].uri, evidence.citations[0].quote) == (uri, quote)


def test_what_the_gate_finds_far_is_not_quoted() -> None:
    evidence = find("Who composed the symphony?")
    assert not evidence.is_near
    assert evidence.citations == ()
    assert evidence.passages
