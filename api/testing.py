"""Doubles of the service: a scripted agent, and an application without weights around it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from api.application import Application, TurnPart
from api.background import BackgroundIngest
from api.feedback import FeedbackStore
from api.foreground import Foreground
from api.readiness import Readiness
from api.settings import Settings
from api.state_database import index_folder, open_place
from api.tenant import place_of
from api.tenants import Tenants
from dialog.events import ConversationOpened, EvidenceRetrieved, SystemUttered, UserUttered
from dialog.reply import EvidenceFound, Reply, Timings, TurnRequest
from dialog.session import SessionStore, SQLSessionStore
from index.store import CollectionStore
from llm.chat import FinishReason, Message, TextDelta, Usage
from llm.testing import ScriptedChatModel
from rag.citations import Citation
from rag.document import Chunk, Passage
from rag.embedder import Embedder
from rag.ingest import Ingestor
from rag.testing import HashingEmbedder


class ScriptedAgent:
    """An `Agent` that says what it was told to, word by word, and cites what was found.

    `delay_s` passes before each word; `error` is raised after `num_words_before_error` words.
    `requests` holds every turn it was asked for, `cancelled` is set once one was cancelled.
    """

    def __init__(self, store: CollectionStore, embedder: Embedder, sessions: SessionStore) -> None:
        self.answer = "It is so."
        self.delay_s = 0.0
        self.error: Exception | None = None
        self.num_words_before_error = 0
        self.requests: list[TurnRequest] = []
        self.cancelled = threading.Event()
        self._store = store
        self._embedder = embedder
        self._sessions = sessions

    def stream(
        self, request: TurnRequest, *, cancel: threading.Event | None = None
    ) -> Iterator[TurnPart]:
        """Yield the evidence (if there was a search), then text, then exactly one `Reply`."""
        self.requests.append(request)
        cancel = cancel or threading.Event()
        collection, seq = request.collection, 0
        if request.conversation_id is not None:
            log = self._sessions.events(request.conversation_id, request.owner)
            seq = len(log)
            opened = log[0].event
            assert isinstance(opened, ConversationOpened)
            collection = opened.collection
        passages: tuple[Passage, ...] = ()
        if collection is not None:
            passages = self._found(collection, request.messages[-1])
            yield EvidenceFound(passages=passages)
        said, finish = "", "stop"
        for i, word in enumerate(self.answer.split(" ")):
            if self.error is not None and i == self.num_words_before_error:
                raise self.error
            # The wait is where a real model computes: cancellation ends it.
            if cancel.wait(self.delay_s) if self.delay_s else cancel.is_set():
                self.cancelled.set()
                finish = "cancelled"
                break
            piece = word if i == 0 else f" {word}"
            said += piece
            yield TextDelta(text=piece)
        reply = self._reply(request, said, finish, passages)  # type: ignore[arg-type]
        if request.conversation_id is not None:
            self._record(request, seq, passages, reply)
        yield reply

    def _found(self, collection: str, message: Message) -> tuple[Passage, ...]:
        vector = self._embedder.encode([message.content], "query")[0]
        return tuple(
            Passage(
                collection=collection,
                document_id=hit.document_id,
                title=hit.title,
                uri=hit.uri,
                chunk=Chunk(start=hit.start, end=hit.end, text=hit.text),
                score=hit.score,
                rank=hit.rank,
            )
            for hit in self._store.open(collection).search(vector, 2)
        )

    @staticmethod
    def _reply(
        request: TurnRequest, said: str, finish: FinishReason, passages: Sequence[Passage]
    ) -> Reply:
        return Reply(
            text=said,
            citations=tuple(
                Citation(
                    id=passage.rank,
                    collection=passage.collection,
                    document_id=passage.document_id,
                    title=passage.title,
                    uri=passage.uri,
                    start=passage.chunk.start,
                    end=passage.chunk.end,
                    quote=passage.chunk.text,
                    score=passage.score,
                    text_sha256="0" * 64,
                )
                for passage in passages
            ),
            finish_reason=finish,
            usage=Usage(prompt_tokens=5, completion_tokens=len(said.split())),
            timings=Timings(retrieval_s=0.25, prefill_s=0.5, decode_s=0.5, total_s=1.5),
            seed=request.params.seed or 7,
            conversation_id=request.conversation_id,
        )

    def _record(
        self, request: TurnRequest, seq: int, passages: tuple[Passage, ...], reply: Reply
    ) -> None:
        assert request.conversation_id is not None
        self._sessions.append(
            request.conversation_id,
            seq,
            UserUttered(message_id=f"m{seq}", text=request.messages[-1].content),
            EvidenceRetrieved(passages=passages),
            SystemUttered(
                text=reply.text,
                citations=reply.citations,
                finish_reason=reply.finish_reason,
                usage=reply.usage,
                timings=reply.timings,
                seed=reply.seed,
            ),
        )


@contextmanager
def application_of_doubles(state: Path, **settings: Any) -> Iterator[Application]:
    """Give an application over real storage and scripted models; closes it at the end."""
    wanted = Settings(**{"home": state / "home", "state": state, **settings})
    application = _tenant_of_doubles(wanted, "")
    tenants = Tenants(wanted.tenants, partial(_tenant_of_doubles, wanted))
    tenants.open_all()
    application = replace(
        application, tenants=tenants, on_close=(tenants.close, *application.on_close)
    )
    try:
        yield application
    finally:
        application.close()


def _tenant_of_doubles(settings: Settings, tenant: str) -> Application:
    place = place_of(settings, tenant)
    database = open_place(place)
    embedder = HashingEmbedder()
    store = CollectionStore(database, threads=1, folder=index_folder(place))
    sessions = SQLSessionStore(database)
    ingestor = Ingestor(store, embedder)
    foreground = Foreground()
    return Application(
        settings=settings.model_copy(update={"state": place.state}),
        agent=ScriptedAgent(store, embedder, sessions),
        chat_model=ScriptedChatModel(),
        embedder=embedder,
        store=store,
        ingestor=ingestor,
        sessions=sessions,
        feedback=FeedbackStore(database),
        foreground=foreground,
        background=BackgroundIngest(ingestor, foreground),
        readiness=Readiness(None),
        on_close=(store.close, database.dispose),
    )


def read_events(text: str) -> list[Mapping[str, Any] | str]:
    """Return the events of a stream: JSON values, and `[DONE]` as it is."""
    events: list[Mapping[str, Any] | str] = []
    for line in text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            events.append(data if data == "[DONE]" else json.loads(data))
    return events


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 5.0) -> bool:
    """Return whether a condition comes true in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
