"""The double of the `SessionStore` port, and the contract that every such store keeps."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from dialog.errors import ConcurrentTurnError, UnknownConversationError
from dialog.events import (
    ConversationOpened,
    Event,
    EvidenceRetrieved,
    SystemUttered,
    UserUttered,
)
from dialog.reply import Timings
from dialog.session import (
    ALL_OWNERS,
    MAX_TITLE_CHARS,
    ConversationInfo,
    SessionStore,
    StoredEvent,
    new_conversation_id,
    title_after,
    unknown_conversation,
)
from llm.chat import Usage
from rag.citations import Citation
from rag.claim_check import Problem
from rag.document import Chunk, Passage
from rag.facets import Facet
from rag.gate import GateDecision
from rag.grounding import Grounding, SentenceVerdict


@dataclass(slots=True)
class _Log:
    info: ConversationInfo
    events: list[StoredEvent] = field(default_factory=list)


class MemorySessionStore:
    """A `SessionStore` that forgets everything when it is dropped."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._lock = threading.Lock()
        self._last = datetime.now(UTC)

    def create(self, *, owner: str, collection: str | None, title: str = "") -> ConversationInfo:
        """Open a conversation; its log begins with one `ConversationOpened`."""
        with self._lock:
            now = self._tick()
            info = ConversationInfo(
                id=new_conversation_id(),
                owner=owner,
                title=title,
                collection=collection,
                created_at=now,
                updated_at=now,
                num_turns=0,
            )
            opened = ConversationOpened(collection=collection, title=title)
            self._logs[info.id] = _Log(info, [StoredEvent(seq=0, created_at=now, event=opened)])
            return info

    def list(self, owner: str) -> Sequence[ConversationInfo]:
        """Return the owner's conversations, the one last written to first."""
        with self._lock:
            infos = [log.info for log in self._logs.values()]
        return sorted(
            (info for info in infos if owner in {ALL_OWNERS, info.owner}),
            key=lambda info: info.updated_at,
            reverse=True,
        )

    def events(self, conversation_id: str, owner: str) -> Sequence[StoredEvent]:
        """Return the whole log in order."""
        with self._lock:
            return list(self._require(conversation_id, owner).events)

    def append(self, conversation_id: str, expected_seq: int, *new_events: Event) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number."""
        with self._lock:
            log = self._require(conversation_id, ALL_OWNERS)
            if len(log.events) != expected_seq:
                raise ConcurrentTurnError(
                    conversation_id=conversation_id,
                    expected_seq=expected_seq,
                    actual_seq=len(log.events),
                )
            if not new_events:
                return expected_seq
            now = self._tick()
            log.events += [
                StoredEvent(seq=expected_seq + i, created_at=now, event=event)
                for i, event in enumerate(new_events)
            ]
            log.info = replace(
                log.info,
                updated_at=now,
                title=title_after(log.info.title, new_events),
                num_turns=log.info.num_turns + sum(isinstance(e, UserUttered) for e in new_events),
            )
            return len(log.events)

    def delete(self, conversation_id: str, owner: str) -> None:
        """Remove a conversation and its log."""
        with self._lock:
            self._require(conversation_id, owner)
            del self._logs[conversation_id]

    def _require(self, conversation_id: str, owner: str) -> _Log:
        log = self._logs.get(conversation_id)
        if log is None or owner not in {ALL_OWNERS, log.info.owner}:
            raise unknown_conversation(conversation_id)
        return log

    def _tick(self) -> datetime:
        """Return a time later than any before, so that "newest first" is well defined."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last


def sample_turn(text: str = "What is a closure?") -> tuple[Event, ...]:
    """Return the events of one whole turn, every field set."""
    chunk = Chunk(start=3, end=23, text="A closure, née 1964", heading_path=("Names", "Scope"))
    return (
        UserUttered(message_id="m1", text=text, prompt_text=f"[1] évidence\n\n{text}"),
        EvidenceRetrieved(
            passages=(
                Passage(
                    collection="docs",
                    document_id="d1",
                    title="Scope",
                    uri="topic:scope",
                    chunk=chunk,
                    score=0.5,
                    rank=1,
                ),
            )
        ),
        SystemUttered(
            text="A function with its names. [1]",
            finish_reason="stop",
            usage=Usage(prompt_tokens=7, completion_tokens=5),
            timings=Timings(retrieval_s=0.1, prefill_s=0.2, decode_s=0.3, total_s=0.7),
            seed=11,
            citations=(
                Citation(
                    id=1,
                    collection="docs",
                    document_id="d1",
                    title="Scope",
                    uri="topic:scope",
                    start=3,
                    end=23,
                    quote=chunk.text,
                    score=0.5,
                    text_sha256="0" * 64,
                ),
            ),
            abstained=False,
            dropped_turns=2,
            notes=("2 early turns left the window",),
            prompt_text="A function with its names.",
            grounding=Grounding(
                mode="generative",
                nearest=(
                    Passage(
                        collection="docs",
                        document_id="d1",
                        title="Scope",
                        uri="topic:scope",
                        chunk=chunk,
                        score=0.25,
                        rank=1,
                    ),
                ),
                gate=GateDecision(
                    decision="answer",
                    p_answerable=0.75,
                    missing_names=("Lisp",),
                    facet=Facet(name="title", options=("A", "B"), gain=1.0),
                ),
                sentences=(
                    SentenceVerdict(
                        start=0,
                        end=26,
                        verdict="partial",
                        citations=(1,),
                        cover=0.5,
                        is_rewritten=True,
                        lift=0.25,
                        problems=(Problem(kind="number", text="7"),),
                    ),
                ),
                struck=1,
            ),
        ),
    )


