"""Small real files, made here: nothing binary lies in the repository."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import docx
import pypdf

from rag.document import Document, sha256_hex


def pdf(pages: Sequence[str], *, title: str = "") -> bytes:
    """A PDF by hand with one line of text a page; an empty line makes a page without text."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        font,
    ]
    for i, line in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(stream(f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET".encode() if line else b""))
    objects.append(f"<< /Title ({title}) >>".encode())
    return pdf_of(objects, info=len(objects))


def stream(content: bytes) -> bytes:
    packed = zlib.compress(content)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
    return head + packed + b"\nendstream"


def pdf_of(objects: Sequence[bytes], *, info: int) -> bytes:
    """The bytes of a PDF with these objects, numbered from 1; the first is the catalog."""
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(
        b"trailer << /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, info, table)
    )
    return out.getvalue()


def slow_pdf() -> bytes:
    """A small PDF whose only page shows a letter some million times."""
    shown = b"BT /F1 12 Tf 72 720 Td " + b"(a) Tj 0 -12 Td " * 2_000_000 + b"ET"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
        b" /Resources << /Font << /F1 3 0 R >> >> >>"
    )
    return pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            page,
            stream(shown),
            b"<< >>",
        ],
        info=6,
    )


def looping_pdf() -> bytes:
    """A PDF whose page tree has itself as its child."""
    return pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Parent 2 0 R /Count 2 >>",
            b"<< >>",
        ],
        info=3,
    )


def encrypted_pdf() -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf(["secret"])))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word_document() -> bytes:
    """A DOCX with headings, a list, and a table between paragraphs."""
    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("Vacation policy", 1)
    document.add_paragraph("Everybody has thirty days.")
    document.add_paragraph("Ask early.", style="List Bullet")
    document.add_paragraph("Ask kindly.", style="List Bullet")
    table = document.add_table(3, 2)
    for row, cells in zip(table.rows, (("Year", "Days"), ("2023", "28")), strict=False):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(2, 0).merge(table.cell(2, 1)).text = "as agreed"
    document.add_heading("Carry-over", 2)
    document.add_paragraph("Until March.")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zip_bomb() -> bytes:
    """A DOCX of some hundred kilobytes that unpacks to 100 MB."""
    out = io.BytesIO(word_document())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/image1.xml", bytes(100_000_000))
    return out.getvalue()


WEB_PAGE = """<!DOCTYPE html>
<html><head><title>Keeping bees &amp; wasps</title><script>var tracked = 1;</script>
<style>p { color: red }</style></head>
<body><nav><a href="/">Home</a> <a href="/shop">Shop</a></nav>
<article><h1>Keeping bees</h1>
<p>A hive needs a calm and sunny place, and water that is not too far away from it.</p>
<h2>In winter</h2>
<p>Bees do not sleep in winter; they keep together and warm each other in a dense cluster.</p>
<pre><code>def feed(hive):
    hive.sugar += 1</code></pre>
<table><tr><th>Month</th><th>Honey</th></tr><tr><td>May</td><td>3 kg</td></tr></table>
</article><footer>Imprint</footer></body></html>
"""


def write_folder(root: Path) -> Path:
    """Write a file of every kind."""
    (root / "sub").mkdir(parents=True)
    (root / "notes.txt").write_text("Bees sleep at night.\n\nWasps do not.")
    (root / "guide.md").write_text("# Guide\n\nRead it.\n\n## Install\n\nRun it.")
    (root / "table.csv").write_text("name,age\nAnn,3\n")
    (root / "sub" / "page.html").write_text(WEB_PAGE)
    (root / "sub" / "hello.pdf").write_bytes(pdf(["Hello there.", ""]))
    (root / "sub" / "policy.docx").write_bytes(word_document())
    return root


def document(uri: str, text: str) -> Document:
    return Document(
        uri=uri,
        title=uri,
        text=text,
        media_type="text/plain",
        source_sha256=sha256_hex(text.encode()),
    )
