"""What can be ingested: files, uploads, documents that were parsed elsewhere, or what callers add.

A source is looked at first, which must be cheap, and loaded only where it is new.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rag.document import Document, sha256_hex
from rag.errors import FailureCode, ParseError
from rag.ingest_report import FileReport, Outcome
from rag.parsing import ParseLimits, parse, read_file
from rag.sniffing import sniff
from rag.source_files import SourceFile, source_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a source gives: the hash and the size of its bytes, or why it is not read.

    An empty hash says that only loading it will tell (of a page on the web, say).
    """

    sha256: str = ""
    num_bytes: int = 0
    refused: FileReport | None = None


class Source(Protocol):
    """Something with a uri that becomes a document."""

    @property
    def uri(self) -> str:
        """Return what identifies it within its collection."""
        ...

    @property
    def root(self) -> str:
        """Return the folder it was met in; empty where its absence must remove nothing."""
        ...

    def look(self, limits: ParseLimits, /) -> Look:
        """Look at it without reading it as a document."""
        ...

    def load(self, limits: ParseLimits, /) -> Document:
        """Read it; raises `ParseError`."""
        ...


class DigestCache:
    """Hashes of files by what the file system says of them, for those that are looked at often.

    A file counts as the same while its inode, size and times of change are: writing changes them.
    """

    def __init__(self) -> None:
        self._digests: dict[Path, tuple[tuple[int, ...], Look]] = {}

    def look(self, file: SourceFile, limits: ParseLimits) -> Look:
        """Look at a file, or remember the last look."""
        try:
            found = file.path.stat()
        except OSError:
            return look_at(file, limits)
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._digests.get(file.path)
        if known is not None and known[0] == stamp:
            return known[1]
        look = look_at(file, limits)
        self._digests[file.path] = stamp, look
        return look


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file of this machine."""

    file: SourceFile
    root: str = ""
    digests: DigestCache | None = None

    @property
    def uri(self) -> str:
        """Return its place below the folder that was named, or its name."""
        return self.file.uri

    def look(self, limits: ParseLimits) -> Look:
        """Return the hash of the file."""
        if self.digests is not None and not self.file.skipped:
            return self.digests.look(self.file, limits)
        return look_at(self.file, limits)

    def load(self, limits: ParseLimits) -> Document:
        """Read and parse it."""
        return parse(read_file(self.file.path, limits=limits), self.uri, limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesSource:
    """An uploaded file."""

    uri: str
    data: bytes
    root: str = ""

    def look(self, limits: ParseLimits) -> Look:
        """Return the hash of the content."""
        del limits
        return Look(sha256=sha256_hex(self.data), num_bytes=len(self.data))

    def load(self, limits: ParseLimits) -> Document:
        """Parse it."""
        return parse(self.data, self.uri, limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """A document that was parsed elsewhere."""

    document: Document
    root: str = ""

    @property
    def uri(self) -> str:
        """Return that of the document."""
        return self.document.uri

    def look(self, limits: ParseLimits) -> Look:
        """Return the hash that it brings along."""
        del limits
        return Look(sha256=self.document.source_sha256)

    def load(self, limits: ParseLimits) -> Document:
        """Return it."""
        del limits
        return self.document


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that was named, and the uris of what is in it, read or not.

    Of what lies below `unopened` (uris that end with a slash) nothing is known.
    """

    root: str
    uris: frozenset[str] = frozenset()
    unopened: tuple[str, ...] = ()

    def lacks(self, uri: str) -> bool:
        """Whether the folder was read where this would be, and has it not."""
        return uri not in self.uris and not uri.startswith(self.unopened)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The sources of one command, and the folders it named: what is gone from them is removed."""

    sources: Sequence[Source]
    folders: Sequence[Folder] = field(default=())


def scan(
    paths: Sequence[Path], *, more: Sequence[Source] = (), digests: DigestCache | None = None
) -> Scan:
    """Return the files of paths, with their roots, and `more` sources of other kinds.

    A path that does not exist counts as a folder without files.
    """
    sources: list[Source] = []
    folders: list[Folder] = []
    for path in paths:
        root = root_of(path)
        if path.exists() and not path.is_dir():
            # A file has itself for a root: it is known where it lies, and no folder removes it.
            found = [FileSource(file=f, root=root, digests=digests) for f in source_files([path])]
            sources += found
            continue
        files = list(source_files([path])) if path.exists() else []
        sources += [FileSource(file=file, root=root, digests=digests) for file in files]
        folders.append(
            Folder(
                root=root,
                uris=frozenset(file.uri for file in files),
                unopened=tuple(f"{file.uri}/" for file in files if file.is_unopened_folder),
            )
        )
    return Scan(sources=[*sources, *more], folders=folders)


def root_of(path: Path) -> str:
    """Return the absolute path as a text that every database stores; links are not resolved."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")  # noqa: PTH100


def look_at(file: SourceFile, limits: ParseLimits) -> Look:
    """Return the hash of a file, or the report of one that is not read."""
    met = Outcome.FAILED if file.is_named else Outcome.SKIPPED
    if file.skipped:
        return _refused(file, met, file.skipped, file.code)
    try:
        data = read_file(file.path, limits=limits)
    except ParseError as error:
        return _refused(file, Outcome.FAILED, error.reason, error.code)
    if not file.is_named and not file.path.suffix:
        try:
            sniff(data, file.uri)
        except ParseError as error:  # nobody said that it was a document
            return _refused(file, met, error.reason, error.code)
    return Look(sha256=sha256_hex(data), num_bytes=len(data))


def _refused(file: SourceFile, outcome: Outcome, reason: str, code: FailureCode) -> Look:
    return Look(refused=FileReport(uri=file.uri, outcome=outcome, reason=reason, code=code))
