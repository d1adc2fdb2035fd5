import pytest

from rag.errors import ParseError
from rag.sniffing import FileKind, sniff
from tests.rag.office_files import ebook, presentation, spreadsheet
from tests.rag.sample_files import WEB_PAGE, pdf, word_document

_LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0" + "EncryptedPackage".encode("utf-16-le")


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"plain words", "a/notes.txt", FileKind.PLAIN_TEXT),
        (b"plain words", "README", FileKind.PLAIN_TEXT),
        (b"plain words", "UPPER.TXT", FileKind.PLAIN_TEXT),
        (b"# Title", "notes.md", FileKind.MARKDOWN),
        (b'<div align="center">logo</div>\n\n# Title', "README.md", FileKind.MARKDOWN),
        (b"a,b\n1,2", "t.csv", FileKind.TABLE),
        (b"<p>no head</p>", "page.htm", FileKind.WEB_PAGE),
        (WEB_PAGE.encode(), "saved.txt", FileKind.WEB_PAGE),
        (WEB_PAGE.encode("utf-16"), "saved.txt", FileKind.WEB_PAGE),
        (b"\xef\xbb\xbf<!-- a --> <HTML>", "no-name", FileKind.WEB_PAGE),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html>", "x.bin", FileKind.WEB_PAGE),
        (pdf(["x"]), "wrong.txt", FileKind.PDF),
        (b"\r\n\r\n" + pdf(["x"]), "late.pdf", FileKind.PDF),
        (word_document(), "wrong.pdf", FileKind.WORD_DOCUMENT),
        (spreadsheet(), "wrong.docx", FileKind.SPREADSHEET),
        (presentation(), "talk.pptx", FileKind.PRESENTATION),
        (ebook(), "book.epub", FileKind.EBOOK),
        (ebook(mimetype=False), "book.epub", FileKind.EBOOK),
        (b'{"a": 1}', "a.json", FileKind.JSON),
        (b'{"a": 1}', "a.ndjson", FileKind.JSON_LINES),
        (b"x = 1", "a.py", FileKind.PYTHON),
        (b"fn main() {}", "main.rs", FileKind.SOURCE_CODE),
        ("שלום עולם".encode(), "rtl.txt", FileKind.PLAIN_TEXT),
        ("wide\ntext with spaces".encode("utf-16-le"), "wide.txt", FileKind.PLAIN_TEXT),
        ("wide".encode("utf-32"), "wide.txt", FileKind.PLAIN_TEXT),
        (b"RIFFs and GIF89a, BZh and ID3 in a sentence", "music.txt", FileKind.PLAIN_TEXT),
        (b"\x1b[31mcoloured\x1b[0m log\n", "out.log", FileKind.PLAIN_TEXT),
    ],
)
def test_content_says_what_a_file_is_and_its_name_only_where_content_is_mute(
    data: bytes, name: str, kind: FileKind
) -> None:
    assert sniff(data, name) is kind


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.txt", "the file is empty"),
        (b"\x00\x01\x02junk" * 50, "a.txt", "the file is binary"),
        (b"\x01\x02\x03\x04 text without NUL", "a.txt", "the file is binary"),
        (b"text\0" * 40, "a.txt", "the file is binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.txt", "a PNG picture"),
        (b"\x7fELF\x02\x01\x01\0", "program", "an ELF program"),
        (b"SQLite format 3\0\x10\0", "notes.md", "an SQLite database"),
        (b"{\\rtf1 hello}", "a.doc", "an RTF document; save it as DOCX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "old.doc", "an old Office format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "new.docx", "the DOCX is encrypted"),
        (b"PK\x03\x04...xl/workbook.bin", "a.xlsb", "an XLSB spreadsheet; save it as XLSX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "a.xlsx", "the XLSX is encrypted"),
        (_LOCKED, "old.xls", "the Office file is encrypted"),
        (b"just text", "a.epub", "the name ends in .epub but the content is not"),
        (b"PK\x03\x04...", "a.docx", "a zip archive without a document of Office"),
        (b"just text", "a.pdf", "the name ends in .pdf but the content is not"),
        (b"just text", "a.docx", "the name ends in .docx but the content is not"),
        (b"just text", "a.xyz", r"\.xyz files are not read; the known kinds are \.adoc"),
    ],
)
def test_what_is_not_read_is_refused_with_its_kind(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        sniff(data, name)
