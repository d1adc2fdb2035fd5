"""`tools list`, `tools call` and `chat --tools`, in this process and beside a server."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from api.application import Application
from api.cli.main import main
from api.cli.terminal_dialogue import Dialogue
from api.client import RemoteDesk
from api.desk import Desk, LocalDesk
from api.testing import application_of_doubles
from api.toolbox import build_registry, strategies_of
from dialog.agent import DialogAgent
from dialog.reply import ActingRequest, CallCard, Reply
from index.database import open_database
from llm.testing import ScriptedChatModel
from rag.pipeline import RetrievalPipeline
from tests.api.conftest import serving
from tests.api.test_cli import type_in
from tests.api.test_tools import NOTE, NOTEBOOK, SUM
from tools.agent_log import SQLRunStore
from tools.audit import AuditLog
from tools.runs import Decision, ToolRuns


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOTEBOOK", str(tmp_path / "notes.txt"))
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "cli"))
    monkeypatch.setenv("CAUSERIE_TOOL_FILES", str(NOTEBOOK))
    return tmp_path / "notes.txt"


@pytest.fixture
def model() -> ScriptedChatModel:
    return ScriptedChatModel()


@pytest.fixture
def acting(tmp_path: Path, model: ScriptedChatModel, notes: Path) -> Iterator[Application]:
    state = tmp_path / "state"
    with application_of_doubles(state, tool_files=(NOTEBOOK,)) as doubles:
        database = open_database(f"sqlite:///{state / 'causerie.sqlite'}")
        registry = build_registry(doubles.settings, None)
        log, store = AuditLog(database), SQLRunStore(database)
        runs = ToolRuns(model, registry, log, store, strategies_of)
        pipeline = RetrievalPipeline(doubles.store.open, doubles.embedder)
        agent = DialogAgent(model, pipeline, doubles.sessions, runs=runs)
        yield replace(doubles, agent=agent, chat_model=model, runs=runs)
        database.dispose()


@pytest.fixture(params=["local", "remote"])
def desk(acting: Application, request: pytest.FixtureRequest) -> Iterator[Desk]:
    if request.param == "local":
        yield LocalDesk(acting)
        return
    with serving(acting) as live:
        remote = RemoteDesk(live.address, api_key=None)
        yield remote
        remote.close()


def dialogue(desk: Desk) -> Dialogue:
    id_ = desk.open_conversation(collection=None, conversation_id=None)
    return Dialogue(desk, id_, Console(), ActingRequest())


def test_tools_are_listed_and_called(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["tools", "list"])
    shown = capsys.readouterr().out
    assert "calculate" in shown
    assert "save_note" in shown
    with pytest.raises(SystemExit, match="0"):
        main(["tools", "list", "--json"])
    by_name = {tool["name"]: tool for tool in json.loads(capsys.readouterr().out)}
    assert by_name["save_note"]["asks"] == "always"
    with pytest.raises(SystemExit, match="0"):
        main(["tools", "call", "calculate", '{"expression": "17 * 23"}'])
    assert capsys.readouterr().out == "391\n"


def test_a_deed_by_hand_asks_first_and_is_written_down(
    notes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["tools", "call", "save_note", '{"text": "buy milk"}']
    type_in(monkeypatch, "n\n")
    with pytest.raises(SystemExit, match="1"):
        main(call)
    assert "needs_confirmation" in capsys.readouterr().err
    assert not notes.exists()
    with pytest.raises(SystemExit, match="0"):
        main([*call, "--yes"])
    assert notes.read_text() == "buy milk\n"
    database = open_database(f"sqlite:///{notes.parent / 'cli' / 'causerie.sqlite'}")
    kinds = [entry.kind for entry in AuditLog(database).entries()]
    database.dispose()
    assert kinds == ["ok", "needs_confirmation", "needs_confirmation"]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (["calculte"], "did you mean 'calculate'"),
        (["calculate", "{"], "not JSON"),
        (["calculate", '{"expression": "1 / 0"}'], "division by zero"),
    ],
)
def test_a_call_that_fails_is_one_sentence_and_exit_code_1(
    notes: Path, capsys: pytest.CaptureFixture[str], call: list[str], word: str
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["tools", "call", *call])
    assert word in capsys.readouterr().err


def test_calls_show_as_lines_of_the_dialogue(
    desk: Desk, model: ScriptedChatModel, capsys: pytest.CaptureFixture[str]
) -> None:
    model.replies = [SUM, "It is 391."]
    dialogue(desk).answer("How much is 17 * 23?")
    shown = capsys.readouterr().out
    assert 'calculate({"expression":"17 * 23"}) → 391' in shown
    assert shown.rstrip().endswith("It is 391.")


@pytest.mark.parametrize("word", ["y", "n"])
def test_a_deed_is_asked_about_in_the_dialogue(
    desk: Desk,
    model: ScriptedChatModel,
    notes: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
) -> None:
    model.replies = [NOTE, "So be it."]
    type_in(monkeypatch, f"{word}\n")
    dialogue(desk).answer("Note that I must buy milk.")
    shown = capsys.readouterr().out
    assert 'Call save_note({"text":"buy milk"})? [y/N]' in shown
    assert "So be it." in shown
    assert notes.exists() is (word == "y")


def test_both_desks_tell_the_same(desk: Desk, model: ScriptedChatModel) -> None:
    model.replies = [NOTE, "So be it."]
    id_ = desk.open_conversation(collection=None, conversation_id=None)
    cancel = threading.Event()
    first = [*desk.ask("x?", conversation_id=id_, cancel=cancel, acting=ActingRequest())]
    assert [part.status for part in first if isinstance(part, CallCard)] == ["running", "waiting"]
    reply = first[-1]
    assert isinstance(reply, Reply)
    assert reply.acting is not None
    (card,) = reply.acting.waiting
    words = (Decision(call_id=card.call_id, is_agreed=True),)
    resumed = ActingRequest(run_id=reply.acting.run_id, decisions=words)
    second = [*desk.ask("", conversation_id=id_, cancel=cancel, acting=resumed)]
    assert [part.status for part in second if isinstance(part, CallCard)] == ["running", "done"]
    end = second[-1]
    assert isinstance(end, Reply)
    assert (end.text, end.acting and end.acting.reason) == ("So be it.", "answered")
