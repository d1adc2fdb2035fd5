"""Where documents come from on disk: the files of a folder, their uris, the names of uploads."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import FailureCode
from rag.sniffing import SUPPORTED_SUFFIXES

MAX_NAME_BYTES = 255
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to read, or the reason why not.

    `is_named` tells a path the user gave from one that was found in a folder: what was named and
    cannot be read is a failure, what was only met is skipped. `code` is the kind of the reason.
    """

    uri: str
    path: Path
    is_named: bool
    skipped: str = ""
    code: FailureCode = FailureCode.UNREADABLE
    is_unopened_folder: bool = False


def upload_uri(name: str) -> str:
    """Return the uri of an uploaded file: its name, in Unicode's composed form.

    Raises:
        ValueError: the name is empty, too long, or more than the base name of a file.
    """
    uri = unicodedata.normalize("NFC", name).strip()
    shown = ascii(name if len(name) <= 80 else name[:77] + "...")
    if uri in {"", ".", ".."}:
        raise ValueError(f"an uploaded file needs a name, got {shown}")
    if "/" in uri or "\\" in uri or _DRIVE.match(uri):
        raise ValueError(f"the name of an uploaded file must hold no folder, got {shown}")
    if _CONTROLS.search(uri):
        raise ValueError(f"the name of an uploaded file must hold no control character: {shown}")
    if (size := len(uri.encode())) > MAX_NAME_BYTES:
        raise ValueError(
            f"the name of an uploaded file has {size} bytes, at most {MAX_NAME_BYTES} are allowed:"
            f" {shown}"
        )
    return uri


def source_files(paths: Sequence[Path]) -> Iterator[SourceFile]:
    """Yield the files that `paths` stand for, in the order given and sorted within folders.

    The uri of a file in a folder begins with the name of that folder; hidden files, links to
    folders and links out of the folder are yielded with the reason why they are skipped.
    """
    for path in paths:
        root = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would lose a link's own name
        if root.is_dir():
            yield from _walk(root, root)
        else:
            yield SourceFile(uri=_uri(root.name), path=root, is_named=True)


def _walk(folder: Path, root: Path) -> Iterator[SourceFile]:
    uri = _uri_below(folder, root)
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"the folder cannot be opened: {error.strerror or error}"
        yield SourceFile(
            uri=uri, path=folder, is_named=folder == root, skipped=reason, is_unopened_folder=True
        )
        return
    for entry in found:
        path = folder / entry.name
        reason, code = _why_not(entry, root)
        if reason or not entry.is_dir(follow_symlinks=False):
            uri = _uri_below(path, root)
            yield SourceFile(uri=uri, path=path, is_named=False, skipped=reason, code=code)
        else:
            yield from _walk(path, root)


def _why_not(entry: os.DirEntry[str], root: Path) -> tuple[str, FailureCode]:
    """Return why an entry of a folder is passed over, or an empty string; and the kind of it."""
    code = FailureCode.UNREADABLE
    if entry.name.startswith("."):
        return "hidden", code
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        return f"it cannot be looked at: {error.strerror or error}", code
    if entry.is_symlink() and (reason := _why_not_link(entry, mode, root)):
        return reason, code
    suffix = Path(entry.name).suffix.lower()
    if stat.S_ISREG(mode) and suffix and suffix not in SUPPORTED_SUFFIXES:
        return f"{suffix} files are not read", FailureCode.UNSUPPORTED
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "not a regular file", code


def _why_not_link(entry: os.DirEntry[str], mode: int, root: Path) -> str:
    if stat.S_ISDIR(mode):
        return "a link to a folder is not followed"
    if not Path(entry.path).resolve().is_relative_to(root.resolve()):
        return "a link that leads out of the folder"
    return ""


def _uri_below(path: Path, root: Path) -> str:
    return _uri(path.relative_to(root.parent).as_posix()) or "/"


def _uri(name: str) -> str:
    """Return `name` with the bytes that are no UTF-8 spelled out, since uris are text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
