"""The evidence of an answer in a real Chromium; retrieval, gate and checks are real, the model
says what it is told to.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from api.testing import application_of_doubles
from dialog.agent import DialogAgent
from llm.testing import LetterScorer, ScriptedChatModel
from rag.document import Document, sha256_hex
from rag.gate_model import DEFAULT_GATE, GateModel
from rag.pipeline import RetrievalPipeline
from rag.verifier import Verifier
from tests.api.conftest import serving
from tests.chromium import launch
from tests.rag.question_corpus import documents

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUESTION = "When does the kettle switch itself off?"
QUOTE = "The kettle switches itself off when the water boils."
TRUE = "The kettle switches off when the water boils. [1]"
FALSE = "The kettle explodes after 17 minutes. [1]"
HOSTILE = (
    "The lighthouse was painted teal by <img src=x onerror='window.pwned = 1'> in May."
    " <script>window.pwned = 1</script> is written on the door of the lighthouse.\n"
)
ROUTERS = ("Router X1", "Router X2", "Router X3")


def document(uri: str, title: str, text: str) -> Document:
    return Document(
        uri=uri,
        title=title,
        text=text,
        media_type="text/plain",
        source_sha256=sha256_hex(text.encode()),
    )


@dataclass
class Served:
    page: Page
    model: ScriptedChatModel
    address: str


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture
def serve(browser: Browser, tmp_path: Path) -> Serve:
    @contextmanager
    def start(gate: GateModel = DEFAULT_GATE) -> Iterator[Served]:
        model = ScriptedChatModel()
        with application_of_doubles(tmp_path / "state") as doubles:
            pipeline = RetrievalPipeline(
                doubles.store.open, doubles.embedder, gate_of=lambda _: gate
            )
            verifier = Verifier(doubles.embedder, LetterScorer())
            agent = DialogAgent(model, pipeline, doubles.sessions, verifier=verifier)
            doubles.ingestor.ingest_documents(documents(), "manuals")
            notes = document("notes.txt", "<b>Notes</b>", HOSTILE)
            doubles.ingestor.ingest_documents([notes], "notes")
            hold = "To reset the router, hold the button.\n"
            routers = [document(f"{name}.txt", name, hold) for name in ROUTERS]
            doubles.ingestor.ingest_documents(routers, "routers")
            doubles.readiness.mark_ready()
            with serving(replace(doubles, agent=agent, chat_model=model)) as live:
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                faults: list[str] = []
                page.on("pageerror", lambda error: faults.append(str(error)))
                page.on(
                    "console",
                    lambda line: (
                        faults.append(line.text) if "Security Policy" in line.text else None
                    ),
                )
                page.goto(live.address)
                expect(page.locator("html[data-ready]")).to_be_attached()
                yield Served(page, model, live.address)
                context.close()
                assert faults == []

    return start


@pytest.fixture
def served(serve: Serve) -> Iterator[Served]:
    with serve() as served:
        yield served


def ask(page: Page, question: str, *, collection: str = "manuals", state: str = "done") -> None:
    page.get_by_test_id("collection-picker").select_option(collection)
    page.get_by_test_id("composer").fill(question)
    page.get_by_test_id("composer").press("Enter")
    expect(page.get_by_test_id("message-assistant").last).to_have_attribute("data-state", state)


def wish(page: Page, **extension: str) -> None:
    """Let the page's questions carry wishes for which it has no button."""

    def add(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        body["causerie"] |= extension
        route.continue_(post_data=json.dumps(body))

    page.route("**/v1/chat/completions", add)


def test_each_sentence_has_its_verdict_beside_its_passage(served: Served) -> None:
    page = served.page
    served.model.replies = ["I cannot say."]
    ask(page, QUESTION)
    verdicts = page.get_by_test_id("verdicts")
    expect(verdicts.get_by_test_id("verdicts-short")).to_contain_text("supported")
    summary = verdicts.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    first = verdicts.get_by_test_id("verdict-item").first
    expect(first).to_have_attribute("data-verdict", "verbatim")
    expect(first).to_contain_text("Word for word")
    expect(first.get_by_test_id("verdict-quote")).to_have_text(QUOTE)
    expect(first.locator("blockquote")).to_contain_text("The tank of this kettle")  # what follows
    opener = first.get_by_test_id("verdict-source")
    opener.press("Enter")
    expect(page.get_by_test_id("source-mark")).to_have_text(QUOTE)
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(verdicts.get_by_test_id("verdicts-gate")).to_contain_text("%")
    short = verdicts.get_by_test_id("verdicts-short").inner_text()
    page.reload()
    expect(verdicts.get_by_test_id("verdicts-short")).to_have_text(short)


def test_what_nothing_bears_out_is_seen_without_a_click(served: Served) -> None:
    page = served.page
    served.model.replies = [f"{TRUE} {FALSE}"]
    wish(page, answer="generative", unsupported="flag")
    ask(page, QUESTION)
    items = page.get_by_test_id("verdict-item")
    expect(items).to_have_count(2)
    expect(items.nth(0)).to_have_attribute("data-verdict", "supported")
    expect(items.nth(0).get_by_test_id("verdict-quote")).to_have_text(QUOTE)
    expect(items.nth(0).get_by_test_id("verdict-scores")).to_contain_text("similarity")
    expect(items.nth(1)).to_be_visible()
    expect(items.nth(1)).to_have_attribute("data-verdict", "unsupported")
    expect(items.nth(1)).to_contain_text("Not supported")
    expect(items.nth(1)).to_contain_text("The kettle explodes after 17 minutes.")
    expect(items.nth(1).get_by_test_id("verdict-problems")).to_contain_text(
        "the number 17 is not there"
    )
    expect(page.get_by_test_id("verdicts-short")).to_have_text("1 of 2 sentences supported, 1 not")


def test_what_was_struck_and_what_was_written_anew_is_told(served: Served) -> None:
    page = served.page
    wish(page, answer="generative")
    served.model.replies = [f"{TRUE} {FALSE}"]
    ask(page, QUESTION)
    expect(page.get_by_test_id("verdicts-short")).to_have_text("1 sentence supported, 1 left out")
    page.get_by_test_id("verdicts").locator("summary").click()
    expect(page.get_by_test_id("verdicts-struck")).to_contain_text("1 sentence of the draft")
    served.model.replies = [FALSE, f'"{QUOTE}" [1]']
    ask(page, QUESTION)
    last = page.get_by_test_id("verdicts").last
    last.locator("summary").click()
    expect(last.get_by_test_id("verdict-item")).to_contain_text("written anew")


def test_an_abstention_shows_what_was_found(served: Served) -> None:
    page = served.page
    question = "Who won the football cup in Brazil?"
    ask(page, question, state="abstained")
    for _ in range(2):
        findings = page.get_by_test_id("findings")
        expect(findings.locator("summary")).to_contain_text("What I did find")
        opener = findings.get_by_role("listitem").first.get_by_role("button")
        expect(opener).to_be_visible()
        opener.click()
        expect(page.get_by_test_id("source-mark")).to_contain_text(" ")
        page.get_by_test_id("source-close").click()
        expect(page.get_by_test_id("verdicts-gate")).to_contain_text("football")
        page.reload()  # it is kept with the answer


def test_hostile_words_of_a_document_are_words(served: Served) -> None:
    page = served.page
    served.model.replies = ["I cannot say."]
    ask(page, "Who painted the lighthouse <b>teal</b>?", collection="notes")
    expect(page.get_by_test_id("message-user")).to_contain_text("<b>teal</b>")
    verdicts = page.get_by_test_id("verdicts")
    verdicts.locator("summary").click()
    quote = verdicts.get_by_test_id("verdict-quote").first
    expect(quote).to_contain_text("<img src=x onerror='window.pwned = 1'>")
    expect(verdicts.locator("blockquote").first).to_contain_text("<script>window.pwned = 1")
    expect(verdicts.get_by_test_id("verdict-source").first).to_contain_text("<b>Notes</b>")
    assert page.evaluate("window.pwned ?? null") is None
    assert page.locator("#messages img, #messages script, #messages b").count() == 0


def test_what_is_asked_back_can_be_chosen(serve: Serve) -> None:
    with serve(replace(DEFAULT_GATE, clarify_threshold=0.5)) as served:
        page = served.page
        ask(page, "reset router", collection="routers")
        options = page.get_by_test_id("clarify-option")
        expect(options.nth(1)).to_be_visible()
        chosen = options.nth(1).inner_text()
        assert chosen in ROUTERS
        served.model.replies = ["I cannot say."]
        options.nth(1).press("Enter")
        expect(page.get_by_test_id("message-user").last).to_contain_text(f"reset router ({chosen})")
        expect(options.nth(0)).to_be_disabled()
        answer = page.get_by_test_id("message-assistant").last
        expect(answer).to_have_attribute("data-state", "done")
        expect(answer.get_by_test_id("answer-text")).to_contain_text("hold the button")
        page.reload()
        expect(options.nth(0)).to_be_disabled()
