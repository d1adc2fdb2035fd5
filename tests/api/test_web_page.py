"""The scripts of the page, one by one, in a real Chromium on the static files alone."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from api.trace_model import LaneTraceModel, RerankModel, TraceModel
from tests.chromium import launch

pytestmark = pytest.mark.browser

WEB = Path(__file__).parents[2] / "api" / "web"


class StaticFiles(SimpleHTTPRequestHandler):
    """Serves `/static/…` out of `api/web`, as the service does, and an empty page at `/`.

    It sends no content security policy, so that what keeps a payload inert is the scripts alone.
    """

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>empty</title>")

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/static"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture(scope="module")
def page(chromium: Path) -> Iterator[Page]:
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(StaticFiles, directory=str(WEB))) as server,
        launch(chromium) as browser,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        server.shutdown()


PAGES = {"/": "index.html", "/search": "search.html", "/watermark": "watermark.html"}


@pytest.mark.parametrize("name", PAGES.values())
def test_a_page_works_under_a_policy_without_inline_code(name: str) -> None:
    html = (WEB / name).read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", html) == []
    addresses = re.findall(r'(?:src|href)="([^"#][^"]*)"', html)
    assert addresses
    files = [PAGES.get(address, address.removeprefix("/static/")) for address in addresses]
    assert all((WEB / file).is_file() for file in files)


def test_no_script_parses_html_or_reaches_another_host() -> None:
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
    )
    for path in sorted(WEB.glob("*.js")):
        source = path.read_text()
        assert not re.search(banned, source), path.name
        # A namespace is a name that looks like an address.
        addresses = set(re.findall(r"https?://[\w.]+", source)) - {"http://www.w3.org"}
        assert addresses == set(), path.name
        assert len(source.splitlines()) < 400, path.name


RENDER = """async (source) => {
  const {renderMarkdown} = await import("/static/markdown.js");
  const root = document.createElement("div");
  root.append(renderMarkdown(source));
  document.body.append(root);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const all = [...root.querySelectorAll("*")];
  const result = {
    tags: [...new Set(all.map((node) => node.localName))],
    handlers: all.flatMap((node) => node.getAttributeNames()).filter((name) => /^on/.test(name)),
    links: ["href", "src", "action", "srcdoc"].flatMap((name) =>
      [...root.querySelectorAll(`[${name}]`)].map((node) => node.getAttribute(name))),
    rels: [...root.querySelectorAll("a")].map((node) => node.rel),
    text: root.textContent, html: root.innerHTML, pwned: window.pwned ?? null,
  };
  root.remove();
  return result;
}"""

PAYLOADS = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg/onload=window.pwned=1>",
    "[press](javascript:window.pwned=1)",
    "[press](JaVaScRiPt:window.pwned=1)",
    "[press](&#106;avascript:window.pwned=1)",
    "[press](java\tscript:window.pwned=1)",
    "[press](data:text/html,<script>parent.pwned=1</script>)",
    "[press](vbscript:window.pwned=1)",
    "<javascript:window.pwned=1>",
    "![x](javascript:window.pwned=1)",
    "![x](https://example.invalid/track.png)",
    '[x](https://example.invalid/"onmouseover="window.pwned=1)',
    "```html\n<script>window.pwned = 1</script>\n```",
    '```"><img src=x onerror=window.pwned=1>\nx\n```',
    "`<img src=x onerror=window.pwned=1>`",
    "| a | <img src=x onerror=window.pwned=1> |\n|---|---|\n| <script>pwned=1</script> | b |",
    "> # <iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "- <a href='javascript:window.pwned=1'>x</a>",
    "<style>*{display:none}</style><base href=//example.invalid>",
]
BLOCKS = {"p", "h3", "h4", "h5", "h6", "div", "pre", "hr", "blockquote", "ul", "ol", "li"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
INLINE = {"span", "code", "a", "strong", "em", "del", "br", "button", "svg", "path"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_markdown_is_inert(page: Page, payload: str) -> None:
    result = page.evaluate(RENDER, payload)
    assert result["pwned"] is None
    assert set(result["tags"]) <= BLOCKS | TABLES | INLINE
    assert result["handlers"] == []
    assert all(re.match(r"https?://", link) for link in result["links"])
    assert all("noopener" in rel for rel in result["rels"])


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**bold** and *soft*", "<p><strong>bold</strong> and <em>soft</em></p>"),
        ("call `__init__` or __init__", "<p>call <code>__init__</code> or __init__</p>"),
        ("f(*args, **kwargs) and 2 * 3 * 4", "<p>f(*args, **kwargs) and 2 * 3 * 4</p>"),
        ("one\ntwo  \nthree", "<p>one two<br>three</p>"),
        ("### Deep", "<h5>Deep</h5>"),
        ("- a\n- b\n  1. c", "<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>"),
        ("3. c\n4. d", '<ol start="3"><li>c</li><li>d</li></ol>'),
        ("> said\n> so", "<blockquote><p>said so</p></blockquote>"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
        ("rows[1] is no mark", "<p>rows[1] is no mark</p>"),
    ],
)
def test_markdown_renders(page: Page, source: str, html: str) -> None:
    assert page.evaluate(RENDER, source)["html"] == html


@pytest.mark.parametrize(
    "source", ["*" * 20_000, "[" * 20_000, "`a " * 8_000, "> " * 5_000, "**a " * 8_000]
)
def test_pathological_markdown_does_not_hang_the_page(page: Page, source: str) -> None:
    took = page.evaluate(
        """async (source) => {
          const {renderMarkdown} = await import("/static/markdown.js");
          const start = performance.now();
          renderMarkdown(source);
          return performance.now() - start;
        }""",
        source,
    )
    assert took < 2_000


def test_a_plan_is_explained_with_what_failed_and_no_markup(page: Page) -> None:
    evil = "<img src=x onerror='window.pwned = 1'>"
    lanes = [
        LaneTraceModel(name="dense", queries=["teal door"], ms=3, num_found=9, problem=""),
        LaneTraceModel(name="hyde", queries=[evil], ms=5000, num_found=0, problem="too late"),
    ]
    trace = TraceModel(
        asked="and it?",
        query="teal door",
        rewrite="subject",
        fusion="ranks",
        lanes=lanes,
        rerank=RerankModel(name="likelihood", depth=20, ms=12, problem=""),
        mmr=0.7,
        left_out=2,
        knowledge=[evil],
        problems=["hyde: too late"],
        passages=[],
    )
    result = page.evaluate(
        """async (trace) => {
          const {planOf} = await import("/static/search_plan.js");
          const node = planOf(trace);
          document.body.append(node);
          const text = node.innerText;
          const images = node.querySelectorAll("img").length;
          node.remove();
          return {text, images, pwned: window.pwned ?? null};
        }""",
        trace.model_dump(mode="json"),
    )
    assert (result["images"], result["pwned"]) == (0, None)
    for words in ("Rewritten (subject)", "too late", "ranks", "20 by likelihood", "2 that repeat"):
        assert words in result["text"]
    assert result["text"].count(evil) == 2


@pytest.mark.parametrize(
    ("terms", "question", "words"),
    [
        (["footbal", "won"], "Who won the football cup?", ["Brazil", "football", "won"]),
        (["brazil"], "In Brazil?", ["Brazil"]),
        (["better"], "Who is good?", ["Brazil", "better"]),  # a stem that no word begins with
    ],
)
def test_missing_words_are_told_as_they_were_asked(
    page: Page, terms: list[str], question: str, words: list[str]
) -> None:
    found = page.evaluate(
        """async ([terms, question]) => {
          const {missingWords} = await import("/static/missing_words.js");
          return missingWords({missing_names: ["Brazil"], missing_terms: terms}, question);
        }""",
        [terms, question],
    )
    assert found == words


def test_events_survive_any_cut_of_the_stream(page: Page) -> None:
    stream = (
        ': hi\r\n\r\ndata: {"a": "ä€"}\r\n\r\ndata: one\ndata:two\n\n'
        "event: x\nid: 1\n\ndata: [DONE]\n\n"
    )
    results: list[Any] = page.evaluate(
        """async (stream) => {
          const {SseParser} = await import("/static/sse.js");
          const results = [];
          for (let size = 1; size <= stream.length; size += 1) {
            const parser = new SseParser();
            const events = [];
            for (let i = 0; i < stream.length; i += size)
              events.push(...parser.push(stream.slice(i, i + size)));
            results.push([...events, ...parser.end()]);
          }
          return results;
        }""",
        stream,
    )
    assert all(events == ['{"a": "ä€"}', "one\ntwo", "[DONE]"] for events in results)
