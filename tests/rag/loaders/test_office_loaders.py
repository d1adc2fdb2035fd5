import importlib
import io

import openpyxl
import pytest

from rag.errors import FailureCode, ParseError
from rag.loaders import optional_library
from rag.loaders.ebook import load_ebook
from rag.loaders.optional_library import library
from rag.loaders.presentation import load_presentation
from rag.loaders.spreadsheet import load_spreadsheet
from tests.rag.office_files import ebook, presentation, repacked, spreadsheet


def test_a_sheet_is_a_section_and_a_row_keeps_its_header() -> None:
    found = load_spreadsheet(spreadsheet())
    assert found.text == (
        "# Harvest\n\nHarvest of the garden\n\nCrop: Apples\nYear: 2023\nWeight: 12.5\nSold: TRUE"
        "\n\nCrop: Pears\nYear: 2023\nWeight: 7\n\n# Opening days\n\nDay: 2024-05-01"
        "\n\\# of guests: 30\n\nDay: 2024-05-02 09:30:00\n\\# of guests: 41"
    )
    assert found.metadata["num_sheets"] == 2


def test_sheets_without_a_header_or_with_one_column() -> None:
    book = openpyxl.Workbook()
    numbers = book.active
    assert numbers is not None
    numbers.append((1, 2))
    words = book.create_sheet("Words")
    for word in ("one", "two"):
        words.append((word,))
    book.create_sheet("Empty")
    out = io.BytesIO()
    book.save(out)
    assert load_spreadsheet(out.getvalue()).text == (
        "# Sheet\n\ncolumn 1: 1\ncolumn 2: 2\n\n# Words\n\none\n\ntwo"
    )


def test_a_slide_is_a_section_with_its_list_table_and_notes() -> None:
    found = load_presentation(presentation())
    assert found.title == "Bees in winter"
    assert found.text == (
        "# Bees in winter\n\n- They keep together in a dense cluster\n- They live on honey"
        "\n\nNotes: Pass the comb around.\n\n# Slide 2\n\n| Month | Honey |\n| May | 3 kg |"
        "\n\nWeighed in the evening."
    )


def test_chapters_come_in_the_order_of_the_spine_each_once() -> None:
    found = load_ebook(ebook())
    assert found.title == "The year of the hive"
    assert found.metadata == {"author": "A. Keeper", "language": "en", "num_chapters": 2}
    assert found.text.startswith("# Spring\n\nA hive needs sun, and water near it.\n\n# Summer")
    assert found.text.count("# Spring") == 1
    assert "Contents" not in found.text


def test_a_chapter_that_is_missing_is_named() -> None:
    package = b"""<package><manifest><item id="a" href="a.html" media-type="text/html"/>
    <item id="b" href="gone.html" media-type="text/html"/></manifest>
    <spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
    changed = {"OEBPS/book.opf": package, "OEBPS/a.html": b"<title>A</title><p>Words.</p>"}
    found = load_ebook(repacked(ebook(), changed))
    assert found.text == "# A\n\nWords."
    assert found.metadata["warning"] == "not in the archive: OEBPS/gone.html"


def test_a_book_with_a_copy_protection_is_encrypted() -> None:
    locks = b'<encryption><CipherReference URI="OEBPS/text/one.xhtml"/></encryption>'
    with pytest.raises(ParseError, match="locked by a copy protection") as caught:
        load_ebook(ebook(extra={"META-INF/encryption.xml": locks}))
    assert caught.value.code is FailureCode.ENCRYPTED
    fonts = locks.replace(b"text/one.xhtml", b"font.otf")
    assert load_ebook(ebook(extra={"META-INF/encryption.xml": fonts})).text


@pytest.mark.parametrize(
    ("data", "load", "said"),
    [
        (spreadsheet()[:3000], load_spreadsheet, "the XLSX is broken: BadZipFile"),
        (presentation()[:3000], load_presentation, "the PPTX is broken: BadZipFile"),
        (ebook()[:1000], load_ebook, "the EPUB is broken: BadZipFile"),
        (
            repacked(spreadsheet(), {"xl/workbook.xml": b"<workbook"}),
            load_spreadsheet,
            "the XLSX is broken",
        ),
        (
            repacked(presentation(), {"ppt/presentation.xml": b"<p"}),
            load_presentation,
            "the PPTX is broken",
        ),
        (
            repacked(ebook(), {"OEBPS/book.opf": b"<p"}),
            load_ebook,
            "the EPUB is broken: ParseError",
        ),
        (
            repacked(ebook(), {"META-INF/container.xml": b"<p/>"}),
            load_ebook,
            "its container names no package",
        ),
    ],
)
def test_a_broken_file_is_refused(data: bytes, load, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParseError, match=said) as caught:
        load(data)
    assert caught.value.code is FailureCode.CORRUPT


def test_a_library_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ParseError, match=r"reading XLSX needs openpyxl, .* pip install") as caught:
        load_spreadsheet(spreadsheet())
    assert caught.value.code is FailureCode.MISSING_LIBRARY
    with pytest.raises(ParseError, match=r"reading PPTX needs python-pptx, "):
        library("pptx", "PPTX")
    optional_library.warm_up("openpyxl")
