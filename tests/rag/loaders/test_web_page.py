import pytest
import trafilatura

from rag.loaders.web_page import TagStripper, load_web_page, warm_up
from tests.rag.sample_files import WEB_PAGE


def test_the_main_text_of_a_page_becomes_markdown_without_menus_and_scripts() -> None:
    found = load_web_page(WEB_PAGE.encode())
    assert found.title == "Keeping bees & wasps"
    assert "# Keeping bees" in found.text
    assert "## In winter" in found.text
    assert "    hive.sugar += 1" in found.text
    assert "3 kg" in found.text
    assert "tracked" not in found.text
    assert "color" not in found.text


SHORT = """<html><head><title>T</title></head><body><header><h1>The shop</h1></header>
<nav>Home | About</nav><main><header><h1>Opening hours</h1></header><p>We open at nine.</p>
<table><tr><th>Day</th><th>Hours</th></tr><tr><td>Monday</td><td>9 to 5</td></tr></table></main>
<aside>Buy now</aside><footer>Imprint</footer><script>track()</script></body></html>"""
SHORT_SAYS = "# Opening hours\n\nWe open at nine.\n\n| Day | Hours |\n| Monday | 9 to 5 |"


@pytest.mark.parametrize(
    "page",
    [
        SHORT,
        SHORT.replace("main>", "article>"),
        SHORT.replace("</nav>", ""),  # it is never closed: it ends nothing
        SHORT.replace("<body>", "<body><main></main>"),
    ],
)
def test_a_short_page_gives_its_main_text_in_its_order(page: str) -> None:
    assert load_web_page(page.encode()).text == SHORT_SAYS


def test_a_page_of_menus_alone_gives_all_its_text() -> None:
    page = "<body><nav>Home</nav><main> </main><footer>Imprint</footer></body>"
    assert load_web_page(page.encode()).text == "Home\n\nImprint"


def test_a_text_that_a_script_would_show_is_found_in_its_data() -> None:
    text = "Bees fly far in May. " * 20
    data = f'<script type="application/ld+json">{{"articleBody": "{text}"}}</script>'
    found = load_web_page(f"<html><body><div>Loading</div>{data}</body></html>".encode())
    assert found.text.count("Bees fly far") == 20
    assert "Loading" not in found.text


def test_a_page_where_trafilatura_finds_nothing_gives_its_main_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trafilatura, "bare_extraction", lambda *_, **__: None)
    found = load_web_page(WEB_PAGE.encode())
    assert found.title == "Keeping bees & wasps"
    assert found.text.startswith("# Keeping bees\n\nA hive needs")
    assert found.text.endswith("| Month | Honey |\n| May | 3 kg |")
    assert "tracked" not in found.text


def test_the_plain_text_keeps_blocks_headings_and_preformatted_lines_apart() -> None:
    stripper = TagStripper()
    stripper.feed(
        "<head><meta charset=utf-8><body><h2>One</h2><p>two\n  three<br>four</p><ul><li>five<li>six"
        "</ul><pre>a\n  b</pre><script>x</script>"
    )
    stripper.close()
    assert stripper.text() == "## One\n\ntwo three\nfour\n\n- five\n- six\n\na\n  b"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("<td>a</td><td>b</td>", "| a | b |"),
        ("<td></td><td>b|c</td><td></td>", "|  | b/c |  |"),
        ("<td> a </td>", "a"),
        ("<td><p>a</p><p>b</p></td><td>c</td>", "a\n\nb\n\nc"),
        ("<td>a</td><td><p>b</p></td>", "a\n\nb"),
        ("<td></td><td></td>", ""),
    ],
)
def test_cells_of_one_line_make_a_row(row: str, text: str) -> None:
    stripper = TagStripper()
    stripper.feed(f"<body><p>x</p><table><tr>{row}</tr></table>")
    stripper.close()
    assert stripper.text().removeprefix("x").strip("\n") == text


def test_a_declared_encoding_is_used() -> None:
    page = '<html><head><meta charset="windows-1251"></head><body><p>Привет, мир</p></body></html>'
    found = load_web_page(page.encode("cp1251"))
    assert "Привет, мир" in found.text
    assert found.metadata["encoding"] == "windows-1251"


def test_an_empty_page_has_no_text() -> None:
    assert load_web_page(b"<html></html>").text.strip() == ""


def test_warming_up_leaves_no_trace() -> None:
    warm_up()
    assert "sentence" not in load_web_page(WEB_PAGE.encode()).text
