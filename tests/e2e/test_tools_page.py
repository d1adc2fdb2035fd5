"""Cards of tool calls in a real Chromium; the tools are real, the model says what it is told to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.testing import application_of_doubles
from api.toolbox import build_registry, strategies_of
from dialog.agent import DialogAgent
from index.database import open_database
from llm.testing import ScriptedChatModel
from rag.pipeline import RetrievalPipeline
from tests.api.conftest import serving
from tests.api.test_tools import NOTE, NOTEBOOK, SUM
from tests.chromium import launch
from tools.agent_log import SQLRunStore
from tools.audit import AuditLog
from tools.runs import ToolRuns

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass
class Served:
    page: Page
    model: ScriptedChatModel
    notes: Path
    address: str


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture
def served(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    notes = tmp_path / "notes.txt"
    monkeypatch.setenv("NOTEBOOK", str(notes))
    model, state = ScriptedChatModel(), tmp_path / "state"
    with application_of_doubles(state, tool_files=(NOTEBOOK,)) as doubles:
        database = open_database(f"sqlite:///{state / 'causerie.sqlite'}")
        registry = build_registry(doubles.settings, None)
        runs = ToolRuns(model, registry, AuditLog(database), SQLRunStore(database), strategies_of)
        pipeline = RetrievalPipeline(doubles.store.open, doubles.embedder)
        agent = DialogAgent(model, pipeline, doubles.sessions, runs=runs)
        doubles.readiness.mark_ready()
        with serving(replace(doubles, agent=agent, chat_model=model, runs=runs)) as live:
            context = browser.new_context(viewport={"width": 1280, "height": 820})
            page = context.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(live.address)
            expect(page.locator("html[data-ready]")).to_be_attached()
            yield Served(page, model, notes, live.address)
            context.close()
            assert faults == []
        database.dispose()


def ask(page: Page, question: str) -> None:
    switch = page.get_by_test_id("use-tools")
    if switch.get_attribute("aria-pressed") == "false":
        switch.click()
    page.get_by_test_id("composer").fill(question)
    page.get_by_test_id("composer").press("Enter")


def test_a_call_is_shown_with_arguments_result_and_time(served: Served) -> None:
    served.model.replies = [SUM, "It is 391."]
    ask(served.page, "How much is 17 * 23?")
    card = served.page.get_by_test_id("tool-card")
    expect(card).to_have_attribute("data-status", "done")
    expect(served.page.get_by_test_id("answer-text")).to_have_text("It is 391.")
    expect(card).to_contain_text("calculate")
    expect(card).to_contain_text('expression: "17 * 23"')
    expect(card.get_by_test_id("tool-outcome")).to_have_text("= 391")
    expect(served.page.get_by_test_id("collection-picker")).to_contain_text("plain chat")
    card.locator("summary").click()
    expect(card.get_by_test_id("tool-result")).to_have_text("391")
    served.page.reload()
    stored = served.page.get_by_test_id("tool-card")
    expect(stored).to_have_attribute("data-status", "done")


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_a_deed_waits_for_the_user_on_the_page(served: Served, word: str) -> None:
    served.model.replies = [NOTE, "So be it."]
    page = served.page
    ask(page, "Note that I must buy milk.")
    card = page.get_by_test_id("tool-card")
    expect(card).to_have_attribute("data-status", "waiting")
    expect(card.get_by_test_id("tool-arguments")).to_contain_text("buy milk")
    assert not served.notes.exists()
    page.reload()  # what waits can still be decided later
    page.get_by_test_id(word).click()
    expect(page.get_by_test_id("answer-text").last).to_have_text("So be it.")
    status = "done" if word == "approve" else "failed"
    expect(page.get_by_test_id("tool-card").last).to_have_attribute("data-status", status)
    assert served.notes.exists() is (word == "approve")
    said = page.get_by_test_id("message-user").last
    expect(said).to_contain_text("I agree." if word == "approve" else "I do not agree.")


def test_what_a_tool_gives_back_is_shown_as_text_and_never_run(served: Served) -> None:
    served.notes.write_text("<img src=x onerror=alert(1)><script>alert(2)</script>\n")
    call = '<tool_call>{"name":"read_notes","arguments":{}}</tool_call>'
    served.model.replies = [call, "There."]
    ask(served.page, "What is noted?")
    card = served.page.get_by_test_id("tool-card")
    expect(card).to_have_attribute("data-status", "done")
    card.locator("summary").click()
    expect(card.get_by_test_id("tool-result")).to_contain_text("onerror=alert(1)")
    assert card.locator("img, script").count() == 0


def test_without_the_switch_an_answer_calls_nothing(served: Served) -> None:
    served.model.replies = ["Plain."]
    served.page.get_by_test_id("composer").fill("Hello?")
    served.page.get_by_test_id("composer").press("Enter")
    expect(served.page.get_by_test_id("answer-text")).to_be_visible()
    assert served.page.get_by_test_id("tool-card").count() == 0
