"""The audit log: which tool was called, by whom, with what, and how it ended.

A call that writes is written down before it is made and again when it ends, one that reads when it
ends; a row without an end is a deed in doubt. Sensitive arguments are never written, and of
arguments that were refused only those that the tool has. Knows how to store calls and not when to
make them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from index.database import UTCDateTime, reading, writing
from index.errors import IndexStoreError
from tools.base import Tool
from tools.call_context import Caller
from tools.errors import AuditError
from tools.result import ResultKind, ToolResult

REDACTED = "[redacted]"

metadata = MetaData()

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("call_id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("kind", Text),  # null: begun, and not known to have ended
    Column("is_in_doubt", Boolean, nullable=False),
    Column("content", Text),  # of deeds that must not be done twice: what to answer again
    Column("seconds", Float),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
    Index("ix_tool_calls_conversation", "conversation", "id"),
    Index("ix_tool_calls_key", "idempotency_key", "id"),
    sqlite_autoincrement=True,
)

_INSERT = insert(tool_calls)  # made once: to make one costs as much as to run it


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A call as it is written down; `kind` is None while it runs, or if the program died then."""

    call_id: str
    caller: Caller
    tool: str
    effect: str
    arguments: Mapping[str, Any]
    idempotency_key: str = ""
    kind: ResultKind | None = None
    is_in_doubt: bool = False
    seconds: float | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@runtime_checkable
class AuditSink(Protocol):
    """Where calls are written down; all methods raise `AuditError` when they cannot."""

    def started(self, entry: AuditEntry) -> int:
        """Write down a call that is about to be made; return the number of its row."""
        ...

    def finished(self, row: int, result: ToolResult) -> None:
        """Write down how it ended; the last word counts."""
        ...

    def noted(self, entry: AuditEntry, result: ToolResult) -> None:
        """Write down a call together with its end: one refused, or one that only read."""
        ...

    def recorded(self, key: str) -> ToolResult | None:
        """Return the result of the deed of this idempotency key, or that it is in doubt."""
        ...


class AuditLog:
    """Calls in an SQL database, whose tables `metadata` describes."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def started(self, entry: AuditEntry) -> int:
        """Write down a call that is about to be made; return the number of its row."""
        return self._insert(entry, result=None)

    def finished(self, row: int, result: ToolResult) -> None:
        """Write down how it ended; the last word counts."""
        with _Guard(), writing(self._database) as connection:
            changed = update(tool_calls).where(tool_calls.c.id == row).values(**_end(result))
            connection.execute(changed)
            # The answer is kept only where the same call may come again.
            connection.execute(
                update(tool_calls)
                .where(tool_calls.c.id == row, tool_calls.c.idempotency_key == "")
                .values(content=None)
            )

    def noted(self, entry: AuditEntry, result: ToolResult) -> None:
        """Write down a call together with its end: one refused, or one that only read."""
        self._insert(entry, result=result)

    def recorded(self, key: str) -> ToolResult | None:
        """Return the result of the deed of this idempotency key, or that it is in doubt.

        In doubt: it was begun and no end is written down, or an end that left it open.
        """
        was_done = tool_calls.c.kind == ResultKind.OK
        was_begun = tool_calls.c.is_in_doubt | tool_calls.c.kind.is_(None)
        with _Guard(), reading(self._database) as connection:
            row = connection.execute(
                select(tool_calls.c.kind, tool_calls.c.content, tool_calls.c.seconds)
                .where(tool_calls.c.idempotency_key == key, was_done | was_begun)
                .order_by(was_done.desc(), tool_calls.c.id.desc())
                .limit(1)
            ).one_or_none()
        if row is None or not key:
            return None
        if row.kind != ResultKind.OK:
            return ToolResult(
                call_id="",
                content="it was begun before; whether it was done is not known: tell the user",
                is_error=True,
                kind=ResultKind.FAILED,
                is_in_doubt=True,
                is_replayed=True,
            )
        return ToolResult(
            call_id="", content=row.content or "", seconds=row.seconds, is_replayed=True
        )

    def entries(
        self, conversation: str | None = None, *, limit: int = 100
    ) -> tuple[AuditEntry, ...]:
        """Return the newest calls, of one conversation or of all, the newest first."""
        query = select(tool_calls).order_by(tool_calls.c.id.desc()).limit(limit)
        if conversation is not None:
            query = query.where(tool_calls.c.conversation == conversation)
        with _Guard(), reading(self._database) as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_entry(dict(row)) for row in rows)

    def forget(self, *, before: datetime) -> int:
        """Delete the calls begun before a time; return how many."""
        with _Guard(), writing(self._database) as connection:
            gone = connection.execute(delete(tool_calls).where(tool_calls.c.started_at < before))
        return int(gone.rowcount)

    def _insert(self, entry: AuditEntry, *, result: ToolResult | None) -> int:
        values: dict[str, Any] = {
            "call_id": entry.call_id,
            "user": entry.caller.user,
            "conversation": entry.caller.conversation,
            "task": entry.caller.task,
            "tool": entry.tool,
            "effect": entry.effect,
            "arguments": dict(entry.arguments),
            "idempotency_key": entry.idempotency_key,
            "is_in_doubt": False,
            "started_at": datetime.now(UTC),
        }
        if result is not None:
            kept = result if entry.idempotency_key else replace(result, content="")
            values |= _end(kept)
            values["started_at"] = values["finished_at"] - timedelta(seconds=result.seconds)
        # A deed that is about to be done must be on the disk; what only read can be read again.
        with _Guard(), writing(self._database, is_durable=result is None) as connection:
            found = connection.execute(_INSERT, values)
        key = found.inserted_primary_key
        return int(key[0]) if key else 0


def entry_of(
    call_id: str,
    tool: Tool,
    arguments: Mapping[str, Any] | None,
    caller: Caller,
    idempotency_key: str = "",
) -> AuditEntry:
    """Return a call as it may be written down: sensitive and unknown arguments are left out."""
    known = set(tool.schema.get("properties", {})) - tool.sensitive
    return AuditEntry(
        call_id=call_id,
        caller=caller,
        tool=tool.name,
        effect=tool.effect,
        arguments={
            key[:80]: value if key in known else REDACTED
            for key, value in (arguments or {}).items()
        },
        idempotency_key=idempotency_key,
    )


class _Guard:
    """Makes `AuditError` of whatever the database raises."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SQLAlchemyError | IndexStoreError):
            raise AuditError(f"the audit log cannot be used: {type(error).__name__}") from error


def _end(result: ToolResult) -> dict[str, Any]:
    return {
        "kind": result.kind,
        "is_in_doubt": result.is_in_doubt,
        "content": result.content,
        "seconds": result.seconds,
        "finished_at": datetime.now(UTC),
    }


def _entry(row: Mapping[Any, Any]) -> AuditEntry:
    caller = Caller(user=row["user"], conversation=row["conversation"], task=row["task"])
    return AuditEntry(
        call_id=row["call_id"],
        caller=caller,
        tool=row["tool"],
        effect=row["effect"],
        arguments=row["arguments"],
        idempotency_key=row["idempotency_key"],
        kind=None if row["kind"] is None else ResultKind(row["kind"]),
        is_in_doubt=row["is_in_doubt"],
        seconds=row["seconds"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
