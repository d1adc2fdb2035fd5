"""What kind of file some bytes are: by their content first, by the name only where that is mute."""

import re
from enum import StrEnum
from pathlib import PurePosixPath

from rag.errors import FailureCode, ParseError
from rag.loaders.charset import utf16_without_mark


class FileKind(StrEnum):
    """The kinds that are read; the value is the media type."""

    PLAIN_TEXT = "text/plain"
    MARKDOWN = "text/markdown"
    WEB_PAGE = "text/html"
    TABLE = "text/csv"
    PDF = "application/pdf"
    WORD_DOCUMENT = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    PRESENTATION = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    EBOOK = "application/epub+zip"
    JSON = "application/json"
    JSON_LINES = "application/jsonl"
    PYTHON = "text/x-python"
    SOURCE_CODE = "text/x-source-code"


# fmt: off
_CODE_SUFFIXES = (
    ".c", ".cc", ".cpp", ".cs", ".css", ".cxx", ".ex", ".exs", ".go", ".h", ".hpp", ".hs", ".java",
    ".jl", ".js", ".jsx", ".kt", ".lua", ".m", ".mjs", ".php", ".pl", ".ps1", ".r", ".rb", ".rs",
    ".scala", ".sh", ".sql", ".swift", ".toml", ".ts", ".tsx", ".vue", ".yaml", ".yml", ".zig",
)
# fmt: on
_KIND_OF_SUFFIX = {
    ".txt": FileKind.PLAIN_TEXT,
    ".text": FileKind.PLAIN_TEXT,
    ".log": FileKind.PLAIN_TEXT,
    ".rst": FileKind.PLAIN_TEXT,
    ".adoc": FileKind.PLAIN_TEXT,
    ".org": FileKind.PLAIN_TEXT,
    ".md": FileKind.MARKDOWN,
    ".markdown": FileKind.MARKDOWN,
    ".html": FileKind.WEB_PAGE,
    ".htm": FileKind.WEB_PAGE,
    ".xhtml": FileKind.WEB_PAGE,
    ".csv": FileKind.TABLE,
    ".tsv": FileKind.TABLE,
    ".pdf": FileKind.PDF,
    ".docx": FileKind.WORD_DOCUMENT,
    ".xlsx": FileKind.SPREADSHEET,
    ".xlsm": FileKind.SPREADSHEET,
    ".pptx": FileKind.PRESENTATION,
    ".epub": FileKind.EBOOK,
    ".json": FileKind.JSON,
    ".jsonl": FileKind.JSON_LINES,
    ".ndjson": FileKind.JSON_LINES,
    ".py": FileKind.PYTHON,
    ".pyi": FileKind.PYTHON,
    **dict.fromkeys(_CODE_SUFFIXES, FileKind.SOURCE_CODE),
}
_ARCHIVES = {  # the kinds that are zip archives, by the member that makes them
    b"word/document.xml": FileKind.WORD_DOCUMENT,
    b"xl/workbook.xml": FileKind.SPREADSHEET,
    b"ppt/presentation.xml": FileKind.PRESENTATION,
    b"mimetypeapplication/epub+zip": FileKind.EBOOK,
}
_BINARY = frozenset({FileKind.PDF, *_ARCHIVES.values()})
SUPPORTED_SUFFIXES = frozenset(_KIND_OF_SUFFIX)

_SAMPLE_BYTES = 65_536
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*){0,5}<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_OOXML = (".docx", ".pptx", ".xlsm", ".xlsx")
_LOCKED = "EncryptedPackage".encode("utf-16-le")  # MS-OFFCRYPTO 2.3.4.4: the stream's name
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKS = (  # looked at only in binary files: some could begin a sentence
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF media file"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg media file"),
    (b"\x7fELF", "an ELF program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (_OLE, "a file of an old Office format (.doc, .xls, .ppt); save it as DOCX, XLSX or PPTX"),
)
_TEXT_MARKS = (
    (b"{\\rtf1", "an RTF document; save it as DOCX"),
    (b"%!PS-Adobe", "a PostScript file; save it as PDF"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_MEMBERS = (  # the names of members stand in an archive as they are
    (b"xl/workbook.bin", "an XLSB spreadsheet; save it as XLSX"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument file; save it as DOCX or PDF"),
)
_CONTROLS = bytes(set(range(32)) - {*b"\t\n\x0b\f\r\x1b"}) + b"\x7f"


def sniff(data: bytes, name: str) -> FileKind:
    """Return the kind of the file `name` with the content `data`.

    Raises:
        ParseError: it is empty, binary, of a kind that is not read, or not what its name says.
    """
    suffix = PurePosixPath(name).suffix.lower()
    expected = _KIND_OF_SUFFIX.get(suffix)
    if not data:
        raise ParseError("the file is empty", FailureCode.EMPTY)
    if data.startswith(b"%PDF-") or (expected is FileKind.PDF and b"%PDF-" in data[:1024]):
        return FileKind.PDF
    if data.startswith(_ZIP):
        return _sniff_zip(data, expected)
    _refuse_other_formats(data, suffix)
    if expected in _BINARY:
        raise ParseError(f"the name ends in {suffix} but the content is not of that kind")
    if _HTML.match(data[:_SAMPLE_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")):
        return FileKind.WEB_PAGE
    if expected is None and suffix:
        known = " ".join(sorted(SUPPORTED_SUFFIXES))
        reason = f"{suffix} files are not read; the known kinds are {known}"
        raise ParseError(reason, FailureCode.UNSUPPORTED)
    return expected or FileKind.PLAIN_TEXT


def _sniff_zip(data: bytes, expected: FileKind | None) -> FileKind:
    found = [kind for member, kind in _ARCHIVES.items() if member in data]
    if found:  # a presentation may hold a spreadsheet: then the name decides
        return expected if expected in found else found[0]
    if expected is FileKind.EBOOK and b"META-INF/container.xml" in data:
        return expected  # its `mimetype` is packed or missing, as many programs leave it
    for member, what in _ZIP_MEMBERS:
        if member in data:
            raise ParseError(f"this kind of file is not read: {what}", FailureCode.UNSUPPORTED)
    reason = "this is a zip archive without a document of Office or a book; unpack it first"
    raise ParseError(reason, FailureCode.UNSUPPORTED)


def _refuse_other_formats(data: bytes, suffix: str) -> None:
    if data.startswith(_OLE) and (suffix in _OOXML or _LOCKED in data):
        locked = suffix[1:].upper() if suffix in _OOXML else "Office file"
        reason = f"the {locked} is encrypted; save a copy without a password"
        raise ParseError(reason, FailureCode.ENCRYPTED)
    what = next((what for mark, what in _TEXT_MARKS if data.startswith(mark)), None)
    if what is None and _is_binary(data):
        what = next((what for mark, what in _MARKS if data.startswith(mark)), None)
        if what is None:
            reason = "the file is binary, and of no kind that is read"
            raise ParseError(reason, FailureCode.UNSUPPORTED)
    if what is not None:
        raise ParseError(f"this kind of file is not read: {what}", FailureCode.UNSUPPORTED)


def _is_binary(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return False  # text in UTF-16 or UTF-32: its NULs are no junk
    if b"\0" in data:
        return utf16_without_mark(data) is None
    sample = data[:_SAMPLE_BYTES]
    return 50 * (len(sample) - len(sample.translate(None, _CONTROLS))) > len(sample)
