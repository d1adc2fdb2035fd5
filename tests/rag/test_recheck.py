from dataclasses import replace
from datetime import UTC, datetime

import pytest

from index.errors import UnknownDocumentError
from index.protocol import DocumentRecord
from rag.citations import Citation
from rag.document import sha256_hex
from rag.recheck import recheck_citations, recheck_sentences

TEXT = "The kettle holds 2 litres. It boils."
ANSWER = "The kettle holds 2 litres. [1]"
CITATION = Citation(
    id=1,
    collection="c",
    document_id="d",
    title="Kettle",
    uri="kettle.txt",
    start=0,
    end=26,
    quote="The kettle holds 2 litres.",
    score=1.0,
    text_sha256=sha256_hex(TEXT.encode()),
)


def status_of(citation: Citation, text: str | None, answer: str = ANSWER) -> list[tuple[str, str]]:
    def get(collection: str, document_id: str) -> tuple[DocumentRecord, str]:
        if text is None:
            raise UnknownDocumentError(f"no document {document_id}")
        record = DocumentRecord(
            id=document_id,
            uri="kettle.txt",
            title="Kettle",
            media_type="text/plain",
            source_sha256="",
            text_sha256=sha256_hex(text.encode()),
            num_bytes=len(text),
            num_chunks=1,
            created_at=datetime.now(UTC),
        )
        return record, text

    return [(one.status, one.reason) for one in recheck_citations(answer, [citation], get)]


@pytest.mark.parametrize(
    ("citation", "text", "status", "reason"),
    [
        (CITATION, TEXT, "holds", "says so"),
        (CITATION, f"New. {TEXT}", "stale", "still says"),
        (CITATION, TEXT.replace("2", "3"), "stale", "no longer says"),
        (CITATION, None, "gone", "no longer there"),
        (replace(CITATION, start=4), TEXT, "wrong", "bytes 4..26"),
        (replace(CITATION, quote="It holds 3 litres."), TEXT, "wrong", "something else"),
    ],
)
def test_a_changed_source_is_told_from_a_wrong_citation(
    citation: Citation, text: str | None, status: str, reason: str
) -> None:
    ((found, why),) = status_of(citation, text)
    assert found == status
    assert reason in why


def test_a_mark_without_a_citation_is_wrong() -> None:
    found = status_of(CITATION, TEXT, answer=f"{ANSWER} It flies. [7]")
    assert [status for status, _ in found] == ["holds", "wrong"]


def test_sentences_are_judged_anew_by_what_they_cite() -> None:
    good, bad = recheck_sentences(f"{ANSWER} The kettle holds 5 litres. [1] So it is.", [CITATION])
    assert (good.verdict, bad.verdict) == ("supported", "unsupported")
    assert bad.problems == ("number: 5",)
    (told,) = recheck_sentences(f"`x`: {ANSWER}", [CITATION], [(5, 31, (1,))])
    assert (told.text, told.verdict) == (CITATION.quote, "supported")
