"""Checks an answer again, later: do its citations still hold, and do they bear out what was said?

Tells a source that changed since ("stale") or is no longer there ("gone") from a citation that
never was right ("wrong"): the hash of the text that was cited says which text was meant.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from index.errors import UnknownCollectionError, UnknownDocumentError
from index.protocol import DocumentRecord
from rag.answer_sentences import answer_sentences
from rag.citations import Citation
from rag.claim_check import check_claim
from rag.grounding import VerdictName, verdict_on

Span = tuple[int, int, tuple[int, ...]]  # bytes of the answer, and ids of citations
Status = Literal["holds", "stale", "gone", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationStatus:
    """How a citation stands today; `reason` is a sentence."""

    id: int
    status: Status
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceStatus:
    """What a sentence is worth by the quotes that it cites; `citations` are its marks."""

    text: str
    citations: tuple[int, ...]
    verdict: VerdictName
    problems: tuple[str, ...] = ()


def recheck_citations(
    answer: str,
    citations: Sequence[Citation],
    get: Callable[[str, str], tuple[DocumentRecord, str]],
) -> list[CitationStatus]:
    """Return how each citation stands, and each mark of the answer that has none.

    `get` returns a document of a collection, by the names and ids of both, and its text.
    """
    known = {citation.id for citation in citations}
    marks = {mark for sentence in answer_sentences(answer) for mark in sentence.marks}
    found = [_status(citation, get) for citation in citations]
    return found + [
        CitationStatus(id=mark, status="wrong", reason="the answer has no citation of this id")
        for mark in sorted(marks - known)
    ]


def recheck_sentences(
    answer: str, citations: Sequence[Citation], spans: Sequence[Span] = ()
) -> Iterator[SentenceStatus]:
    """Yield the verdict on each sentence that cites something, by the quotes that were cited.

    `spans` are the sentences that the answer tells of itself; without them it is cut anew.
    """
    quotes = {citation.id: citation.quote for citation in citations}
    for text, ids in _said(answer, spans):
        check = check_claim(text, "\n".join(quotes[id_] for id_ in ids if id_ in quotes))
        yield SentenceStatus(
            text=text,
            citations=ids,
            verdict=verdict_on(check),
            problems=tuple(f"{problem.kind}: {problem.text}" for problem in check.problems),
        )


def _said(answer: str, spans: Sequence[Span]) -> Iterator[tuple[str, tuple[int, ...]]]:
    data = answer.encode()
    for start, end, ids in spans:
        if ids:
            yield data[start:end].decode(errors="replace"), ids
    if not spans:
        for sentence in answer_sentences(answer):
            if sentence.marks:
                yield sentence.text, sentence.marks


def _status(
    citation: Citation, get: Callable[[str, str], tuple[DocumentRecord, str]]
) -> CitationStatus:
    try:
        record, text = get(citation.collection, citation.document_id)
    except (UnknownCollectionError, UnknownDocumentError):
        return CitationStatus(
            id=citation.id, status="gone", reason=f"{citation.uri} is no longer there"
        )
    if record.text_sha256 != citation.text_sha256:
        still = "still says" if citation.quote in text else "no longer says"
        return CitationStatus(
            id=citation.id,
            status="stale",
            reason=f"{citation.uri} changed since, and {still} what was quoted",
        )
    if text.encode()[citation.start : citation.end] != citation.quote.encode():
        return CitationStatus(
            id=citation.id,
            status="wrong",
            reason=f"bytes {citation.start}..{citation.end} of {citation.uri} are something else",
        )
    return CitationStatus(id=citation.id, status="holds", reason=f"{citation.uri} says so")
