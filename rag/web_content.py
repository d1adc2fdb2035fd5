"""What the content type and the charset of an answer say about how to read it."""

from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from rag.loaders.charset import is_encoding_of_files
from rag.sniffing import SUPPORTED_SUFFIXES, FileKind
from rag.web_address import WebAddress

_SUFFIX = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/ld+json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/epub+zip": ".epub",
    FileKind.WORD_DOCUMENT.value: ".docx",
    FileKind.SPREADSHEET.value: ".xlsx",
    FileKind.PRESENTATION.value: ".pptx",
}
_MUTE = frozenset({"", "application/octet-stream", "application/zip", "binary/octet-stream"})


def suffix_of(headers: Message, where: WebAddress) -> str | None:
    """Return the ending that a file of this content type has, or None for a type not read."""
    media_type = headers.get_content_type() if "Content-Type" in headers else ""
    own = PurePosixPath(unquote(urlsplit(where.url).path)).suffix.lower()
    if media_type in _SUFFIX:
        return _SUFFIX[media_type]
    if media_type in _MUTE or media_type.startswith("text/") or "script" in media_type:
        return own if own in SUPPORTED_SUFFIXES else ".txt"
    return None


def file_name(headers: Message, where: WebAddress) -> str:
    """Return the name of a file with this content at this address; its stem may be the title."""
    path = PurePosixPath(unquote(urlsplit(where.url).path))
    stem = path.stem if path.stem not in {"", "index"} else f"{where.host}{path.parent}"
    return stem.strip("/").replace("/", " ") + (suffix_of(headers, where) or "")


def in_utf8(body: bytes, headers: Message) -> bytes:
    """Return a body, re-encoded if the server names a charset: that counts before all guesses."""
    charset = headers.get_content_charset() or ""
    if not is_encoding_of_files(charset) or not headers.get_content_type().startswith("text/"):
        return body
    try:
        return body.decode(charset).encode()
    except (UnicodeError, LookupError):  # it is not what it says: the loader finds out
        return body
