"""DOCX by python-docx: headings as Markdown, lists, and tables in their place.

The archive is measured before anything in it is unpacked. Macros, embedded files and links are
never opened.
"""

import io
import re
from collections.abc import Iterator

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.table import Table
from docx.text.paragraph import Paragraph

from rag.loaders.archive import BROKEN, broken, check_archive
from rag.loaders.base import Extraction, one_line, tidy

_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)


def load_word_document(data: bytes) -> Extraction:
    """Return paragraphs and tables of a DOCX in reading order."""
    try:
        check_archive(data, "DOCX")
        document = docx.Document(io.BytesIO(data))
        text = tidy("\n\n".join(_blocks(document)))
        title = one_line(document.core_properties.title or "")
    except (OpcError, *BROKEN) as error:
        raise broken("DOCX", error) from error
    return Extraction(text=text, title=title or _first_heading(text))


def _blocks(document: WordDocument) -> Iterator[str]:
    items: list[str] = []
    for content in document.iter_inner_content():
        block = _table(content) if isinstance(content, Table) else _paragraph(content)
        if block.startswith("- "):
            items.append(block)
            continue
        if items:
            yield "\n".join(items)
            items = []
        if block.strip():
            yield block
    if items:
        yield "\n".join(items)


def _paragraph(paragraph: Paragraph) -> str:
    text = paragraph.text.strip("\n")
    style = paragraph.style.name or "" if paragraph.style is not None else ""
    if not text.strip():
        return ""
    if style == "Title":
        return f"# {one_line(text)}"
    if match := _HEADING_STYLE.match(style):
        return f"{'#' * min(int(match[1]), 6)} {one_line(text)}"
    return f"- {text.strip()}" if style.startswith("List") else text


def _table(table: Table) -> str:
    rows = []
    for row in table.rows:
        cells: list[str] = []
        seen = None
        for cell in row.cells:
            if cell._tc is not seen:  # noqa: SLF001 - a merged cell comes back once a column
                cells.append(_cell(cell.text))
            seen = cell._tc  # noqa: SLF001
        if any(cells):
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def _first_heading(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first.lstrip("# ") if first.startswith("#") else ""
