"""Files that are whole or absent after a power cut, and the hashes by which a damaged one is found.

A file is written under another name, synced and renamed; a rename lasts once its folder is synced.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from index.errors import IndexFileError, StorageFullError

_BLOCK = 1 << 20
_SIZE = 16  # bytes of a hash
NEW = ".new-"  # begins the name of what is not finished
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NEXT_TO_NOTHING = 64 * 1024  # bytes: less than any file of an index needs


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """The length of a file and the hash of its bytes."""

    num_bytes: int
    blake2b: str

    @classmethod
    def of(cls, path: Path) -> "FileStamp":
        """Read the whole file; raises `OSError`."""
        digest = hashlib.blake2b(digest_size=_SIZE)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
            return cls(num_bytes=file.tell(), blake2b=digest.hexdigest())


def hash_of(data: bytes) -> str:
    """Return the hash that a file of these bytes has."""
    return hashlib.blake2b(data, digest_size=_SIZE).hexdigest()


def has_no_room(path: Path) -> bool:
    """Return whether the disk of a file or folder is full."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free < _NEXT_TO_NOTHING


def full(what: str) -> StorageFullError:
    """Return the error of a disk that is full, where `what` lies."""
    return StorageFullError(
        f"the disk of {what} is full; nothing of this write was kept: make room there and write it"
        " again"
    )


@contextmanager
def room_needed(folder: Path) -> Iterator[None]:
    """Say so by name where the files of the block are not written because a disk is full.

    Raises:
        StorageFullError: that is why.
    """
    try:
        yield
    except StorageFullError:
        raise
    except (OSError, RuntimeError, IndexFileError) as error:
        # The libraries that write indexes report it as whatever they like, or not at all: then
        # what they wrote cannot be opened.
        if getattr(error, "errno", None) in _NO_ROOM or has_no_room(folder):
            raise full(str(folder)) from error
        raise


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; raises `OSError`."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait for all that lies in a folder, and for the folder itself; raises `OSError`."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another at once, and wait for the disk; raises `OSError`."""
    new = path.with_name(f"{NEW}{path.name}")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder in two steps, so that no half of it keeps its name."""
    gone = path.with_name(f"{NEW}gone-{path.name}")
    try:
        path.replace(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)
