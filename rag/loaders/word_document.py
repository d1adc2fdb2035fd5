"""DOCX by python-docx: headings as Markdown, lists, and tables in their place.

The archive is measured before anything in it is unpacked. Macros, embedded files and links are
never opened.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.table import Table
from docx.text.paragraph import Paragraph

from rag.errors import FailureCode, ParseError
from rag.loaders.base import Extraction, one_line, tidy

MAX_UNPACKED_BYTES = 256 * 2**20
MAX_MEMBERS = 10_000
MAX_RATIO = 200  # text in XML packs at about 10 to 1; beyond this nothing honest is found
_SMALL_BYTES = 4 * 2**20  # below this no ratio is worth a complaint
_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)
_BROKEN = (
    OpcError, zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, TypeError,
    AttributeError, IndexError, NotImplementedError, RuntimeError, EOFError, OSError,
)  # fmt: skip


def load_word_document(data: bytes) -> Extraction:
    """Return paragraphs and tables of a DOCX in reading order."""
    try:
        _measure(data)
        document = docx.Document(io.BytesIO(data))
        text = tidy("\n\n".join(_blocks(document)))
        title = one_line(document.core_properties.title or "")
    except _BROKEN as error:
        said = one_line(str(error), max_chars=120).rstrip(".")
        raise ParseError(f"the DOCX is broken: {type(error).__name__}: {said}") from error
    return Extraction(text=text, title=title or _first_heading(text))


def _measure(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        reason = f"the DOCX holds {len(members)} files; at most {MAX_MEMBERS} are read"
        raise ParseError(reason, FailureCode.TOO_LARGE)
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED_BYTES or size > max(_SMALL_BYTES, MAX_RATIO * len(data)):
        most = min(MAX_UNPACKED_BYTES, max(_SMALL_BYTES, MAX_RATIO * len(data)))
        raise ParseError(
            f"the DOCX would unpack to {size} bytes from {len(data)}: a zip bomb, not a document;"
            f" at most {most} are read",
            FailureCode.TOO_LARGE,
        )
    if any(member.flag_bits & 1 for member in members):
        raise ParseError(
            "the DOCX is encrypted; save a copy without a password", FailureCode.ENCRYPTED
        )


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
