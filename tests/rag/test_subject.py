"""The subject of a dialogue, from a collection in memory."""

from collections.abc import Sequence

from index.protocol import Item
from index.testing import MemoryCollection
from rag.subject import Exchange, subject_of
from rag.testing import HashingEmbedder

DIM = 64
PAGES = {
    "Ada Lovelace": "She wrote the first program for the analytical engine.",
    "Grace Hopper": "Her compiler turned English words into machine code.",
}


def collection() -> MemoryCollection:
    """Return one chunk a page."""
    embedder = HashingEmbedder(dim=DIM)
    found = MemoryCollection("people", fingerprint=embedder.fingerprint, dim=DIM)
    for title, text in PAGES.items():
        found.upsert(
            uri=title,
            title=title,
            media_type="text/plain",
            source_sha256="",
            text=text,
            items=[Item(start=0, end=len(text))],
            vectors=embedder.encode([text], "passage"),
            fingerprint=embedder.fingerprint,
            metadata={},
        )
    return found


def subject(*turns: tuple[str, str]) -> str:
    """Return the subject of turns."""
    exchanges: Sequence[Exchange] = [Exchange(question=q, answer=a) for q, a in turns]
    return subject_of(exchanges, collection())


def test_the_title_that_most_turns_are_found_under_is_the_subject() -> None:
    """None of them names it."""
    assert subject(("Who wrote the first program?", "She did."), ("On what engine?", "")) == (
        "Ada Lovelace"
    )


def test_of_equals_the_last_counts() -> None:
    """The dialogue has gone on to it."""
    first, second = ("the engine?", ""), ("the compiler?", "machine code")
    assert subject(first, second) == "Grace Hopper"
    assert subject(second, first) == "Ada Lovelace"


def test_turns_that_find_nothing_have_no_subject() -> None:
    """Nothing is added to the question then."""
    assert subject() == ""
    assert subject(("zzz?", "")) == ""


def test_a_quote_in_an_answer_asks_for_no_exact_phrase() -> None:
    """A phrase that stands nowhere would find nothing."""
    assert subject(("What?", 'The "English compiler" did.')) == "Grace Hopper"
