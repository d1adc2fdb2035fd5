"""The search page in a real Chromium: real lanes and gate, an embedder without weights."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.testing import application_of_doubles
from rag.document import Document, sha256_hex
from tests.api.conftest import LiveServer, serving
from tests.chromium import launch
from tests.rag.question_corpus import documents

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEY = "key-of-the-searchers"
QUERY = "How long do carrots need in the steamer?"
HOSTILE = (
    "# Notes <img src=x onerror='window.pwned = 1'>\n\n"
    "The \N{GRINNING FACE} lighthouse <script>window.pwned = 1</script> was painted teal."
    " <img src=x onerror='window.pwned = 1'>\n"
)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture(params=[()])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A service with the collections `manuals` and `notes`; the parameter is its API keys."""
    notes = Document(
        uri="notes.md",
        title="Notes <img src=x onerror='window.pwned = 1'>",
        text=HOSTILE,
        media_type="text/markdown",
        source_sha256=sha256_hex(HOSTILE.encode()),
    )
    with application_of_doubles(tmp_path / "state", api_keys=request.param) as doubles:
        doubles.ingestor.ingest_documents(documents(), "manuals")
        doubles.ingestor.ingest_documents([notes], "notes")
        doubles.readiness.mark_ready()
        with serving(doubles) as running:
            yield running


