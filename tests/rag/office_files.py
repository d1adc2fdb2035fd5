"""Small spreadsheets, presentations and books, made here."""

import datetime as dt
import io
import zipfile
from collections.abc import Mapping

import openpyxl
import pptx
from pptx.util import Inches

CHAPTER = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title></head>
<body><h1>{title}</h1>{body}</body></html>
"""
_CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>
"""
_PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The year of the hive</dc:title><dc:creator>A. Keeper</dc:creator>
<dc:language>en</dc:language></metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="style.css" media-type="text/css"/>
</manifest>
<spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/><itemref idref="one"/>
</spine></package>
"""


def spreadsheet() -> bytes:
    """Two sheets: one with a title above its table, one with dates and a list below its header."""
    book = openpyxl.Workbook()
    harvest = book.active
    assert harvest is not None
    harvest.title = "Harvest"
    for row in (
        ("Harvest of the garden",),
        (),
        ("Crop", "Year", "Weight", "Sold"),
        ("Apples", 2023, 12.5, True),
        ("Pears", 2023, 7.0, None),
    ):
        harvest.append(row)
    days = book.create_sheet("Opening days")
    days.append(("Day", "# of guests"))
    days.append((dt.datetime(2024, 5, 1), 30))  # noqa: DTZ001 - as spreadsheets have them
    days.append((dt.datetime(2024, 5, 2, 9, 30), 41))  # noqa: DTZ001
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def presentation() -> bytes:
    """A slide with a list and notes, and one with a table and a text box."""
    talk = pptx.Presentation()
    first = talk.slides.add_slide(talk.slide_layouts[1])
    first.shapes.title.text = "Bees in winter"
    first.placeholders[1].text = "They keep together in a dense cluster\nThey live on honey"
    first.notes_slide.notes_text_frame.text = "Pass the comb around."
    second = talk.slides.add_slide(talk.slide_layouts[6])
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for row, texts in zip(table.rows, (("Month", "Honey"), ("May", "3 kg")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    box = second.shapes.add_textbox(Inches(1), Inches(3), Inches(4), Inches(1))
    box.text_frame.text = "Weighed in the evening."
    out = io.BytesIO()
    talk.save(out)
    return out.getvalue()


def ebook(*, mimetype: bool = True, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A book of two chapters and a table of contents; its spine names the first twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if mimetype:
            archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        members = {
            "META-INF/container.xml": _CONTAINER.encode(),
            "OEBPS/book.opf": _PACKAGE.encode(),
            "OEBPS/nav.xhtml": CHAPTER.format(title="Contents", body="<p>Contents</p>").encode(),
            "OEBPS/text/two b.xhtml": CHAPTER.format(
                title="Summer",
                body="<p>In summer the bees bring honey.</p><h2>Weights</h2>"
                "<table><tr><th>Month</th><th>Honey</th></tr>"
                "<tr><td>May</td><td>3 kg</td></tr></table>",
            ).encode(),
            "OEBPS/text/one.xhtml": CHAPTER.format(
                title="Spring", body="<p>A hive needs sun, and water near it.</p>"
            ).encode(),
            **(extra or {}),
        }
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def repacked(data: bytes, changed: Mapping[str, bytes]) -> bytes:
    """The archive `data` with some members replaced or added."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, content in changed.items():
            new.writestr(name, content)
    return out.getvalue()
