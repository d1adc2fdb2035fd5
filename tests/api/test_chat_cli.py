import pytest
from rich.console import Console

from api.application import Application
from api.cli.terminal_dialogue import Dialogue
from api.desk import LocalDesk
from api.errors import ServerError
from api.testing import ScriptedAgent
from dialog.errors import ConcurrentTurnError
from llm.chat_template import TemplateRefusedError
from llm.errors import ContextOverflowError, EngineBusyError
from tests.api.test_cli import type_in


def dialogue(application: Application) -> Dialogue:
    desk = LocalDesk(application)
    id_ = desk.open_conversation(collection=None, conversation_id=None)
    return Dialogue(desk, id_, Console())


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflowError(num_tokens=9, limit=4),
        EngineBusyError("the engine is busy; try again in a moment"),
        ConcurrentTurnError(conversation_id="conv_x", expected_seq=1, actual_seq=3),
        ServerError("the conversation is in use", status=409),
        TemplateRefusedError("the template does not take these messages"),
    ],
)
@pytest.mark.parametrize("num_words", [0, 2])
def test_a_refused_turn_ends_with_its_sentence_and_the_dialogue_goes_on(
    application: Application,
    agent: ScriptedAgent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    num_words: int,
) -> None:
    agent.error, agent.num_words_before_error = error, num_words
    type_in(monkeypatch, "One?", "/help")
    dialogue(application).run()
    captured = capsys.readouterr()
    assert captured.err.strip() == f"error: {error}"
    assert "/source N" in captured.out
    if num_words:
        assert "It is\n" in captured.out


def test_a_source_that_was_deleted_meanwhile_ends_no_dialogue(
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    application.ingestor.ingest_bytes("a.txt", b"The cat sleeps.", "pets")
    desk = LocalDesk(application)
    id_ = desk.open_conversation(collection="pets", conversation_id=None)
    talk = Dialogue(desk, id_, Console())
    talk.answer("The cat?")
    application.store.delete("pets")
    type_in(monkeypatch, "/source 1", "/help")
    talk.run()
    captured = capsys.readouterr()
    assert "'pets'" in captured.err
    assert "/source N" in captured.out


def test_a_fault_of_ours_still_ends_the_dialogue(
    application: Application, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.error = RuntimeError("boom")
    type_in(monkeypatch, "One?", "/help")
    with pytest.raises(RuntimeError, match="boom"):
        dialogue(application).run()
