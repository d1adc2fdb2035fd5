"""HTML: the main text as Markdown by trafilatura; where it finds nothing, all text of the page.

Nothing is fetched: links, images and scripts of the page stay untouched.
"""

import re
from html.parser import HTMLParser

import trafilatura

from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.charset import Decoded, decode
from rag.loaders.plain_text import encoding_facts

_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE
)
_HEAD_BYTES = 2048
_CELL_END = "\x1f"  # which no page has: the parser drops it
_BLANK_LINES = re.compile(r"\n{3,}")
# fmt: off
_PARAGRAPHS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "main", "nav", "ol", "p", "pre", "section", "select", "table", "tbody",
    "textarea", "tfoot", "thead", "ul",
})
_LINES = frozenset({"br", "dt", "legend", "li", "option", "summary", "td", "th", "tr"})
_UNSEEN = frozenset({"head", "iframe", "noscript", "object", "script", "style", "svg", "template"})
_CELLS = frozenset({"td", "th"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# fmt: on


def load_web_page(data: bytes) -> Extraction:
    """Return the main text of an HTML page and its title."""
    decoded = _decoded(data)
    page = tidy(decoded.text)
    stripper = _stripped(page)
    text = trafilatura.extract(
        page, output_format="markdown", include_tables=True, include_comments=False
    )
    return Extraction(
        text=tidy(text) if text and text.strip() else stripper.text(),
        title=one_line(stripper.title()),
        metadata=encoding_facts(decoded),
    )


def page_text(data: bytes) -> tuple[str, str]:
    """Return all visible text of a page, headings marked by `#`, and its title."""
    stripper = _stripped(tidy(_decoded(data).text))
    return tidy(stripper.text()), one_line(stripper.title())


def _decoded(data: bytes) -> Decoded:
    head = _DECLARED.search(data[:_HEAD_BYTES])
    return decode(data, declared=head[1].decode("ascii") if head else None)


def _stripped(page: str) -> "TagStripper":
    stripper = TagStripper()
    stripper.feed(page)
    stripper.close()
    return stripper


def warm_up() -> None:
    """Read a page of our own, which makes trafilatura load its word lists: half a second."""
    load_web_page(b"<html><body><p>A page with one short sentence in it.</p></body></html>")


class TagStripper(HTMLParser):
    """Keeps all visible text of a page, one line a block element, headings marked by `#`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._title: list[str] = []
        self._unseen: list[str] = []
        self._in_title = False
        self._num_pre = 0
        self._cell_at = -1  # how many parts there were when a cell began

    def text(self) -> str:
        """Return the text of what was fed so far."""
        lines = (_row(line).rstrip() for line in "".join(self._parts).split("\n"))
        return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")

    def title(self) -> str:
        """Return the content of the `title` element."""
        return "".join(self._title)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Note where blocks and unseen elements begin."""
        if tag == "title" and not self._title:
            self._in_title = True
        elif tag == "body":  # a head that is never closed must not hide the page
            self._unseen.clear()
        elif tag in _UNSEEN:
            self._unseen.append(tag)
        if tag in _PARAGRAPHS or tag in _LINES:
            self._break(tag)
            self._num_pre += tag == "pre"
            if tag in _HEADINGS:
                self._parts.append("#" * int(tag[1]) + " ")
            elif tag == "li":
                self._parts.append("- ")
            elif tag in _CELLS:
                self._cell_at = len(self._parts)

    def handle_endtag(self, tag: str) -> None:
        """Note where blocks and unseen elements end."""
        if tag == "title":
            self._in_title = False
        elif tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        if tag in _CELLS and self._parts and not self._unseen:
            is_empty = len(self._parts) == self._cell_at
            if is_empty or not self._parts[-1].endswith("\n"):
                self._parts.append(_CELL_END)
        elif tag in _PARAGRAPHS or tag in _LINES:
            self._num_pre -= tag == "pre" and self._num_pre > 0
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Keep visible text; white space counts only inside `pre`."""
        if self._in_title:
            self._title.append(data)
        elif not self._unseen:
            if not self._num_pre:
                data = re.sub(r"\s+", " ", data)
                if not self._parts or self._parts[-1].endswith("\n"):
                    data = data.lstrip()
            self._parts.append(data)

    def _break(self, tag: str) -> None:
        if not self._parts or self._unseen:
            return
        if tag in _CELLS and self._parts[-1] == _CELL_END:
            return  # the next cell of a row
        if tag in _PARAGRAPHS:
            self._parts.append("\n\n")
        elif tag == "br" or not self._parts[-1].endswith("\n"):
            self._parts.append("\n")


def _row(line: str) -> str:
    """Return a line of several cells as a row of a table; longer cells stay as they are."""
    if _CELL_END not in line:
        return line
    cells = [
        " ".join(cell.split()) for cell in line.rstrip(" ").removesuffix(_CELL_END).split(_CELL_END)
    ]
    if len(cells) == 1:
        return cells[0]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" if any(cells) else ""
