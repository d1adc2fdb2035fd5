"""Files that are whole or absent after a power cut, and the hashes by which a damaged one is found.

A file is written under another name, synced and renamed; a rename lasts once its folder is synced.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20
_SIZE = 16  # bytes of a hash
NEW = ".new-"  # begins the name of what is not finished


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
