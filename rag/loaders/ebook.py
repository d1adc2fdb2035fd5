"""EPUB: the chapters in the order of the book's spine, each as all the text of its page.

Read as EPUB 3.3 says (sections 4.2.6.3 and 5): `META-INF/container.xml` names the package, its
manifest the files, its spine their order. Nothing outside of the archive is looked at.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from rag.errors import FailureCode, ParseError
from rag.loaders.archive import BROKEN, broken, check_archive
from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.web_page import page_text

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html"})
_HEADING = re.compile(r"(?m)^#{1,6} ")
_MAX_NAMED = 5


class _Book(NamedTuple):
    chapters: list[str]  # names in the archive
    title: str
    facts: dict[str, str | int]


def load_ebook(data: bytes) -> Extraction:
    """Return the chapters of a book; those that are missing are named in the warning."""
    try:
        check_archive(data, "EPUB")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            book = _book(archive)
            names = set(archive.namelist())
            missing = [name for name in book.chapters if name not in names]
            texts = [_chapter(archive.read(name)) for name in book.chapters if name in names]
    except BROKEN as error:
        raise broken("EPUB", error) from error
    facts = {**book.facts, "num_chapters": len(texts)}
    if missing:
        named = ", ".join(one_line(name, max_chars=60) for name in missing[:_MAX_NAMED])
        more = len(missing) - _MAX_NAMED
        ending = f" and {more} more" if more > 0 else ""
        facts["warning"] = f"not in the archive: {named}{ending}"
    text = "\n\n".join(text for text in texts if text)
    return Extraction(text=tidy(text), title=book.title, metadata=facts)


def _book(archive: zipfile.ZipFile) -> _Book:
    root = ET.fromstring(archive.read(_CONTAINER))  # noqa: S314 - entities are refused before
    package_name = next(
        (path for node in _all(root, "rootfile") if (path := node.get("full-path"))), None
    )
    if package_name is None:
        raise ParseError("the EPUB is broken: its container names no package")
    package = ET.fromstring(archive.read(package_name))  # noqa: S314
    folder = posixpath.dirname(package_name)
    files = {
        node.get("id"): posixpath.normpath(posixpath.join(folder, unquote(node.get("href") or "")))
        for node in _all(package, "item")
        if node.get("media-type") in _PAGES and "nav" not in (node.get("properties") or "").split()
    }
    spine = (files.get(node.get("idref")) for node in _all(package, "itemref"))
    chapters = list(dict.fromkeys(name for name in spine if name is not None))  # each once
    locked = _locked(archive) & set(chapters)
    if locked:
        raise ParseError(
            "the EPUB is encrypted: its chapters are locked by a copy protection",
            FailureCode.ENCRYPTED,
        )
    facts: dict[str, str | int] = {}
    for name, key in (("creator", "author"), ("language", "language")):
        said = "; ".join(one_line(node.text or "") for node in _all(package, name))
        if said:
            facts[key] = said
    title = next((one_line(node.text or "") for node in _all(package, "title")), "")
    return _Book(chapters, title, facts)


def _locked(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of encrypted members; fonts often are, and do not matter."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    root = ET.fromstring(archive.read(_ENCRYPTION))  # noqa: S314
    return {unquote(node.get("URI") or "") for node in _all(root, "CipherReference")}


def _chapter(data: bytes) -> str:
    text, title = page_text(data)
    if text and title and not _HEADING.search(text):
        return f"# {title}\n\n{text}"
    return text


def _all(root: ET.Element, name: str) -> Iterator[ET.Element]:
    """Yield the elements of this name in any namespace."""
    return (node for node in root.iter() if str(node.tag).rpartition("}")[2] == name)
