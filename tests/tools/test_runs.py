import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from llm.chat import Message, TextDelta
from llm.testing import ScriptedChatModel
from tests.tools.running import SUM, calls, mailer
from tools import agent_log
from tools.agent import RunContext
from tools.agent_events import ApprovalAsked, CallReturned, EndReason, RunEnded, RunOpened
from tools.agent_log import RunStore, SQLRunStore
from tools.agent_state import replay
from tools.audit import AuditLog
from tools.base import Tool, tool
from tools.builtin.calculator import calculator
from tools.call_context import Caller
from tools.call_counts import UNKNOWN
from tools.errors import (
    RunConflictError,
    ToolDeclarationError,
    UnknownRunError,
    UnknownStrategyError,
    UnknownToolError,
)
from tools.registry import ToolRegistry
from tools.result import ResultKind
from tools.runs import Decision, RunRequest, ToolRuns
from tools.strategies.native import NativeCalling
from tools.tool_file import tools_of_file

QUESTION = [Message(role="user", content="How much is 1 + 2?")]
ANN = RunContext(caller=Caller(user="ann"))


@pytest.fixture
def store(database: Engine) -> SQLRunStore:
    agent_log.metadata.create_all(database)
    return SQLRunStore(database)


def service(model: ScriptedChatModel, store: RunStore, audit: AuditLog, *tools: Tool) -> ToolRuns:
    registry = ToolRegistry(tools or (calculator(),))
    return ToolRuns(model, registry, audit, store, lambda r: [NativeCalling(r.specs)])


def test_a_run_is_stored_as_it_went(store: SQLRunStore, audit: AuditLog) -> None:
    runs = service(ScriptedChatModel([SUM, "3."]), store, audit)
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann", conversation="c1")
    told = list(runs.stream(run_id, ANN, owner="ann"))
    logged = runs.logged(run_id, "ann")
    assert [*logged.events[1:]] == [part for part in told if not isinstance(part, TextDelta)]
    assert isinstance(logged.events[0], RunOpened)
    assert logged.conversation == "c1"
    with pytest.raises(RunConflictError, match="has ended"):
        [*runs.stream(run_id, ANN, owner="ann")]


def test_each_call_is_counted_once_by_how_it_ended(store: SQLRunStore, audit: AuditLog) -> None:
    sent: list[str] = []
    script = [SUM, SUM, calls("make_up", x=1), calls("send_mail", to="bob"), "Sent."]
    model = ScriptedChatModel(script)
    runs = service(model, store, audit, calculator(), mailer(sent))
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    asked = [*runs.stream(run_id, ANN, owner="ann")][-1]
    assert isinstance(asked, ApprovalAsked)
    word = Decision(call_id=asked.call.id, is_agreed=True)
    [*runs.stream(run_id, ANN, owner="ann", decisions=[word])]
    assert runs.counts.counted() == {
        ("calculate", ResultKind.OK): 1,
        ("calculate", ResultKind.REPEATED): 1,
        (UNKNOWN, ResultKind.UNKNOWN_TOOL): 1,
        ("send_mail", ResultKind.NEEDS_CONFIRMATION): 1,
        ("send_mail", ResultKind.OK): 1,
    }


def test_a_run_is_nobody_else_s(store: SQLRunStore, audit: AuditLog) -> None:
    runs = service(ScriptedChatModel([SUM]), store, audit)
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    for owner in ("eve", ""):
        with pytest.raises(UnknownRunError):
            runs.logged(run_id, owner)
        with pytest.raises(UnknownRunError):
            [*runs.stream(run_id, ANN, owner=owner)]
    assert runs.logged(run_id, None).owner == "ann"


def test_a_decision_is_stored_and_must_be_about_a_call_that_waits(
    store: SQLRunStore, audit: AuditLog
) -> None:
    sent: list[str] = []
    script = [calls("send_mail", to="bob"), "Sent."]
    runs = service(ScriptedChatModel(script), store, audit, mailer(sent))
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    asked = [*runs.stream(run_id, ANN, owner="ann")][-1]
    assert isinstance(asked, ApprovalAsked)
    with pytest.raises(RunConflictError, match="no call 'x' waits"):
        [*runs.stream(run_id, ANN, owner="ann", decisions=[Decision(call_id="x", is_agreed=True)])]
    # Another process, which has only the database, takes it up.
    again = service(ScriptedChatModel(script[1:]), store, audit, mailer(sent))
    yes = Decision(call_id=asked.call.id, is_agreed=True)
    end = [*again.stream(run_id, ANN, owner="ann", decisions=[yes])][-1]
    assert end == RunEnded(reason=EndReason.ANSWERED, answer="Sent.")
    assert sent == ["bob"]