class SessionStoreContract:
    """Laws of the `SessionStore` port; inherit and provide the fixture `store`."""

    @pytest.fixture
    def store(self) -> SessionStore:
        """Return an empty store."""
        raise NotImplementedError

    def test_a_log_begins_with_its_opening(self, store: SessionStore) -> None:
        """The first event repeats collection and title."""
        info = store.create(owner="ada", collection="docs", title="Names")
        (first,) = store.events(info.id, "ada")
        assert first.seq == 0
        assert first.event == ConversationOpened(collection="docs", title="Names")

    def test_appended_events_come_back_equal_and_in_order(self, store: SessionStore) -> None:
        """Nothing of an event is lost on the way."""
        info = store.create(owner="ada", collection="docs", title="")
        turn = sample_turn()
        assert store.append(info.id, 1, *turn) == 4
        log = store.events(info.id, "ada")
        assert [stored.seq for stored in log] == [0, 1, 2, 3]
        assert tuple(stored.event for stored in log[1:]) == turn
        assert all(stored.created_at.tzinfo is not None for stored in log)

    def test_a_stale_sequence_number_is_refused_and_writes_nothing(
        self, store: SessionStore
    ) -> None:
        """Neither too small nor too large a number passes."""
        info = store.create(owner="ada", collection=None, title="")
        store.append(info.id, 1, UserUttered(message_id="m1", text="Hi"))
        for wrong in (0, 1, 3):
            with pytest.raises(ConcurrentTurnError, match="stands at event 2"):
                store.append(info.id, wrong, UserUttered(message_id="m2", text="Ho"))
        assert len(store.events(info.id, "ada")) == 2

    def test_of_many_simultaneous_appends_exactly_one_wins(self, store: SessionStore) -> None:
        """The sequence number decides, whatever the threads do."""
        info = store.create(owner="ada", collection=None, title="")

        def attempt(i: int) -> bool:
            try:
                store.append(info.id, 1, UserUttered(message_id=f"m{i}", text="Hi"))
            except ConcurrentTurnError:
                return False
            return True

        with ThreadPoolExecutor(max_workers=5) as pool:
            assert sum(pool.map(attempt, range(5))) == 1
        assert len(store.events(info.id, "ada")) == 2

    def test_an_owner_sees_only_their_own_and_the_admin_sees_all(self, store: SessionStore) -> None:
        """Another owner's conversation is as unknown as one that never was."""
        info = store.create(owner="ada", collection=None, title="")
        other = store.create(owner="bob", collection=None, title="")
        assert [c.id for c in store.list("ada")] == [info.id]
        assert {c.id for c in store.list(ALL_OWNERS)} == {info.id, other.id}
        assert len(store.events(info.id, ALL_OWNERS)) == 1
        with pytest.raises(UnknownConversationError, match=info.id):
            store.events(info.id, "bob")
        with pytest.raises(UnknownConversationError, match=info.id):
            store.delete(info.id, "bob")

    def test_the_list_is_ordered_by_last_use_and_counts_turns(self, store: SessionStore) -> None:
        """Writing to an old conversation brings it to the front."""
        old = store.create(owner="ada", collection="docs", title="Old")
        new = store.create(owner="ada", collection=None, title="New")
        assert [c.id for c in store.list("ada")] == [new.id, old.id]
        store.append(old.id, 1, *sample_turn())
        store.append(old.id, 4, *sample_turn())
        assert [(c.id, c.num_turns) for c in store.list("ada")] == [(old.id, 2), (new.id, 0)]

    def test_a_missing_title_is_taken_from_the_first_message(self, store: SessionStore) -> None:
        """A long message is shortened, a given title is kept."""
        untitled = store.create(owner="ada", collection=None, title="")
        store.append(untitled.id, 1, *sample_turn("What  is\na closure? " + "word " * 40))
        (info,) = store.list("ada")
        assert info.title.startswith("What is a closure? word")
        assert len(info.title) <= MAX_TITLE_CHARS
        titled = store.create(owner="bob", collection=None, title="Mine")
        store.append(titled.id, 1, *sample_turn())
        assert [c.title for c in store.list("bob")] == ["Mine"]

    def test_a_deleted_conversation_is_gone(self, store: SessionStore) -> None:
        """Neither its log nor its name remains, and nothing can be appended."""
        info = store.create(owner="ada", collection=None, title="")
        store.append(info.id, 1, *sample_turn())
        store.delete(info.id, "ada")
        assert not store.list("ada")
        with pytest.raises(UnknownConversationError):
            store.events(info.id, "ada")
        with pytest.raises(UnknownConversationError):
            store.append(info.id, 4, *sample_turn())
        with pytest.raises(UnknownConversationError):
            store.delete(info.id, "ada")
