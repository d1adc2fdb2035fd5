"""XLSX by openpyxl: a sheet is a section, a row a paragraph of lines `header: value`.

Formulas stand for the value that was last computed. Macros and links to other files stay closed.
"""

import datetime as dt
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rag.loaders.archive import BROKEN, broken, check_archive
from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.optional_library import library
from rag.loaders.table import row_paragraphs

_MARK = re.compile(r"(?m)^(?=(?:#{1,6}[ \t]|```|~~~))")
_PREAMBLE_ROWS = 20
_EXACT = 2**53  # up to here a float is one integer


def load_spreadsheet(data: bytes) -> Extraction:
    """Return the rows of all sheets, each below the name of its sheet."""
    openpyxl = library("openpyxl", "XLSX")
    try:
        check_archive(data, "XLSX")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations that it does not keep
            book = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True, keep_links=False
            )
            sections = [section for sheet in book.worksheets for section in _sheet(sheet)]
        title = one_line(book.properties.title or "")
    except BROKEN as error:
        raise broken("XLSX", error) from error
    return Extraction(
        text=tidy("\n\n".join(sections)),
        title=title,
        metadata={"num_sheets": len(book.worksheets)},
    )


def _sheet(sheet: Any) -> Iterator[str]:
    sheet.reset_dimensions()  # a declared size may be a million empty rows
    rows = (row for row in sheet.iter_rows(values_only=True) if any(map(_shown, row)))
    parts = list(_rows(rows))
    if parts:
        yield f"# {one_line(sheet.title)}"
        yield from (_MARK.sub(r"\\", part) for part in parts)


def _rows(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield what stands above the header, then each row with it."""
    remaining = iter(rows)
    first: list[Sequence[Any]] = []
    for row in remaining:  # titles and notes above a table fill one cell of their row
        first.append(row)
        if sum(bool(_shown(cell)) for cell in row) > 1 or len(first) == _PREAMBLE_ROWS:
            break
    if not first:
        return
    if sum(bool(_shown(cell)) for cell in first[-1]) <= 1:  # one column all the way
        for row in (*first, *remaining):
            yield " ".join(filter(None, map(_shown, row)))
        return
    for row in first[:-1]:
        yield " ".join(filter(None, map(_shown, row)))
    top = first[-1]
    is_header = all(isinstance(cell, str) or cell is None for cell in top)
    headers = [_shown(cell) for cell in top] if is_header else []
    if not is_header:
        yield from row_paragraphs([], [[_shown(cell) for cell in top]])
    yield from row_paragraphs(headers, ([_shown(cell) for cell in row] for row in remaining))


def _shown(cell: Any) -> str:
    match cell:
        case None:
            shown = ""
        case bool():
            shown = str(cell).upper()
        case float() if cell.is_integer() and abs(cell) < _EXACT:
            shown = str(int(cell))
        case dt.datetime() if cell.time() == dt.time():
            shown = cell.date().isoformat()
        case dt.datetime():
            shown = cell.isoformat(sep=" ", timespec="seconds")
        case _:
            shown = str(cell)
    return " ".join(shown.split())
