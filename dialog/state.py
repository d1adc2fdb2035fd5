"""The state of a conversation: a pure fold of its events, and nothing else.

No clock, no randomness, no model: equal logs give equal states, and the fold of a prefix is a
prefix of the fold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dialog.events import ConversationOpened, Event, EvidenceRetrieved, SystemUttered, UserUttered
from llm.chat import Message
from rag.citations import Citation
from rag.document import Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange: the question as asked, and both sides as they stand in the prompt.

    `found` is what the answer could draw on and, once it was given, what it cited; an `answer` that
    said nothing is empty.
    """

    question: str
    messages: tuple[Message, ...]
    answer: str = ""
    found: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogState:
    """What a conversation is about and what was said so far."""

    collection: str | None = None
    turns: tuple[Turn, ...] = ()

    def after(self, *events: Event) -> "DialogState":
        """Return the state once these events have happened."""
        state = self
        for event in events:
            state = _after(state, event)
        return state


def replay(events: Iterable[Event]) -> DialogState:
    """Return the state that a log leads to."""
    return DialogState().after(*events)


def _after(state: DialogState, event: Event) -> DialogState:
    match event:
        case ConversationOpened(collection=collection):
            return replace(state, collection=collection)
        case UserUttered(text=text, prompt_text=prompt_text):
            message = Message(role="user", content=prompt_text or text)
            return replace(state, turns=(*state.turns, Turn(question=text, messages=(message,))))
        case SystemUttered(text=text, prompt_text=prompt_text):
            if not state.turns:
                return state
            *before, last = state.turns
            message = Message(role="assistant", content=prompt_text or text)
            answered = replace(
                last,
                messages=(*last.messages, message),
                answer="" if event.abstained else text,
                found=_cited(last.found, event.citations),
            )
            return replace(state, turns=(*before, answered))
        case EvidenceRetrieved(passages=passages):
            if not state.turns:
                return state
            *before, last = state.turns
            return replace(state, turns=(*before, replace(last, found=passages)))


def _cited(found: Sequence[Passage], citations: Sequence[Citation]) -> tuple[Passage, ...]:
    """Return the passages that a citation points into."""
    return tuple(
        passage
        for passage in found
        if any(
            citation.document_id == passage.document_id
            and passage.chunk.start <= citation.start < citation.end <= passage.chunk.end
            for citation in citations
        )
    )
