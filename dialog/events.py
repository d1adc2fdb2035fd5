"""What happened in a conversation, as values that are stored and replayed.

Each event has a versioned kind name (`user_uttered.v1`) and a JSON payload; a changed shape gets a
new version, and old ones stay readable. Does not know where events are kept (`dialog/session.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from dialog.errors import UnreadableEventError
from dialog.reply import Timings
from llm.chat import FinishReason, Usage
from rag.citations import Citation
from rag.document import Passage, passage_from_payload
from rag.grounding import Grounding, grounding_from_payload

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOpened:
    """The first event: over which collection (None: plain chat) and under which title."""

    kind: ClassVar[str] = "conversation_opened.v1"

    collection: str | None = None
    title: str = ""

    def to_payload(self) -> Payload:
        """Return the event as JSON values."""
        return {"collection": self.collection, "title": self.title}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "ConversationOpened":
        """Rebuild the event from `to_payload`'s result."""
        return cls(collection=payload["collection"], title=payload["title"])


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUttered:
    """A user's message.

    `prompt_text` is the message as it stood in the model's prompt, evidence included, so that later
    turns can repeat it unchanged and find their prefix in the cache.
    """

    kind: ClassVar[str] = "user_uttered.v1"

    message_id: str
    text: str
    prompt_text: str = ""

    def to_payload(self) -> Payload:
        """Return the event as JSON values."""
        return {"message_id": self.message_id, "text": self.text, "prompt_text": self.prompt_text}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "UserUttered":
        """Rebuild the event from `to_payload`'s result."""
        return cls(
            message_id=payload["message_id"],
            text=payload["text"],
            prompt_text=payload["prompt_text"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRetrieved:
    """The passages that the answer could draw on, best first."""

    kind: ClassVar[str] = "evidence_retrieved.v1"

    passages: tuple[Passage, ...] = ()

    def to_payload(self) -> Payload:
        """Return the event as JSON values."""
        return {"passages": [asdict(passage) for passage in self.passages]}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "EvidenceRetrieved":
        """Rebuild the event from `to_payload`'s result."""
        return cls(passages=tuple(passage_from_payload(p) for p in payload["passages"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUttered:
    """The reply that was given, with everything needed to show it again.

    `prompt_text` is the reply as later prompts repeat it (the tokens already in the cache), which
    may differ from `text`, the words shown. `run_id` is that of the run that made it, if one did.
    `grounding` is what an answer from a collection rests on.
    """

    kind: ClassVar[str] = "system_uttered.v1"

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    dropped_turns: int = 0
    notes: tuple[str, ...] = field(default=())
    prompt_text: str = ""
    run_id: str = ""
    grounding: Grounding | None = None

    def to_payload(self) -> Payload:
        """Return the event as JSON values."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "SystemUttered":
        """Rebuild the event from `to_payload`'s result."""
        return cls(
            text=payload["text"],
            finish_reason=payload["finish_reason"],
            usage=Usage(**payload["usage"]),
            timings=Timings(**payload["timings"]),
            seed=payload["seed"],
            citations=tuple(Citation(**c) for c in payload["citations"]),
            abstained=payload["abstained"],
            dropped_turns=payload["dropped_turns"],
            notes=tuple(payload["notes"]),
            prompt_text=payload["prompt_text"],
            run_id=payload.get("run_id", ""),  # not there before there were tools
            grounding=_grounding(payload.get("grounding")),  # nor this before it was told
        )


Event = ConversationOpened | UserUttered | EvidenceRetrieved | SystemUttered

_READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    ConversationOpened.kind: ConversationOpened.from_payload,
    UserUttered.kind: UserUttered.from_payload,
    EvidenceRetrieved.kind: EvidenceRetrieved.from_payload,
    SystemUttered.kind: SystemUttered.from_payload,
}


def event_from_payload(kind: str, payload: Mapping[str, Any]) -> Event:
    """Turn a stored kind name and payload back into the event.

    Raises:
        UnreadableEventError: the kind is unknown or the payload lacks something.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise UnreadableEventError(
            f"a stored event has the unknown kind {kind!r}; this program reads"
            f" {sorted(_READERS)}: upgrade it"
        )
    try:
        return reader(payload)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableEventError(
            f"a stored event of kind {kind!r} is damaged: {error!r}; delete the conversation"
        ) from error


def _grounding(payload: Mapping[str, Any] | None) -> Grounding | None:
    return None if payload is None else grounding_from_payload(payload)
