"""Doubles of the seams of `tools`, and the contract that every audit log keeps."""

import pytest

from tools.audit import AuditEntry, AuditSink, entry_of
from tools.base import Effect, Tool
from tools.call_context import Caller
from tools.result import ResultKind, ToolResult

_IN_DOUBT = "it was begun before; whether it was done is not known: tell the user"


class MemoryAudit:
    """An `AuditSink` that keeps calls in a list, and forgets them with itself."""

    def __init__(self) -> None:
        self.rows: list[tuple[AuditEntry, ToolResult | None]] = []

    def started(self, entry: AuditEntry) -> int:
        """Write down a call that is about to be made; return the number of its row."""
        self.rows.append((entry, None))
        return len(self.rows)

    def finished(self, row: int, result: ToolResult) -> None:
        """Write down how it ended; the last word counts."""
        self.rows[row - 1] = (self.rows[row - 1][0], result)

    def noted(self, entry: AuditEntry, result: ToolResult) -> None:
        """Write down a call together with its end: one refused, or one that only read."""
        self.rows.append((entry, result))

    def recorded(self, key: str) -> ToolResult | None:
        """Return the result of the deed of this idempotency key, or that it is in doubt."""
        ends = [end for entry, end in self.rows if key and entry.idempotency_key == key]
        for end in reversed(ends):
            if end is not None and not end.is_error:
                return ToolResult(
                    call_id="", content=end.content, seconds=end.seconds, is_replayed=True
                )
        if any(end is None or end.is_in_doubt for end in ends):
            return ToolResult(
                call_id="",
                content=_IN_DOUBT,
                is_error=True,
                kind=ResultKind.FAILED,
                is_in_doubt=True,
                is_replayed=True,
            )
        return None


class AuditSinkContract:
    """Laws of the `AuditSink` port; inherit and provide the fixture `sink`."""

    @pytest.fixture
    def sink(self) -> AuditSink:
        """Return the log under test."""
        raise NotImplementedError

    def test_a_deed_that_was_done_is_answered_from_the_record(self, sink: AuditSink) -> None:
        """The same key finds the same result, marked as replayed."""
        row = sink.started(_entry("k"))
        sink.finished(row, ToolResult(call_id="c", content="done"))
        found = sink.recorded("k")
        assert found is not None
        assert (found.content, found.is_replayed, found.is_error) == ("done", True, False)
        assert sink.recorded("other") is None

    def test_a_deed_without_an_end_is_in_doubt(self, sink: AuditSink) -> None:
        """Nobody may take it for done, nor for not done."""
        sink.started(_entry("k"))
        found = sink.recorded("k")
        assert found is not None
        assert found.is_in_doubt

    def test_a_deed_that_was_refused_was_not_done(self, sink: AuditSink) -> None:
        """A refusal is no record of a deed."""
        refusal = ToolResult(call_id="c", content="no", is_error=True, kind=ResultKind.DENIED)
        sink.noted(_entry("k"), refusal)
        assert sink.recorded("k") is None

    def test_calls_without_a_key_are_never_the_same_deed(self, sink: AuditSink) -> None:
        """The empty key finds nothing."""
        sink.finished(sink.started(_entry("")), ToolResult(call_id="c", content="done"))
        assert sink.recorded("") is None


def _entry(key: str) -> AuditEntry:
    deed = Tool.from_function(_deed, name="deed", effect=Effect.WRITE)
    return entry_of("c", deed, {}, Caller(user="ann"), key)


def _deed() -> None:
    return None
