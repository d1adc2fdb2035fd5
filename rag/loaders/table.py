"""CSV and TSV: each row as lines `header: value`, so that a row means something by itself."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from rag.errors import ParseError
from rag.loaders.base import Extraction, tidy
from rag.loaders.charset import decode
from rag.loaders.plain_text import encoding_facts

_SAMPLE_CHARS = 16_384
_DELIMITERS = ",;\t|"


def load_table(data: bytes) -> Extraction:
    """Return the rows of a table, separated by blank lines; empty cells are left out."""
    decoded = decode(data)
    text = tidy(decoded.text)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), _dialect(text)) if any(row)]
    except csv.Error as error:
        raise ParseError(
            f"the table cannot be read: {error}; check for a quote that is never closed"
        ) from error
    facts = encoding_facts(decoded)
    if not rows:
        return Extraction(text="", metadata=facts)
    headers = [_cell(cell) for cell in rows[0]]
    if any(_is_number(header) for header in headers):  # data from the first row on
        headers = []
    else:
        rows = rows[1:] or rows
    facts["num_rows"] = len(rows)
    facts["num_columns"] = max(map(len, rows))
    return Extraction(text="\n\n".join(row_paragraphs(headers, rows)), metadata=facts)


def row_paragraphs(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield each row as lines `header: value`; a column without a name goes by its number."""
    for row in rows:
        lines = []
        for i, cell in enumerate(row):
            if value := _cell(cell):
                header = (headers[i] if i < len(headers) else "") or f"column {i + 1}"
                lines.append(f"{header}: {value}")
        if lines:
            yield "\n".join(lines)


def _dialect(text: str) -> type[csv.Dialect]:
    sample = text[:_SAMPLE_CHARS]
    if len(sample) < len(text) and "\n" in sample:
        sample = sample[: sample.rindex("\n") + 1]
    first = sample.split("\n", 1)[0]
    counts = {d: first.count(d) for d in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda d: counts[d])  # comma wins a tie: it comes first

    class Found(csv.excel):
        delimiter = best

    return Found


def _cell(cell: str) -> str:
    return " ".join(cell.split())


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
