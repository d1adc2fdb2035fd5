r"""PDF by pypdf: one form feed between pages, so that the number of a page can be counted.

Byte `i` of the text stands on page `1 + text.encode()[:i].count(b"\f")`.
"""

import io
import logging

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from rag.errors import FailureCode, ParseError
from rag.loaders.base import Extraction, one_line, tidy

_MAX_NAMED_PAGES = 10
_ENCRYPTED = "the PDF is encrypted; save a copy without a password"
_log = logging.getLogger("pypdf")


def load_pdf(data: bytes) -> Extraction:
    """Return the text layer of a PDF; pages that cannot be read are named in the warning."""
    _log.setLevel(logging.CRITICAL)  # it reports every oddity of a file; ours are in the reason
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ParseError(_ENCRYPTED, FailureCode.ENCRYPTED)
        pages = list(reader.pages)
    except DependencyError as error:
        raise ParseError(_ENCRYPTED, FailureCode.ENCRYPTED) from error
    except (PyPdfError, *_BROKEN) as error:
        raise ParseError(f"the PDF is broken: {_words(error)}") from error
    if not pages:
        raise ParseError("the PDF has no pages")
    texts, unreadable = [], []
    for number, page in enumerate(pages, 1):
        try:
            texts.append(tidy(page.extract_text()).replace("\f", "\n"))
        except (PyPdfError, *_BROKEN):
            texts.append("")
            unreadable.append(number)
    if not any(text.strip() for text in texts):
        _refuse(num_pages=len(pages), num_unreadable=len(unreadable))
    return Extraction(
        text="\n\f".join(texts), title=_title(reader), metadata=_facts(texts, unreadable)
    )


# What pypdf lets through on malformed objects, beside its own errors.
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError,
    ZeroDivisionError, NotImplementedError, RecursionError, EOFError, OSError,
)  # fmt: skip


def _refuse(*, num_pages: int, num_unreadable: int) -> None:
    if num_unreadable:
        raise ParseError(f"the PDF is broken: {num_unreadable} of {num_pages} pages cannot be read")
    pages = "its page is an image" if num_pages == 1 else f"its {num_pages} pages are images"
    reason = f"the PDF has no text layer: {pages}; run OCR on it first"
    raise ParseError(reason, FailureCode.NO_TEXT_LAYER)


def _facts(texts: list[str], unreadable: list[int]) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"num_pages": len(texts)}
    empty = [n for n, text in enumerate(texts, 1) if not text.strip() and n not in unreadable]
    warnings = []
    if unreadable:
        warnings.append(f"{_pages(unreadable)} could not be read")
    if empty:
        warnings.append(f"{_pages(empty)} without text")
    if warnings:
        facts["warning"] = "; ".join(warnings)
    return facts


def _pages(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers[:_MAX_NAMED_PAGES]))
    more = len(numbers) - _MAX_NAMED_PAGES
    return f"page{'s' * (len(numbers) > 1)} {named}" + (f" and {more} more" if more > 0 else "")


def _title(reader: PdfReader) -> str:
    try:
        information = reader.metadata
        return one_line(str(information.title or "")) if information else ""
    except (PyPdfError, *_BROKEN):
        return ""


def _words(error: BaseException) -> str:
    said = one_line(str(error), max_chars=120).rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