def test_a_deed_is_in_the_log_before_it_is_done(store: SQLRunStore, audit: AuditLog) -> None:
    seen: list[str] = []

    @tool(effect="write", confirm="ungrounded")
    def deed() -> None:
        seen.extend(event.kind for event in store.run(run_id, "ann").events)

    runs = service(ScriptedChatModel([calls("deed"), "Done."]), store, audit, deed)
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    [*runs.stream(run_id, ANN, owner="ann")]
    assert seen == ["run_opened.v1", "model_spoke.v1", "call_started.v1"]


def test_whoever_leaves_loses_nothing_of_the_log(store: SQLRunStore, audit: AuditLog) -> None:
    runs = service(ScriptedChatModel([SUM, "3."]), store, audit)
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    stream = runs.stream(run_id, ANN, owner="ann")
    assert isinstance(next(p for p in stream if isinstance(p, CallReturned)), CallReturned)
    stream.close()  # type: ignore[attr-defined]
    assert len(replay(runs.logged(run_id, "ann").events).findings) == 1
    end = [*service(ScriptedChatModel(["3."]), store, audit).stream(run_id, ANN, owner="ann")][-1]
    assert isinstance(end, RunEnded)


def test_a_run_goes_on_in_one_place_at_a_time(store: SQLRunStore, audit: AuditLog) -> None:
    inside, leave = threading.Event(), threading.Event()

    @tool(effect="read")
    def wait() -> str:
        inside.set()
        leave.wait(5)
        return "x"

    runs = service(ScriptedChatModel([calls("wait"), "Done."]), store, audit, wait)
    run_id = runs.begin(QUESTION, RunRequest(), owner="ann")
    thread = threading.Thread(target=lambda: [*runs.stream(run_id, ANN, owner="ann")])
    thread.start()
    assert inside.wait(5)
    with pytest.raises(RunConflictError, match="under way"):
        [*runs.stream(run_id, ANN, owner="ann")]
    leave.set()
    thread.join(5)
    with pytest.raises(RunConflictError, match="went on elsewhere"):
        store.append(run_id, 1, RunEnded(reason=EndReason.CANCELLED))


def test_a_run_may_have_some_of_the_tools_and_names_those_it_does_not_know(
    store: SQLRunStore, audit: AuditLog
) -> None:
    runs = service(ScriptedChatModel(["Hi."]), store, audit, calculator(), mailer([]))
    run_id = runs.begin(QUESTION, RunRequest(names=("calculate",)), owner="ann")
    opened = runs.logged(run_id, "ann").events[0]
    assert isinstance(opened, RunOpened)
    assert opened.tools == ("calculate",)
    assert isinstance([*runs.stream(run_id, ANN, owner="ann")][-1], RunEnded)
    with pytest.raises(UnknownToolError, match="did you mean 'calculate'"):
        runs.begin(QUESTION, RunRequest(names=("calcolate",)), owner="ann")
    with pytest.raises(UnknownStrategyError):
        runs.begin(QUESTION, RunRequest(strategy="tree"), owner="ann")


def test_the_runs_of_a_conversation_are_forgotten_with_it(
    store: SQLRunStore, audit: AuditLog
) -> None:
    runs = service(ScriptedChatModel(), store, audit)
    gone = runs.begin(QUESTION, RunRequest(), owner="ann", conversation="c1")
    kept = runs.begin(QUESTION, RunRequest(), owner="ann", conversation="c2")
    assert runs.forget("c1") == 1
    with pytest.raises(UnknownRunError):
        runs.logged(gone, "ann")
    assert runs.logged(kept, "ann").id == kept
    with pytest.raises(RunConflictError, match="is gone"):
        store.append(gone, 1, RunEnded(reason=EndReason.CANCELLED))


def test_a_file_of_tools_enters_no_path_and_may_be_called_like_a_package(tmp_path: Path) -> None:
    path = tmp_path / "tools.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom tools.base import tool\n"
        "@dataclass(frozen=True)\nclass Pair:\n    a: int\n    b: int\n"
        "@tool(effect='read')\ndef add(pair: Pair) -> int:\n    return pair.a + pair.b\n"
    )
    (found,) = tools_of_file(path)
    assert found.name == "add"
    with pytest.raises(ToolDeclarationError, match="is no Python file"):
        tools_of_file(tmp_path / "missing.py")
