"""The page of bots in a real Chromium: offers, buttons, slots, the decision card, the handoff."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.bot_bootstrap import agent_maker, bots_of
from api.testing import application_of_doubles
from dialog.task.event_log import MemoryTaskLog
from tests.api.conftest import LiveServer, serving
from tests.chromium import launch

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    log = MemoryTaskLog()
    with application_of_doubles(tmp_path / "state") as doubles:
        bots = bots_of([EXAMPLES], log, agent_maker(log))
        with serving(replace(doubles, bots=bots)) as running:
            yield running


@pytest.fixture
def page(browser: Browser, server: LiveServer) -> Iterator[Page]:
    """The page with the restaurant chosen; a script error or a policy violation fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(f"{server.address}/bots")
    expect(page.locator("html[data-ready]")).to_be_attached()
    page.get_by_test_id("bot-select").select_option("restaurant")
    expect(page.get_by_test_id("bot-turn").first).to_contain_text("Port Ellery Tables")
    yield page
    context.close()
    assert faults == []


def say(page: Page, words: str) -> None:
    expect(page.get_by_test_id("bot-send")).to_be_enabled()
    num = page.get_by_test_id("bot-turn").count()
    page.get_by_test_id("bot-input").fill(words)
    page.get_by_test_id("bot-send").click()
    expect(page.get_by_test_id("bot-turn")).to_have_count(num + 1)
    expect(page.get_by_test_id("bot-send")).to_be_enabled()


def test_a_restaurant_is_found_chosen_by_its_card_and_a_button_goes_on(page: Page) -> None:
    say(page, "find me an italian restaurant")
    say(page, "anywhere is fine")
    offers = page.get_by_test_id("offer")
    expect(offers).to_have_count(3)
    offers.filter(has_text="Vento").get_by_role("button").click()
    expect(page.get_by_test_id("bot-turn").last).to_contain_text("Shall I book a table?")
    page.get_by_test_id("bot-turn").last.get_by_test_id("reply-button").first.click()
    expect(page.get_by_test_id("bot-turn").last).to_contain_text("How many people")
    slot = page.get_by_test_id("slot").filter(has_text="restaurant")
    expect(slot.first).to_contain_text("Vento")
    expect(offers.first.get_by_role("button")).to_be_disabled()  # what was answered is past


def test_why_shows_the_words_the_values_and_the_lines(page: Page) -> None:
    say(page, "book a table for four at Casa Lucia on Friday at 7 pm")
    page.get_by_test_id("why").last.click()
    card = page.get_by_test_id("panel-card")
    expect(card).to_be_visible()
    expect(card.locator("mark").first).to_be_visible()
    expect(card).to_contain_text("start(book_table)")
    expect(card).to_contain_text("empty → 4")
    expect(card).to_contain_text("bot.yaml:")


def test_a_person_takes_the_conversation_and_gives_it_back(page: Page) -> None:
    say(page, "book a table at Casa Lucia")
    say(page, "I want to talk to a person")
    page.get_by_test_id("tab-handoff").click()
    expect(page.get_by_test_id("handoff-summary")).to_contain_text("restaurant: Casa Lucia")
    page.get_by_test_id("operator-take").click()
    expect(page.get_by_test_id("handoff-status")).to_contain_text("the bot is silent")
    page.get_by_test_id("operator-return").click()
    expect(page.get_by_test_id("panel-handoff")).to_contain_text("The bot has this conversation")
