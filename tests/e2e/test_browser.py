"""The web page in a real Chromium, against the real service.

The server is started by the `live_server` fixture. Nothing here reaches beyond loopback.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.chromium import launch
from tests.e2e.conftest import ANSWER_TIMEOUT_S

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.slow]

ANSWER_TIMEOUT_MS = 1000 * ANSWER_TIMEOUT_S
QUESTION = "What does the with statement do?"


class LiveServer(Protocol):
    """What these tests need of the running service."""

    @property
    def url(self) -> str: ...


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture(params=[{}])
def page(
    browser: Browser, live_server: LiveServer, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The page, loaded; a script error, a policy violation or a foreign request fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 820}, **request.param})
    page = context.new_page()
    faults: list[str] = []

    def note(is_fault: bool, words: str) -> None:
        if is_fault:
            faults.append(words)

    page.on("pageerror", lambda error: note(True, f"script error: {error}"))
    page.on("console", lambda line: note("Content Security Policy" in line.text, line.text))
    page.on("request", lambda sent: note(not sent.url.startswith(live_server.url), sent.url))
    open_page(page, live_server.url)
    yield page
    context.close()
    assert faults == []


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("html[data-ready]")).to_be_attached(timeout=ANSWER_TIMEOUT_MS)


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("composer").fill(question)
    page.get_by_test_id("composer").press("Enter")


def wait_for_answer(page: Page) -> str:
    """Return the text of the last answer, once it is whole; an error on the page fails the test."""
    message = page.get_by_test_id("message-assistant").last
    ended = re.compile("done|abstained|error|stopped")
    expect(message).to_have_attribute("data-state", ended, timeout=ANSWER_TIMEOUT_MS)
    assert message.get_attribute("data-state") in {"done", "abstained"}, message.inner_text()
    return message.get_by_test_id("answer-text").inner_text()


def watch_growth(page: Page) -> None:
    """Record every length that the text of the newest answer has while it streams."""
    page.evaluate(
        """() => {
          window.lengths = [];
          new MutationObserver(() => {
            const all = document.querySelectorAll("[data-testid=message-assistant]");
            const message = [...all].at(-1);
            const length = message?.querySelector(".answer").textContent.length;
            if (message?.dataset.state === "streaming" && length !== window.lengths.at(-1))
              window.lengths.push(length);
          }).observe(document.getElementById("messages"), {childList: true, subtree: true});
        }"""
    )


def squeeze(text: str) -> str:
    return " ".join(text.split())


def test_an_answer_streams_and_its_citation_opens_the_marked_source(
    page: Page, live_server: LiveServer
) -> None:
    watch_growth(page)
    ask(page, QUESTION)
    expect(page.get_by_test_id("stop")).to_be_visible()
    answer = wait_for_answer(page)
    lengths = page.evaluate("window.lengths")
    assert len(lengths) >= 2, f"the text came in one piece: {lengths}"
    assert lengths[0] < lengths[-1]
    expect(page.get_by_test_id("message-user")).to_have_text(re.compile(re.escape(QUESTION)))
    expect(page.get_by_test_id("send")).to_be_visible()
    expect(page.get_by_test_id("tokens-per-second")).to_have_text(
        re.compile(r"^\d+(\.\d)? tokens/s$")
    )

    conversation = page.url.rpartition("#c/")[2]
    stored = page.request.get(
        f"{live_server.url.rstrip('/')}/v1/conversations/{conversation}"
    ).json()
    quotes = {c["id"]: squeeze(c["quote"]) for c in stored["messages"][-1]["citations"]}
    mark = page.get_by_test_id("citation").first
    quote = quotes[int(mark.get_attribute("data-citation") or 0)]
    mark.click()
    expect(page.get_by_test_id("source-panel")).to_be_visible()
    shown = squeeze(page.get_by_test_id("source-mark").inner_text())
    assert quote in shown
    expect(mark).to_have_attribute("aria-expanded", "true")

    page.keyboard.press("Escape")
    expect(page.get_by_test_id("source-panel")).to_be_hidden()
    expect(mark).to_be_focused()

    page.reload()
    expect(page.locator("html[data-ready]")).to_be_attached(timeout=ANSWER_TIMEOUT_MS)
    expect(page.get_by_test_id("message-user")).to_have_count(1)
    assert wait_for_answer(page) == answer
    page.get_by_test_id("citation").first.click()
    expect(page.get_by_test_id("source-mark")).to_be_visible()


def test_the_evidence_of_an_answer_stands_beneath_it(page: Page) -> None:
    ask(page, QUESTION)
    wait_for_answer(page)
    verdicts = page.get_by_test_id("verdicts")
    expect(verdicts.get_by_test_id("verdicts-short")).to_contain_text("supported")
    if verdicts.get_attribute("open") is None:
        verdicts.locator("summary").click()
    quote = verdicts.get_by_test_id("verdict-quote").first
    words = squeeze(quote.inner_text())
    verdicts.get_by_test_id("verdict-source").first.click()
    assert squeeze(page.get_by_test_id("source-mark").inner_text()) == words


def test_a_search_with_the_real_lanes_is_explained(page: Page) -> None:
    page.get_by_test_id("search-link").click()
    expect(page.locator("html[data-ready]")).to_be_attached(timeout=ANSWER_TIMEOUT_MS)
    page.get_by_test_id("search-collection").select_option("python")
    page.get_by_test_id("search-query").fill(QUESTION)
    page.get_by_test_id("search-query").press("Enter")
    hits = page.get_by_test_id("hit")
    expect(hits).to_have_count(5, timeout=ANSWER_TIMEOUT_MS)
    expect(hits.first.locator("mark").first).to_be_visible()
    expect(hits.first.locator("[data-lane=dense]")).to_contain_text("rank")
    expect(page.get_by_test_id("gate")).to_have_attribute("data-decision", "answer")


def test_a_conversation_is_listed_and_can_be_deleted(page: Page) -> None:
    question = f"What is a lambda expression? ({secrets.token_hex(3)})"
    ask(page, question)
    wait_for_answer(page)
    row = (
        page.get_by_test_id("conversation-list")
        .get_by_role("listitem")
        .filter(has_text=question[:20])
    )
    expect(row.first).to_be_visible()
    before = page.get_by_test_id("conversation-list").get_by_role("listitem").count()
    row.first.hover()
    row.first.get_by_test_id("conversation-delete").click()
    page.get_by_test_id("confirm-yes").click()
    expect(page.get_by_test_id("conversation-list").get_by_role("listitem")).to_have_count(
        before - 1
    )
    expect(page.get_by_test_id("message-user")).to_have_count(0)


def test_an_uploaded_file_is_answered_from(page: Page) -> None:
    name = f"lighthouse-{secrets.token_hex(4)}"
    page.get_by_test_id("new-collection").click()
    page.get_by_test_id("collection-input").fill(name)
    page.get_by_test_id("collection-create").click()
    expect(page.get_by_test_id("collection-picker")).to_have_value(name)
    text = "The lighthouse was built in 1871. The door of the lighthouse is painted teal.\n"
    files: list[FilePayload] = [
        {"name": "brunsvik.txt", "mimeType": "text/plain", "buffer": text.encode()},
        {"name": "junk.pdf", "mimeType": "application/pdf", "buffer": bytes(range(256)) * 40},
    ]
    page.get_by_test_id("upload-input").set_input_files(files)
    rows = page.get_by_test_id("upload-row")
    expect(rows.nth(0)).to_have_attribute("data-outcome", "added", timeout=ANSWER_TIMEOUT_MS)
    expect(rows.nth(1)).to_have_attribute("data-outcome", "failed", timeout=ANSWER_TIMEOUT_MS)
    ask(page, "What colour is the door of the lighthouse painted?")
    assert "teal" in wait_for_answer(page)
    page.get_by_test_id("citation").first.click()
    expect(page.get_by_test_id("source-mark")).to_contain_text("teal")
    expect(page.get_by_test_id("source-panel")).to_contain_text("brunsvik.txt")


def test_a_click_on_stop_ends_the_stream(page: Page) -> None:
    page.get_by_test_id("collection-picker").select_option("")
    ask(page, "Write a very long story about a river, with many chapters.")
    text = page.get_by_test_id("answer-text").last
    expect(text).to_have_text(re.compile(r"\w"), timeout=ANSWER_TIMEOUT_MS)
    page.get_by_test_id("stop").click()
    message = page.get_by_test_id("message-assistant").last
    expect(message).to_have_attribute("data-state", "stopped")
    expect(page.get_by_test_id("send")).to_be_visible()
    stopped_at = text.inner_text()
    page.wait_for_timeout(700)
    assert text.inner_text() == stopped_at
    expect(page.get_by_test_id("composer")).to_be_focused()


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}],
    indirect=True,
)
def test_nothing_scrolls_sideways_on_a_phone(page: Page) -> None:
    def overflow() -> int:
        return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    assert overflow() <= 0
    page.get_by_test_id("example").first.tap()
    wait_for_answer(page)
    assert overflow() <= 0
    page.get_by_test_id("citation").first.tap()
    expect(page.get_by_test_id("source-mark")).to_be_in_viewport()
    assert overflow() <= 0
    page.get_by_test_id("source-close").tap()
    page.get_by_role("button", name="Conversations and sources").tap()
    expect(page.get_by_test_id("conversation-list")).to_be_in_viewport()
    assert overflow() <= 0


def test_the_chosen_theme_survives_a_reload(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_test_id("theme-toggle").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark


def test_an_error_in_mid_stream_is_shown_in_its_own_words_and_can_be_retried(page: Page) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half an ans"}}]}
    error = {"error": {"message": "The engine ran out of memory.", "type": "server_error"}}
    body = f": comment\n\ndata: {json.dumps(chunk)}\n\ndata: {json.dumps(error)}\n\n"

    def fail(route: Route) -> None:
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/v1/chat/completions", fail)
    ask(page, QUESTION)
    message = page.get_by_test_id("message-assistant")
    expect(message).to_have_attribute("data-state", "error")
    expect(message).to_contain_text("Half an ans")
    expect(message.get_by_role("alert")).to_contain_text("The engine ran out of memory.")
    page.unroute("**/v1/chat/completions")
    page.get_by_test_id("retry").click()
    assert wait_for_answer(page)
    expect(page.get_by_test_id("message-user")).to_have_count(1)


def test_a_refused_request_asks_for_a_key_and_goes_out_again_with_it(page: Page) -> None:
    keys: list[str | None] = []

    def guard(route: Route) -> None:
        keys.append(route.request.headers.get("authorization"))
        if keys[-1] == "Bearer sesame":
            route.fulfill(status=201, json={"object": "collection", "name": "guarded"})
        else:
            error = {"message": "The API key is missing.", "type": "authentication_error"}
            route.fulfill(status=401, json={"error": error})

    page.route(
        re.compile("/v1/collections$"),
        lambda r: guard(r) if r.request.method == "POST" else r.continue_(),
    )
    page.get_by_test_id("new-collection").click()
    page.get_by_test_id("collection-input").fill("guarded")
    page.get_by_test_id("collection-create").click()
    expect(page.get_by_test_id("key-dialog")).to_contain_text("The API key is missing.")
    page.get_by_test_id("key-input").fill("sesame")
    page.get_by_test_id("key-submit").click()
    expect(page.get_by_test_id("collection-dialog")).to_be_hidden()
    assert keys == [None, "Bearer sesame"]
    assert page.evaluate("sessionStorage.getItem('causerie.api_key')") == "sesame"
    assert page.evaluate("Object.values(localStorage).includes('sesame')") is False
