"""HTML: the main text as Markdown by trafilatura; where it finds none, the text we find ourselves.

On a short page trafilatura takes all text there is, menus included and tables a line a cell.

Nothing is fetched: links, images and scripts of the page stay untouched.
"""

import re
from configparser import ConfigParser
from html.parser import HTMLParser

import trafilatura
from trafilatura.settings import DEFAULT_CONFIG

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
_BOILERPLATE = frozenset({"aside", "footer", "header", "nav"})
_OWN_HEADERS = frozenset({"article", "main"})  # whose header and footer belong to the text
_BARE = frozenset({"body", "p"})
_SHORT = DEFAULT_CONFIG.getint("DEFAULT", "MIN_EXTRACTED_SIZE")  # characters


def load_web_page(data: bytes) -> Extraction:
    """Return the main text of an HTML page and its title."""
    decoded = _decoded(data)
    page = tidy(decoded.text)
    stripper = _stripped(page)
    return Extraction(
        text=tidy(_main_text(page, stripper)),
        title=one_line(stripper.title()),
        metadata=encoding_facts(decoded),
    )


def page_text(data: bytes) -> tuple[str, str]:
    """Return all visible text of a page, headings marked by `#`, and its title."""
    stripper = _stripped(tidy(_decoded(data).text))
    return tidy(stripper.text()), one_line(stripper.title())


def _main_text(page: str, stripper: "TagStripper") -> str:
    text, tags = _extracted(page, DEFAULT_CONFIG)
    if not text.strip():
        return stripper.main_text()
    if tags <= _BARE:  # the mark of text that was taken as it came
        scarce = ConfigParser()
        scarce.read_dict({"DEFAULT": {**DEFAULT_CONFIG["DEFAULT"], "min_extracted_size": "0"}})
        found, _ = _extracted(page, scarce)
        # More than can be seen comes out of the data of a script, which would show it.
        if len(found) < _SHORT and _num_letters(text) <= _num_letters(stripper.text()):
            return stripper.main_text()
    return text


def _extracted(page: str, config: ConfigParser) -> tuple[str, set[str]]:
    """Return what trafilatura takes for the main text, and the elements that it is made of."""
    found = trafilatura.bare_extraction(
        page, include_formatting=True, include_tables=True, include_comments=False, config=config
    )
    if found is None or isinstance(found, dict):
        return "", set()
    return found.text or "", {str(element.tag) for element in found.body.iter()}


def _num_letters(text: str) -> int:
    return sum(char.isalnum() for char in text)


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
        self._open: list[tuple[str, int]] = []  # elements of a region, and where they begin
        self._left_out: list[tuple[int, int]] = []  # the parts of menus and the like
        self._main: list[tuple[int, int]] = []  # the parts of `main`

    def text(self) -> str:
        """Return the text of what was fed so far."""
        return _lines_of(self._parts)

    def main_text(self) -> str:
        """Return the text of `main` without menus and the like; all text where nothing is left."""
        parts = self._parts.copy()
        for start, end in self._left_out:
            parts[start:end] = [""] * (end - start)
        main = [part for start, end in self._main for part in parts[start:end]]
        return _lines_of(main) or _lines_of(parts) or self.text()

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
        elif tag in _BOILERPLATE or tag in _OWN_HEADERS:
            self._open.append((tag, len(self._parts)))
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
        if tag in _BOILERPLATE or tag in _OWN_HEADERS:
            self._end_region(tag)

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

    def _end_region(self, tag: str) -> None:
        """Note the parts of an element that ends; one that is never closed is not left out."""
        names = [name for name, _ in self._open]
        if tag not in names:
            return
        at = len(names) - 1 - names[::-1].index(tag)
        span = (self._open[at][1], len(self._parts))
        is_own = tag in {"header", "footer"} and not _OWN_HEADERS.isdisjoint(names[:at])
        if tag == "main" and "main" not in names[:at]:
            self._main.append(span)
        elif tag in _BOILERPLATE and not is_own:
            self._left_out.append(span)
        del self._open[at:]

    def _break(self, tag: str) -> None:
        if not self._parts or self._unseen:
            return
        if tag in _CELLS and self._parts[-1] == _CELL_END:
            return  # the next cell of a row
        if tag in _PARAGRAPHS:
            self._parts.append("\n\n")
        elif tag == "br" or not self._parts[-1].endswith("\n"):
            self._parts.append("\n")


def _lines_of(parts: list[str]) -> str:
    lines = (_row(line).rstrip() for line in "".join(parts).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


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
