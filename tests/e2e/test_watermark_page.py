"""The page that looks for the mark, in a real Chromium, with the default model's tokenizer."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from api.testing import application_of_doubles
from api.tokenizer_file import TokenizerOfModel, load_tokenizer
from api.watermark_finder import MarkFinder
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from tests.api.conftest import LiveServer, serving
from tests.api.marked_texts import RING, marked
from tests.chromium import launch

pytestmark = [pytest.mark.browser, pytest.mark.weights]

KEY = "admin-of-the-marks"
WORDS = (
    "the of and to in is that it for was on are as with they be at one have this from by hot word"
    " but what some we can out other were all there when up use your how said an each she which do"
    " their time if will way about many then them write would like so these her long make thing"
    " see him two has look more day could go come did number sound no most people my over know"
)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with launch(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def model(models: ModelStore) -> TokenizerOfModel:
    return load_tokenizer(models.path(DEFAULT_CHAT_MODEL))


@pytest.fixture(params=[()])
def server(
    model: TokenizerOfModel, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[LiveServer]:
    """A service with the real finder; the parameter is its API keys."""
    finder = MarkFinder(RING, model.tokenizer, size=model.size, served="gumbel")
    with (
        application_of_doubles(tmp_path / "state", api_keys=request.param) as doubles,
        serving(replace(doubles, mark_finder=finder)) as running,
    ):
        yield running


@pytest.fixture
def page(browser: Browser, server: LiveServer) -> Iterator[Page]:
    """The page, loaded; a script error, a policy violation or a foreign request fails the test."""
    context = browser.new_context(viewport={"width": 1180, "height": 1000})
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
    page.goto(f"{server.address}/watermark")
    expect(page.locator("html[data-ready]")).to_be_attached()
    yield page
    context.close()
    assert faults == []


def reply(model: TokenizerOfModel, num: int, *, seed: int = 3) -> str:
    allowed = [model.tokenizer.encode(f" {word}")[0] for word in WORDS.split()]
    return marked(num, seed=seed, allowed=allowed, tokenizer=model.tokenizer, size=model.size)


def look(page: Page, text: str) -> None:
    page.get_by_test_id("detect-text").fill(text)
    page.get_by_test_id("detect-go").click()


def test_a_marked_text_is_found_and_its_tokens_are_coloured(
    page: Page, model: TokenizerOfModel
) -> None:
    text = reply(model, 90)
    look(page, text)
    expect(page.get_by_test_id("verdict-title")).to_have_text("The mark was found")
    expect(page.get_by_test_id("verdict")).to_be_focused()
    expect(page.get_by_test_id("verdict-words")).to_contain_text("carries the mark of the key")
    expect(page.get_by_test_id("verdict-facts")).to_contain_text(re.compile(r"p-value.* 10⁻"))
    tokens = page.get_by_test_id("tokens").locator(".token")
    assert "".join(tokens.all_text_contents()) == text
    levels = [token.get_attribute("data-level") for token in tokens.all()]
    assert levels[:4] == ["uncounted"] * 4
    assert sum(level in {"1", "2", "3"} for level in levels) > len(levels) / 2
    strong = page.locator('#tokens .token[data-level="3"]').first
    plain = page.locator('#tokens .token[data-level="uncounted"]').first
    colours = [
        one.evaluate("node => getComputedStyle(node).backgroundColor") for one in (strong, plain)
    ]
    assert colours[0] != colours[1]
    assert re.fullmatch(r"evidence \+\d+\.\d\d", strong.get_attribute("title") or "")


def test_an_unmarked_text_is_told_for_what_it_says(page: Page) -> None:
    human = "The committee met on Tuesday and could not agree on when to meet again, so it will. "
    look(page, human + human.replace("committee", "council").replace("Tuesday", "Friday"))
    expect(page.get_by_test_id("verdict-title")).to_have_text("No mark was found")
    expect(page.get_by_test_id("verdict-words")).to_contain_text("does not say that the text is")
    expect(page.get_by_test_id("verdict-words")).not_to_contain_text("No mark was found")
    meaning = page.get_by_test_id("meaning")
    expect(meaning).not_to_contain_text("sub-key")
    meaning.locator("summary").click()
    expect(meaning).to_contain_text("not the chance that the text is unmarked")
    look(page, "Too short.")
    expect(page.get_by_test_id("detect-error")).to_contain_text("Cannot tell, because")
    expect(page.get_by_test_id("verdict")).to_be_hidden()


def test_a_verdict_goes_when_another_question_is_asked(page: Page, model: TokenizerOfModel) -> None:
    """It stood beside the new text until the next one came."""
    look(page, reply(model, 90))
    expect(page.get_by_test_id("verdict-title")).to_have_text("The mark was found")
    held: list[Route] = []
    page.route("**/v1/watermark/detect", lambda route: held.append(route))  # noqa: PLW0108 - it is marked
    page.get_by_test_id("detect-scheme").select_option("synthid:bayesian")
    look(page, reply(model, 90, seed=4))
    expect(page.get_by_test_id("verdict")).to_be_hidden()
    expect(page.get_by_test_id("detect-go")).to_have_text("Looking…")
    expect(page.get_by_test_id("detect-go")).to_be_disabled()
    held[0].continue_()
    expect(page.get_by_test_id("verdict-title")).to_have_text("No mark was found", timeout=30_000)
    expect(page.get_by_test_id("verdict-facts")).to_contain_text("synthid")
    expect(page.get_by_test_id("detect-go")).to_be_enabled()


@pytest.mark.parametrize("form", ["json", "lines"])
def test_a_conversation_is_judged_as_one(page: Page, model: TokenizerOfModel, form: str) -> None:
    replies = [reply(model, 24, seed=seed) for seed in range(4)]
    if form == "json":
        messages = [
            {"role": role, "content": content}
            for text in replies
            for role, content in (("user", "Go on."), ("assistant", text))
        ]
        look(page, json.dumps(messages))
    else:
        look(page, "\n".join(f"User: Go on.\nAssistant:{text}" for text in replies))
    expect(page.get_by_test_id("verdict-title")).to_have_text("The mark was found")
    expect(page.get_by_test_id("verdict-words")).to_contain_text("The conversation")
    expect(page.get_by_test_id("reply")).to_have_count(4)
    expect(page.get_by_test_id("reply").first).to_contain_text("Reply 1:")
    expect(page.get_by_test_id("tokens")).not_to_contain_text("Go on.")


def test_hostile_text_stays_text(page: Page) -> None:
    text = "<img src=x onerror='window.pwned = 1'><script>window.pwned = 1</script> " * 3
    look(page, text)
    expect(page.get_by_test_id("verdict")).to_be_visible()
    assert page.evaluate("window.pwned ?? null") is None
    assert "".join(page.locator("#tokens .token").all_text_contents()) == text


@pytest.mark.parametrize("server", [(KEY,)], indirect=True)
def test_the_page_asks_for_the_key(page: Page, model: TokenizerOfModel) -> None:
    look(page, reply(model, 60))
    page.get_by_test_id("key-input").fill(KEY)
    page.get_by_test_id("key-submit").click()
    expect(page.get_by_test_id("verdict-title")).to_have_text("The mark was found")


def test_the_chat_page_and_this_one_lead_to_each_other(page: Page) -> None:
    page.get_by_test_id("home-link").click()
    expect(page.locator("html[data-ready]")).to_be_attached()
    page.get_by_test_id("watermark-link").click()
    expect(page).to_have_url(re.compile("/watermark$"))
    expect(page.locator("html[data-ready]")).to_be_attached()
    expect(page.get_by_test_id("detect-text")).to_be_visible()
    page.get_by_test_id("theme-toggle").click()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()


def test_the_shortest_p_values_are_told_as_powers(page: Page, model: TokenizerOfModel) -> None:
    texts = [reply(model, 420, seed=seed) for seed in range(2)]  # far below what a float holds
    look(page, "\n".join(f"User: Go on.\nAssistant:{text}" for text in texts))
    expect(page.get_by_test_id("verdict-facts")).to_contain_text(
        re.compile("p-value.* 10⁻[⁰-⁹¹²³]+")
    )
    for number in range(2):
        facts = page.get_by_test_id("reply").nth(number).locator(".reply-facts")
        expect(facts).to_contain_text(re.compile("p = .* 10⁻"))
        expect(facts).not_to_contain_text("NaN")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_cut_off_at_any_width(page: Page, model: TokenizerOfModel, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    look(page, reply(model, 60) + " " + "x" * 300)
    expect(page.get_by_test_id("verdict")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
