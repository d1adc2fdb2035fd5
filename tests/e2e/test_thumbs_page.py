"""A thumb from the press on the page to a question of an evaluation set, with the real service."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from rag.evaluation_set import read_set
from tests.chromium import launch
from tests.e2e.conftest import ANSWER_TIMEOUT_S, REPOSITORY, LiveService

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.slow]

ANSWER_TIMEOUT_MS = 1000 * ANSWER_TIMEOUT_S
TEXT = "The lighthouse was built in 1871. The door of the lighthouse is painted teal.\n"
QUESTION = "What colour is the door of the lighthouse painted?"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture
def collection(live_server: LiveService) -> str:
    """A collection of its own, since the service is shared with other tests."""
    name = f"thumbs-{secrets.token_hex(4)}"
    with httpx.Client(base_url=live_server.url, timeout=ANSWER_TIMEOUT_S) as client:
        file = {"file": ("lighthouse.txt", TEXT.encode(), "text/plain")}
        client.post("/v1/collections", json={"name": name}).raise_for_status()
        client.post(f"/v1/collections/{name}/documents", files=file).raise_for_status()
    return name


@pytest.fixture
def page(browser: Browser, live_server: LiveService, collection: str) -> Iterator[Page]:
    """The page with an answer from the collection."""
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(live_server.url)
    expect(page.locator("html[data-ready]")).to_be_attached(timeout=ANSWER_TIMEOUT_MS)
    page.get_by_test_id("collection-picker").select_option(collection)
    ask(page, QUESTION)
    yield page
    context.close()
    assert faults == []


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("composer").fill(question)
    page.get_by_test_id("composer").press("Enter")
    ended = re.compile("done|abstained|error|stopped")
    message = page.get_by_test_id("message-assistant").last
    expect(message).to_have_attribute("data-state", ended, timeout=ANSWER_TIMEOUT_MS)


def thumb(page: Page, rating: str) -> Locator:
    return page.get_by_test_id(f"thumb-{rating}").last


def command(service: LiveService, *arguments: str) -> str:
    """Return what a command says that runs beside the server, on the same state folder."""
    folders = {"CAUSERIE_HOME": str(service.home), "CAUSERIE_STATE": str(service.state)}
    ended = subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **folders},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWER_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def reviewed(service: LiveService, collection: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        command(service, "eval", "feedback", "list", "--collection", collection, "--json")
    )
    return found


def test_a_thumb_up_becomes_a_question_with_what_was_cited(
    page: Page, live_server: LiveService, collection: str, tmp_path: Path
) -> None:
    thumb(page, "up").click()
    expect(page.get_by_test_id("thumbs-status")).to_have_text("Thank you")
    expect(thumb(page, "up")).to_have_attribute("aria-pressed", "true")
    conversation = page.url.rpartition("#c/")[2]
    stored = page.request.get(f"{live_server.url}/v1/conversations/{conversation}").json()
    answer = stored["messages"][-1]
    assert answer["rating"] == "up"
    page.reload()
    expect(thumb(page, "up")).to_have_attribute("aria-pressed", "true")

    (found,) = reviewed(live_server, collection)
    assert (found["rating"], found["query"]) == ("up", QUESTION)
    said = command(live_server, "eval", "feedback", "accept", str(found["id"]))
    assert QUESTION in said
    assert reviewed(live_server, collection) == []
    path = tmp_path / "users.jsonl"
    made = ("eval", "build", collection, "--num", "0", "--from-feedback", "--out", str(path))
    command(live_server, *made)
    (item,) = read_set(path)
    assert (item.query, item.kind) == (QUESTION, "feedback")
    assert [(one.uri, one.start, one.end) for one in item.relevant] == [
        (one["uri"], one["start"], one["end"]) for one in answer["citations"]
    ]
    assert item.relevant


def test_a_thumb_down_keeps_what_would_have_been_right(
    page: Page, live_server: LiveService, collection: str
) -> None:
    thumb(page, "down").click()
    comment = page.get_by_test_id("thumbs-comment").last
    expect(comment).to_be_focused()
    comment.fill("It is <b>teal</b>.")
    comment.press("Enter")
    expect(page.get_by_test_id("thumbs-status")).to_have_text("Thank you, noted")
    (found,) = reviewed(live_server, collection)
    assert (found["rating"], found["comment"]) == ("down", "It is <b>teal</b>.")
    right = ("--relevant", "lighthouse.txt:0-33")
    assert QUESTION in command(live_server, "eval", "feedback", "accept", str(found["id"]), *right)
    thumb(page, "down").click()
    expect(page.get_by_test_id("thumbs-status")).to_have_text("Taken back")
    assert reviewed(live_server, collection) == []


def test_the_second_of_two_answers_in_the_same_words_is_the_one_that_is_rated(
    page: Page, live_server: LiveService
) -> None:
    ask(page, QUESTION)
    thumb(page, "up").click()
    expect(page.get_by_test_id("thumbs-status").last).to_have_text("Thank you")
    conversation = page.url.rpartition("#c/")[2]
    stored = page.request.get(f"{live_server.url}/v1/conversations/{conversation}").json()
    assert [one["rating"] for one in stored["messages"] if one["role"] == "assistant"] == [
        None,
        "up",
    ]