@pytest.fixture
def page(browser: Browser, server: LiveServer) -> Iterator[Page]:
    """The page, loaded; a script error, a policy violation or a foreign request fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on(
        "console",
        lambda line: faults.append(line.text) if "Security Policy" in line.text else None,
    )
    page.on(
        "request",
        lambda sent: None if sent.url.startswith(server.address) else faults.append(sent.url),
    )
    page.goto(f"{server.address}/search")
    if not server.application.settings.api_keys:
        expect(page.locator("html[data-ready]")).to_be_attached()
    yield page
    context.close()
    assert faults == []


def look(page: Page, query: str, *, collection: str = "manuals") -> None:
    page.get_by_test_id("search-collection").select_option(collection)
    page.get_by_test_id("search-query").fill(query)
    page.get_by_test_id("search-query").press("Enter")
    expect(page.get_by_test_id("search-results")).to_be_visible()


def test_a_passage_is_found_marked_and_explained(page: Page, server: LiveServer) -> None:
    look(page, QUERY)
    found = page.request.post(
        f"{server.address}/v1/collections/manuals/search",
        data={"query": QUERY, "lanes": ["dense", "terms"], "explain": True},
    ).json()
    first, hits = found["data"][0], page.get_by_test_id("hit")
    expect(hits).to_have_count(len(found["data"]))
    expect(hits.first.get_by_test_id("hit-path")).to_contain_text("Steaming vegetables")
    expect(hits.first.get_by_test_id("hit-score")).to_have_text(f"{first['score']:.3f}")
    marks = hits.first.get_by_test_id("hit-text").locator("mark").all_text_contents()
    assert marks == [first["text"][start:end] for start, end in first["highlights"]]
    lanes = hits.first.get_by_test_id("hit-lanes")
    for name, place in first["lanes"].items():
        chip = lanes.locator(f"[data-lane={name}]")
        expect(chip).to_contain_text(f"rank {place['rank']}")
        expect(chip).to_contain_text(f"{place['score']:.3f}")
    expect(lanes.locator("[data-lane=prior]")).to_contain_text("none")
    times = page.get_by_test_id("lane-times")
    expect(times.locator("tr[data-lane=dense]")).to_contain_text("ms")
    expect(times.locator("tr[data-lane=terms]")).to_contain_text(
        str(found["explain"]["lanes"][1]["num_found"])
    )
    gate = page.get_by_test_id("gate")
    expect(gate).to_have_attribute("data-decision", found["explain"]["gate"]["decision"])
    expect(gate.get_by_test_id("gate-probability")).to_contain_text("%")


def test_one_lane_and_the_number_of_passages_can_be_chosen(page: Page) -> None:
    page.get_by_test_id("search-k").fill("2")
    page.get_by_test_id("lanes-terms").check()
    look(page, "tank")
    expect(page.get_by_test_id("hit")).to_have_count(2)
    expect(page.get_by_test_id("lane-times").locator("tbody tr")).to_have_count(1)
    expect(page.get_by_test_id("gate")).to_have_count(0)
    expect(page.get_by_test_id("search-count")).to_have_text("2 passages from manuals")


def test_the_address_holds_the_search(page: Page) -> None:
    page.get_by_test_id("lanes-dense").check()
    look(page, QUERY)
    expect(page).to_have_url(re.compile(r"\?q=How.*&collection=manuals&lanes=dense&k=5$"))
    look(page, "teal", collection="notes")
    page.go_back()
    expect(page.get_by_test_id("search-query")).to_have_value(QUERY)
    expect(page.get_by_test_id("search-collection")).to_have_value("manuals")
    expect(page.get_by_test_id("search-count")).to_contain_text("from manuals")
    page.reload()
    expect(page.get_by_test_id("lanes-dense")).to_be_checked()
    expect(page.get_by_test_id("search-count")).to_contain_text("from manuals")


def test_a_passage_opens_in_its_document_and_the_focus_comes_back(page: Page) -> None:
    look(page, QUERY)
    opener = page.get_by_test_id("hit-open").first
    opener.press("Enter")
    expect(page.get_by_test_id("source-mark")).to_contain_text("Carrots need eleven minutes")
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("source-panel")).to_be_hidden()
    expect(opener).to_be_focused()


def test_hostile_words_are_words(page: Page) -> None:
    query = "lighthouse <b>teal</b> <img src=x onerror='window.pwned = 1'>"
    look(page, query, collection="notes")
    hit = page.get_by_test_id("hit").first
    expect(hit.get_by_test_id("hit-path")).to_contain_text("<img src=x onerror='window.pwned = 1'>")
    expect(hit.get_by_test_id("hit-text")).to_contain_text("<script>window.pwned = 1</script>")
    marks = hit.get_by_test_id("hit-text").locator("mark").all_text_contents()
    assert {"lighthouse", "teal"} <= set(marks)  # behind a character of two UTF-16 units
    hit.get_by_test_id("hit-open").click()
    expect(page.get_by_test_id("source-mark")).to_contain_text("<script>window.pwned = 1</script>")
    assert page.evaluate("window.pwned ?? null") is None
    assert page.locator("main img, main script, aside img, aside script").count() == 0
    page.goto(f"{page.url.partition('?')[0]}?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&k=-3")
    expect(page.get_by_test_id("search-query")).to_have_value("<img src=x onerror=alert(1)>")
    expect(page.get_by_test_id("search-k")).to_have_value("5")


def test_what_goes_wrong_is_said_in_the_services_words(page: Page, server: LiveServer) -> None:
    look(page, QUERY)
    server.application.store.delete("manuals")
    page.get_by_test_id("search-go").click()
    expect(page.get_by_test_id("search-error")).to_contain_text("manuals")
    expect(page.get_by_test_id("search-results")).to_be_hidden()


@pytest.mark.parametrize("server", [(KEY,)], indirect=True)
def test_the_page_asks_for_the_key(page: Page) -> None:
    page.get_by_test_id("key-input").fill(KEY)
    page.get_by_test_id("key-submit").click()
    look(page, QUERY)
    expect(page.get_by_test_id("hit").first).to_be_visible()


def test_the_chat_page_leads_here_and_back(page: Page) -> None:
    page.get_by_test_id("home-link").click()
    expect(page.locator("html[data-ready]")).to_be_attached()
    page.get_by_test_id("search-link").click()
    expect(page).to_have_url(re.compile("/search$"))
    expect(page.get_by_test_id("search-query")).to_be_focused()
    page.get_by_test_id("theme-toggle").click()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    look(page, QUERY + " " + "x" * 200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    main = page.locator("main")
    assert main.evaluate("node => node.scrollWidth <= node.clientWidth")
