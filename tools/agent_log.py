"""Runs of the tool agent in SQL: each is a list of events, and only ever grows at its end.

Knows how to store events and not what they mean. A run of somebody else is as unknown as one that
never was.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from index.database import UTCDateTime, reading, writing
from tools.agent_events import AgentEvent, event_from_payload, to_payload
from tools.errors import RunConflictError, UnknownRunError

metadata = MetaData()

agent_runs = Table(
    "agent_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_agent_runs_conversation", "conversation"),
)
agent_events = Table(
    "agent_events",
    metadata,
    Column("run_id", Text, ForeignKey("agent_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

_INSERT_EVENT = insert(agent_events)  # made once: to make one costs as much as to run it


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """A run as it is stored; `conversation` is "" where it belongs to none."""

    id: str
    owner: str
    conversation: str
    events: tuple[AgentEvent, ...]


@runtime_checkable
class RunStore(Protocol):
    """Where the events of runs are kept."""

    def create(self, owner: str, conversation: str, *events: AgentEvent) -> str:
        """Store a new run with its first events; return its id, which cannot be guessed.

        These are kept like what `append` writes that is not durable.
        """
        ...

    def run(self, run_id: str, owner: str | None) -> LoggedRun:
        """Return a run of an owner; None sees those of all.

        Raises:
            UnknownRunError: the owner has no such run.
        """
        ...

    def append(
        self, run_id: str, expected_seq: int, *events: AgentEvent, is_durable: bool = True
    ) -> int:
        """Write events behind number `expected_seq - 1`; return the next number.

        What is not durable survives the end of the program, but not a power cut.

        Raises:
            RunConflictError: the log does not end there, or the run is gone.
        """
        ...

    def forget(self, conversation: str) -> int:
        """Delete the runs of a conversation; return how many."""
        ...


def new_run_id() -> str:
    """Return a fresh id that cannot be guessed."""
    return f"run_{secrets.token_hex(16)}"


class SQLRunStore:
    """Runs in an SQL database, whose tables `metadata` describes."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def create(self, owner: str, conversation: str, *events: AgentEvent) -> str:
        """Store a new run with its first events; return its id, which cannot be guessed."""
        run_id = new_run_id()
        now = datetime.now(UTC)
        with writing(self._database, is_durable=False) as connection:
            connection.execute(
                insert(agent_runs).values(
                    id=run_id, owner=owner, conversation=conversation, created_at=now
                )
            )
            if events:
                connection.execute(_INSERT_EVENT, _rows(run_id, 0, events, now))
        return run_id

    def run(self, run_id: str, owner: str | None) -> LoggedRun:
        """Return a run of an owner; None sees those of all."""
        with reading(self._database) as connection:
            found = connection.execute(
                select(agent_runs).where(agent_runs.c.id == run_id)
            ).one_or_none()
            if found is None or owner not in (None, found.owner):
                raise UnknownRunError(f"there is no run {run_id!r}")
            rows = connection.execute(
                select(agent_events.c.kind, agent_events.c.payload)
                .where(agent_events.c.run_id == run_id)
                .order_by(agent_events.c.seq)
            ).all()
        return LoggedRun(
            id=run_id,
            owner=found.owner,
            conversation=found.conversation,
            events=tuple(event_from_payload(row.kind, row.payload) for row in rows),
        )

    def append(
        self, run_id: str, expected_seq: int, *events: AgentEvent, is_durable: bool = True
    ) -> int:
        """Write events behind number `expected_seq - 1`; return the next number."""
        try:
            with writing(self._database, is_durable=is_durable) as connection:
                rows = _rows(run_id, expected_seq, events, datetime.now(UTC))
                connection.execute(_INSERT_EVENT, rows)
        except IntegrityError as error:  # the number is taken, or the run is not there
            raise RunConflictError(
                f"the run {run_id!r} is gone, or went on elsewhere behind event {expected_seq - 1};"
                " read it again"
            ) from error
        return expected_seq + len(events)

    def forget(self, conversation: str) -> int:
        """Delete the runs of a conversation; return how many."""
        with writing(self._database) as connection:
            gone = connection.execute(
                delete(agent_runs).where(agent_runs.c.conversation == conversation)
            )
        return int(gone.rowcount)


def _rows(
    run_id: str, seq: int, events: Sequence[AgentEvent], now: datetime
) -> list[dict[str, object]]:
    return [
        {
            "run_id": run_id,
            "seq": seq + i,
            "kind": event.kind,
            "payload": to_payload(event),
            "created_at": now,
        }
        for i, event in enumerate(events)
    ]
