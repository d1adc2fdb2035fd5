"""Task conversations in a database: events, timers and handoffs, each write one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from dialog.errors import ConcurrentTurnError
from dialog.task.event_log import (
    QueuedHandoff,
    TaskConversation,
    Timer,
    Written,
    timer_gone,
    unknown,
)
from dialog.task.events import Migrated, TaskEvent, event_payload, task_event
from dialog.task.user_memory import Remembered
from index.database import UTCDateTime, reading, writing

metadata = MetaData()

task_conversations = Table(
    "task_conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False, index=True),
    Column("bot", Text, nullable=False, index=True),
    Column("bot_hash", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("num_events", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)


def _owned() -> Column[Any]:
    key = ForeignKey("task_conversations.id", ondelete="CASCADE")
    return Column("conversation_id", Text, key, primary_key=True)


task_events = Table(
    "task_events",
    metadata,
    _owned(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

task_timers = Table(
    "task_timers",
    metadata,
    _owned(),
    Column("name", Text, primary_key=True),
    Column("due_at", UTCDateTime, nullable=False),
    Index("ix_task_timers_due", "due_at"),
)

task_handoffs = Table(
    "task_handoffs",
    metadata,
    _owned(),
    Column("queue", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Index("ix_task_handoffs_status", "status", "updated_at"),
)


task_memories = Table(
    "task_memories",
    metadata,
    _owned(),
    Column("slot", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("bot", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("value", JSON, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Index("ix_task_memories_person", "person", "bot", "owner"),
)


class SQLTaskLog:
    """A `TaskEventLog`, `Desk` and `UserMemory` in the `task_…` tables of a database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def create(self, conversation: TaskConversation, *events: TaskEvent) -> None:
        """Open a conversation whose log begins with these events."""
        with writing(self._database) as connection:
            connection.execute(
                insert(task_conversations).values(
                    id=conversation.id,
                    owner=conversation.owner,
                    bot=conversation.bot,
                    bot_hash=conversation.bot_hash,
                    parent=conversation.parent,
                    num_events=len(events),
                    created_at=conversation.created_at,
                )
            )
            _insert(connection, conversation.id, 0, events)

    def read(
        self, conversation_id: str, *, start: int = 0
    ) -> tuple[TaskConversation, Sequence[TaskEvent]]:
        """Return a conversation and its events from number `start` on."""
        query = (
            select(task_events.c.kind, task_events.c.payload)
            .where(task_events.c.conversation_id == conversation_id, task_events.c.seq >= start)
            .order_by(task_events.c.seq)
        )
        with reading(self._database) as connection:
            head = _head(connection, conversation_id)
            rows = connection.execute(query).all()
        return head, [task_event(row.kind, row.payload) for row in rows]

    def append(
        self,
        conversation_id: str,
        expected_seq: int,
        *events: TaskEvent,
        written: Written | None = None,
    ) -> int:
        """Write events behind event number `expected_seq - 1`; return the next number."""
        with writing(self._database) as connection:
            changed = connection.execute(
                update(task_conversations)
                .where(
                    task_conversations.c.id == conversation_id,
                    task_conversations.c.num_events == expected_seq,
                )
                .values(num_events=expected_seq + len(events))
            )
            if changed.rowcount != 1:
                _head(connection, conversation_id)
                raise ConcurrentTurnError(
                    conversation_id=conversation_id,
                    expected_seq=expected_seq,
                    actual_seq=_num_events(connection, conversation_id),
                )
            _insert(connection, conversation_id, expected_seq, events)
            _write(connection, conversation_id, written or Written())
        return expected_seq + len(events)

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with its events, timers, handoffs and memories."""
        with writing(self._database) as connection:
            _head(connection, conversation_id)
            for table in (task_events, task_timers, task_handoffs, task_memories):
                connection.execute(delete(table).where(table.c.conversation_id == conversation_id))
            connection.execute(
                delete(task_conversations).where(task_conversations.c.id == conversation_id)
            )

    def conversations(self, bot: str = "", owner: str = "") -> Sequence[TaskConversation]:
        """Return conversations, the newest first; "" stands for all."""
        query = select(task_conversations).order_by(
            task_conversations.c.created_at.desc(), task_conversations.c.id
        )
        if bot:
            query = query.where(task_conversations.c.bot == bot)
        if owner:
            query = query.where(task_conversations.c.owner == owner)
        with reading(self._database) as connection:
            return [_conversation(row) for row in connection.execute(query)]

    def due_timers(self, now: datetime) -> Sequence[Timer]:
        """Return the timers that are due, the earliest first."""
        query = (
            select(task_timers)
            .where(task_timers.c.due_at <= now)
            .order_by(task_timers.c.due_at, task_timers.c.conversation_id)
        )
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        return [
            Timer(conversation_id=row.conversation_id, name=row.name, due_at=row.due_at)
            for row in rows
        ]

    def handoffs(self, status: str = "waiting") -> Sequence[QueuedHandoff]:
        """Return the handoffs of a status, the oldest first."""
        query = (
            select(task_handoffs)
            .where(task_handoffs.c.status == status)
            .order_by(task_handoffs.c.updated_at, task_handoffs.c.conversation_id)
        )
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        return [
            QueuedHandoff(
                conversation_id=row.conversation_id,
                queue=row.queue,
                summary=row.summary,
                status=row.status,
                operator=row.operator,
            )
            for row in rows
        ]

    def recall(self, owner: str, bot: str, person: str) -> Mapping[str, Any]:
        """Return the newest value of each slot that a bot knows of a user, {} for a stranger."""
        query = (
            select(task_memories.c.slot, task_memories.c.value)
            .where(
                task_memories.c.person == person,
                task_memories.c.bot == bot,
                task_memories.c.owner == owner,
            )
            .order_by(task_memories.c.updated_at)
        )
        with reading(self._database) as connection:
            return {row.slot: row.value for row in connection.execute(query)}


def _insert(
    connection: Connection, conversation_id: str, seq: int, events: Iterable[TaskEvent]
) -> None:
    now = datetime.now(UTC)
    rows = [
        {
            "conversation_id": conversation_id,
            "seq": seq + i,
            "kind": event.kind,
            "payload": event_payload(event),
            "created_at": now,
        }
        for i, event in enumerate(events)
    ]
    if rows:
        connection.execute(insert(task_events), rows)
    for event in events:
        if isinstance(event, Migrated):
            connection.execute(
                update(task_conversations)
                .where(task_conversations.c.id == conversation_id)
                .values(bot_hash=event.bot_hash)
            )


def _write(connection: Connection, conversation_id: str, written: Written) -> None:
    if written.claim is not None:
        claimed = connection.execute(
            delete(task_timers).where(
                task_timers.c.conversation_id == conversation_id,
                task_timers.c.name == written.claim.name,
                task_timers.c.due_at == written.claim.due_at,
            )
        )
        if claimed.rowcount != 1:
            raise timer_gone(written.claim)
    if written.drop_timer or written.set_timer is not None:
        name = written.set_timer.name if written.set_timer is not None else written.drop_timer
        mine = task_timers.c.conversation_id == conversation_id
        connection.execute(delete(task_timers).where(mine, task_timers.c.name == name))
    if written.set_timer is not None:
        connection.execute(
            insert(task_timers).values(
                conversation_id=conversation_id,
                name=written.set_timer.name,
                due_at=written.set_timer.due_at,
            )
        )
    if written.remember is not None:
        _remember(connection, conversation_id, written.remember)
    if written.handoff is not None:
        connection.execute(
            delete(task_handoffs).where(task_handoffs.c.conversation_id == conversation_id)
        )
        connection.execute(
            insert(task_handoffs).values(
                conversation_id=conversation_id,
                queue=written.handoff.queue,
                status=written.handoff.status,
                operator=written.handoff.operator,
                summary=dict(written.handoff.summary),
                updated_at=datetime.now(UTC),
            )
        )


def _remember(connection: Connection, conversation_id: str, found: Remembered) -> None:
    mine = task_memories.c.conversation_id == conversation_id
    connection.execute(delete(task_memories).where(mine))
    now = datetime.now(UTC)
    rows = [
        {
            "conversation_id": conversation_id,
            "slot": slot,
            "owner": found.owner,
            "bot": found.bot,
            "person": found.person,
            "value": value,
            "updated_at": now,
        }
        for slot, value in found.values.items()
    ]
    if rows:
        connection.execute(insert(task_memories), rows)


def _head(connection: Connection, conversation_id: str) -> TaskConversation:
    query = select(task_conversations).where(task_conversations.c.id == conversation_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise unknown(conversation_id)
    return _conversation(row)


def _num_events(connection: Connection, conversation_id: str) -> int:
    query = (
        select(func.count())
        .select_from(task_events)
        .where(task_events.c.conversation_id == conversation_id)
    )
    return int(connection.execute(query).scalar_one())


def _conversation(row: Any) -> TaskConversation:
    return TaskConversation(
        id=row.id,
        owner=row.owner,
        bot=row.bot,
        bot_hash=row.bot_hash,
        parent=row.parent,
        created_at=row.created_at,
    )
