"""What a search may know of the dialogue before a question, and what it makes of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from index.errors import UnknownDocumentError
from index.protocol import DocumentRecord
from llm.chat import Message
from rag.document import Passage
from rag.embedder import Embedder
from rag.lane import key_of
from rag.query import about, is_fragment, refers_back, standalone_query
from rag.subject import Exchange, TermSearch, subject_of

CARRY_DECAY = 0.9  # of a turn's age: what was cited long ago is likely no longer meant
_MOST_CARRIED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueContext:
    """The exchanges so far, and what each of the last turns cited; the last turn is last."""

    exchanges: tuple[Exchange, ...] = ()
    cited: tuple[tuple[Passage, ...], ...] = ()


NO_DIALOGUE = DialogueContext()


def context_of(messages: Sequence[Message]) -> DialogueContext:
    """Return what a chat's messages are for a search: each of the user's, and what was answered."""
    exchanges: list[Exchange] = []
    for message in messages:
        if message.role == "user":
            exchanges.append(Exchange(question=message.content))
        elif message.role == "assistant" and exchanges:
            exchanges[-1] = replace(exchanges[-1], answer=message.content)
    return DialogueContext(exchanges=tuple(exchanges))


def by_questions(question: str, context: DialogueContext) -> str:
    """Return the question, with the one before it where it leans on that."""
    return standalone_query(question, [one.question for one in context.exchanges])


def by_subject(question: str, context: DialogueContext, collection: TermSearch) -> str:
    """Return the question with what the dialogue is about, where it refers back and that is known.

    A fragment takes the question before it along too, since it has hardly a word to find anything
    by; where no turn so far is found under a title, that is all there is.
    """
    if not context.exchanges or not refers_back(question):
        return by_questions(question, context)
    subject = subject_of(context.exchanges, collection)
    if not subject:
        return by_questions(question, context)
    if is_fragment(question):
        return f"{by_questions(question, context)} {subject}"
    return about(question, subject)


def carried_passages(
    question: Float[np.ndarray, " d"],
    context: DialogueContext,
    embedder: Embedder,
    get: Callable[[str], tuple[DocumentRecord, str]],
) -> list[Passage]:
    """Return what the last turns cited and still stands there so, the nearest first.

    The score is the cosine, times `CARRY_DECAY` for each turn that it is older than the last.
    """
    ages: dict[tuple[str, int, int], tuple[Passage, int]] = {}
    for age, cited in enumerate(reversed(context.cited)):
        for passage in cited:
            ages.setdefault(key_of(passage), (passage, age))
    kept = [(p, age) for p, age in ages.values() if _still_stands(p, get)][:_MOST_CARRIED]
    if not kept:
        return []
    vectors = embedder.encode([passage.chunk.text for passage, _ in kept], "query")
    scored = [
        replace(passage, score=float(vector @ question) * CARRY_DECAY**age)
        for (passage, age), vector in zip(kept, vectors, strict=True)
    ]
    return _ranked(scored)


def _still_stands(passage: Passage, get: Callable[[str], tuple[DocumentRecord, str]]) -> bool:
    if passage.origin != "source":
        return False
    try:
        _, text = get(passage.document_id)
    except UnknownDocumentError:
        return False
    chunk = passage.chunk
    return text.encode()[chunk.start : chunk.end] == chunk.text.encode()


def _ranked(passages: Sequence[Passage]) -> list[Passage]:
    ordered = sorted(passages, key=lambda passage: -passage.score)
    return [replace(passage, rank=rank) for rank, passage in enumerate(ordered, start=1)]
