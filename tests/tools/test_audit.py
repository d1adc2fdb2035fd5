from typing import Annotated

from sqlalchemy import Engine

from tests.tools.calling import ANN, agreed, call, executor, noter, read_tool, said
from tools.argument_types import Range
from tools.audit import REDACTED, AuditEntry, AuditLog, metadata
from tools.base import tool
from tools.mandate import Mandate
from tools.result import ResultKind


def add(a: int, b: int = 1) -> int:
    return a + b


# --- the audit log ---------------------------------------------------------------------------


def test_calls_are_written_down_without_sensitive_arguments(audit: AuditLog) -> None:
    @tool(effect="write", sensitive=("pin",))
    def pay(amount: Annotated[int, Range(least=1)], pin: str) -> str:
        return "paid"

    runner, mandate = executor(audit, pay), said("pay 5, pin 1234")
    agreed(runner.run(call("pay", amount=5, pin="1234"), mandate), mandate)
    runner.run(call("pay", amount=5, pin="1234"), mandate)
    runner.run(call("pay", amount=0, pin="1234", PIN="1234"), mandate)
    entries = audit.entries("c1")
    assert [entry.kind for entry in entries] == ["invalid", "ok", "needs_confirmation"]
    assert all(entry.arguments["pin"] == REDACTED for entry in entries)
    assert "1234" not in repr(entries)
    assert entries[1].arguments["amount"] == 5
    assert (entries[1].caller, entries[1].tool, entries[1].effect) == (ANN, "pay", "write")
    assert entries[1].started_at is not None
    assert entries[1].finished_at is not None
    assert entries[1].started_at <= entries[1].finished_at


def test_a_deed_is_written_down_before_it_is_done(audit: AuditLog) -> None:
    seen: list[AuditEntry] = []

    @tool(confirm="ungrounded")
    def look() -> None:
        seen.extend(audit.entries())

    executor(audit, look).run(call("look"), Mandate(caller=ANN))
    assert [(entry.kind, entry.finished_at) for entry in seen] == [(None, None)]
    assert [entry.kind for entry in audit.entries()] == [ResultKind.OK]


def test_without_a_log_no_deed_is_done_and_nothing_that_was_read_is_shown(
    database: Engine,
) -> None:
    made: list[int] = []
    metadata.drop_all(database)
    deed = tool(name="deed", confirm="ungrounded")(noter(made))
    runner = executor(AuditLog(database), deed, read_tool(add))
    for asked in (call("deed"), call("add", a=41)):
        result = runner.run(asked, Mandate())
        assert result.kind is ResultKind.UNAVAILABLE
        assert "42" not in result.content
        assert "SELECT" not in result.content
    assert made == []


def test_old_calls_can_be_forgotten(audit: AuditLog) -> None:
    runner = executor(audit, read_tool(add))
    runner.run(call("add", a=1), Mandate())
    started = audit.entries()[0].started_at
    assert started is not None
    assert audit.forget(before=started) == 0
    runner.run(call("add", a=2), Mandate())
    last = audit.entries()[0].started_at
    assert last is not None
    assert audit.forget(before=last) == 1
    assert len(audit.entries()) == 1
