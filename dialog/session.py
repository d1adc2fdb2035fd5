"""Stored conversations: an append-only log of events each, kept by owner.

The log is the truth; title and times of the `conversations` table are folds of it, kept for
listing. Appending says at which event the writer believes the log to end, so that two turns at once
cannot interleave. Does not know what a turn is.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from dialog.errors import ConcurrentTurnError, UnknownConversationError
from dialog.events import ConversationOpened, Event, UserUttered, event_from_payload
from index.database import UTCDateTime, reading, writing

ALL_OWNERS: Final = "*"
"""The owner that sees every conversation; never a real owner's name."""

MAX_TITLE_CHARS: Final = 80

metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("collection", Text, nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column(
        "conversation_id",
        Text,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationInfo:
    """What a list of conversations shows of one."""

    id: str
    owner: str
    title: str
    collection: str | None
    created_at: datetime
    updated_at: datetime
    num_turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with its place in the log (from 0) and the moment it was written."""

    seq: int
    created_at: datetime
    event: Event


class SessionStore(Protocol):
    """Conversations as event logs.

    `owner` names whoever may see a conversation; `ALL_OWNERS` sees them all. A conversation of
    somebody else is as unknown as one that never was.
    """

    def create(self, *, owner: str, collection: str | None, title: str = "") -> ConversationInfo:
        """Open a conversation; its log begins with one `ConversationOpened`."""
        ...

    def list(self, owner: str) -> Sequence[ConversationInfo]:
        """Return the owner's conversations, the one last written to first."""
        ...

    def events(self, conversation_id: str, owner: str) -> Sequence[StoredEvent]:
        """Return the whole log in order; its length is the next expected sequence number.

        Raises:
            UnknownConversationError: no conversation of this owner has this id.
        """
        ...

    def append(self, conversation_id: str, expected_seq: int, *new_events: Event) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number.

        All of them are written or none. A conversation without a title takes the first message's
        beginning.

        Raises:
            ConcurrentTurnError: the log does not end there.
            UnknownConversationError: there is no such conversation (any more).
        """
        ...

    def delete(self, conversation_id: str, owner: str) -> None:
        """Remove a conversation and its log.

        Raises:
            UnknownConversationError: no conversation of this owner has this id.
        """
        ...


def new_conversation_id() -> str:
    """Return a fresh id that cannot be guessed."""
    return f"conv_{secrets.token_hex(16)}"


def title_after(title: str, new_events: Sequence[Event]) -> str:
    """Return the title once these events are written: kept if set, else from the first message."""
    if title:
        return title
    for event in new_events:
        if isinstance(event, UserUttered):
            words = " ".join(event.text.split())
            if len(words) > MAX_TITLE_CHARS:
                words = words[: MAX_TITLE_CHARS - 1].rstrip() + "…"
            return words
    return ""


def unknown_conversation(conversation_id: str) -> UnknownConversationError:
    """Return the error that names the id and the remedy."""
    return UnknownConversationError(
        f"no conversation has the id {conversation_id!r};"
        " list them at /v1/conversations or open a new one"
    )


class SQLSessionStore:
    """A `SessionStore` in the tables `conversations` and `events` of a database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def create(self, *, owner: str, collection: str | None, title: str = "") -> ConversationInfo:
        """Open a conversation; its log begins with one `ConversationOpened`."""
        now = _now()
        info = ConversationInfo(
            id=new_conversation_id(),
            owner=owner,
            title=title,
            collection=collection,
            created_at=now,
            updated_at=now,
            num_turns=0,
        )
        with writing(self._database) as connection:
            connection.execute(
                insert(conversations).values(
                    id=info.id,
                    owner=owner,
                    title=title,
                    collection=collection,
                    created_at=now,
                    updated_at=now,
                )
            )
            opened = ConversationOpened(collection=collection, title=title)
            connection.execute(insert(events), [_row_of(info.id, 0, opened, now)])
        return info

    def list(self, owner: str) -> Sequence[ConversationInfo]:
        """Return the owner's conversations, the one last written to first."""
        num_turns = (
            select(func.count())
            .select_from(events)
            .where(events.c.conversation_id == conversations.c.id)
            .where(events.c.kind.like("user_uttered.%"))
            .scalar_subquery()
        )
        query = select(conversations, num_turns.label("num_turns")).order_by(
            conversations.c.updated_at.desc(), conversations.c.id
        )
        if owner != ALL_OWNERS:
            query = query.where(conversations.c.owner == owner)
        with reading(self._database) as connection:
            rows = connection.execute(query).mappings().all()
        return [_info_of(row) for row in rows]

    def events(self, conversation_id: str, owner: str) -> Sequence[StoredEvent]:
        """Return the whole log in order."""
        query = (
            select(events.c.seq, events.c.kind, events.c.payload, events.c.created_at)
            .where(events.c.conversation_id == conversation_id)
            .order_by(events.c.seq)
        )
        with reading(self._database) as connection:
            _require(connection, conversation_id, owner)
            rows = connection.execute(query).all()
        return [
            StoredEvent(
                seq=row.seq,
                created_at=row.created_at,
                event=event_from_payload(row.kind, row.payload),
            )
            for row in rows
        ]

    def append(self, conversation_id: str, expected_seq: int, *new_events: Event) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number."""
        now = _now()
        with writing(self._database) as connection:
            row = _require(connection, conversation_id, ALL_OWNERS)
            actual_seq = connection.execute(
                select(func.count())
                .select_from(events)
                .where(events.c.conversation_id == conversation_id)
            ).scalar_one()
            if actual_seq != expected_seq:
                raise ConcurrentTurnError(
                    conversation_id=conversation_id,
                    expected_seq=expected_seq,
                    actual_seq=actual_seq,
                )
            if not new_events:
                return expected_seq
            connection.execute(
                insert(events),
                [
                    _row_of(conversation_id, expected_seq + i, event, now)
                    for i, event in enumerate(new_events)
                ],
            )
            connection.execute(
                update(conversations)
                .where(conversations.c.id == conversation_id)
                .values(updated_at=now, title=title_after(row["title"], new_events))
            )
        return expected_seq + len(new_events)

    def delete(self, conversation_id: str, owner: str) -> None:
        """Remove a conversation and its log."""
        with writing(self._database) as connection:
            _require(connection, conversation_id, owner)
            connection.execute(delete(events).where(events.c.conversation_id == conversation_id))
            connection.execute(delete(conversations).where(conversations.c.id == conversation_id))


def _require(connection: Connection, conversation_id: str, owner: str) -> RowMapping:
    query = select(conversations).where(conversations.c.id == conversation_id)
    if owner != ALL_OWNERS:
        query = query.where(conversations.c.owner == owner)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise unknown_conversation(conversation_id)
    return row


def _row_of(conversation_id: str, seq: int, event: Event, at: datetime) -> dict[str, Any]:
    return {
        "conversation_id": conversation_id,
        "seq": seq,
        "kind": event.kind,
        "payload": event.to_payload(),
        "created_at": at,
    }


def _info_of(row: RowMapping) -> ConversationInfo:
    return ConversationInfo(
        id=row["id"],
        owner=row["owner"],
        title=row["title"],
        collection=row["collection"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        num_turns=row["num_turns"],
    )


def _now() -> datetime:
    return datetime.now(UTC)
