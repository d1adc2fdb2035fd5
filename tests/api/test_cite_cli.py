"""`cite verify` on an answer of a stored collection, before and after its source changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli.index_options import opened_store
from api.settings import load_settings
from index.protocol import Item
from rag.document import sha256_hex
from rag.testing import HashingEmbedder
from tests.api.test_cli import run

TEXT = "The kettle holds 2 litres. It boils."


def store(text: str) -> str:
    embedder = HashingEmbedder()
    with opened_store(load_settings(), "") as collections:
        if not collections.list():
            collections.create(
                "house",
                embedder=embedder.name,
                fingerprint=embedder.fingerprint,
                dim=embedder.dim,
            )
        record = collections.open("house").upsert(
            uri="kettle.txt",
            title="Kettle",
            media_type="text/plain",
            source_sha256="",
            text=text,
            items=[Item(start=0, end=len(text))],
            vectors=embedder.encode([text], "passage"),
            fingerprint=embedder.fingerprint,
            metadata={},
        )
    return record.id


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    citation: dict[str, Any] = {
        "id": 1,
        "collection": "house",
        "document_id": store(TEXT),
        "title": "Kettle",
        "uri": "kettle.txt",
        "start": 0,
        "end": 26,
        "quote": "The kettle holds 2 litres.",
        "score": 0.5,
        "text_sha256": sha256_hex(TEXT.encode()),
    }
    message = {
        "role": "assistant",
        "content": "The kettle holds 2 litres. [1]",
        "causerie": {"citations": [citation]},
    }
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"choices": [{"message": message}]}))
    return path


def test_an_answer_holds_until_its_source_changes(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cite", "verify", str(answer)) == 0
    said = capsys.readouterr().out
    assert "[1] holds: kettle.txt says so" in said
    assert "[1] supported: The kettle holds 2 litres." in said
    store(TEXT.replace("2", "3"))
    assert run("cite", "verify", str(answer), "--json") == 1
    (citation,) = json.loads(capsys.readouterr().out)["citations"]
    assert citation["status"] == "stale"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"choices": []}', '{"answer": 1, "citations": [1]}']
)
def test_a_file_that_holds_no_answer_is_refused_in_one_sentence(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answer.json"
    path.write_text(text)
    assert run("cite", "verify", str(path)) == 1
    assert "holds no answer with citations" in capsys.readouterr().err
