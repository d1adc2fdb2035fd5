"""What the terminal can ask for: a port, and its implementation inside this process.

`api/client.py` satisfies the same port over HTTP, beside a running server. Neither knows how
anything is shown.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from api.access import own_caller
from api.application import Application, TurnPart
from dialog.reply import ActingRequest, TurnRequest
from llm.chat import Message
from llm.sampling_params import SamplingParams
from rag.citations import Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedPassage:
    """A citation's text with what stands around it."""

    before: str
    text: str
    after: str


class Desk(Protocol):
    """Where the terminal's questions go."""

    def open_conversation(self, *, collection: str | None, conversation_id: str | None) -> str:
        """Return the id of a new conversation, or of the stored one after finding it."""
        ...

    def ask(
        self,
        question: str,
        *,
        conversation_id: str,
        cancel: threading.Event,
        acting: ActingRequest | None = None,
    ) -> Iterator[TurnPart]:
        """Yield the answer's text, then one `Reply`; with `acting`, also cards of calls.

        An `acting` that takes a run up needs no question.
        """
        ...

    def passage(self, citation: Citation, *, context: int) -> CitedPassage:
        """Return what a citation points at, with up to `context` bytes on each side."""
        ...


class LocalDesk:
    """The port, served by an application in this process."""

    def __init__(self, application: Application, tenant: str = "") -> None:
        self._application = application.of_tenant(tenant)
        self._caller = own_caller(application.settings, tenant)

    def open_conversation(self, *, collection: str | None, conversation_id: str | None) -> str:
        """Return the id of a new conversation, or of the stored one after finding it."""
        sessions = self._application.sessions
        if conversation_id is not None:
            sessions.events(conversation_id, self._caller.sees)
            return conversation_id
        if collection is not None:
            self._application.store.info(collection)
        return sessions.create(owner=self._caller.owner, collection=collection).id

    def ask(
        self,
        question: str,
        *,
        conversation_id: str,
        cancel: threading.Event,
        acting: ActingRequest | None = None,
    ) -> Iterator[TurnPart]:
        """Yield the answer's text, then one `Reply`; with `acting`, also cards of calls."""
        said = acting.words if acting is not None and acting.run_id else question
        request = TurnRequest(
            messages=(Message(role="user", content=said),),
            params=SamplingParams(max_tokens=self._application.settings.max_tokens),
            acting=acting,
            conversation_id=conversation_id,
            owner=self._caller.sees,
        )
        with self._application.foreground.busy(cancel):
            yield from self._application.agent.stream(request, cancel=cancel)

    def passage(self, citation: Citation, *, context: int) -> CitedPassage:
        """Return what a citation points at, with up to `context` bytes on each side."""
        _, text = self._application.store.open(citation.collection).get(citation.document_id)
        data = text.encode()
        return CitedPassage(
            before=data[max(0, citation.start - context) : citation.start].decode(errors="ignore"),
            text=data[citation.start : citation.end].decode(errors="replace"),
            after=data[citation.end : citation.end + context].decode(errors="ignore"),
        )
