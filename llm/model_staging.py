"""The folder in which a model is put together before it takes its name, and what is left of it.

Either a whole, checked folder stands under the model's name, or nothing does: files are written
into a hidden sibling folder, flushed, and moved in one rename. What a killed process leaves behind
is swept by the next one, which holds the model's lock. This module does not know any source.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llm.errors import FetchError, ModelStoreError
from llm.model_catalog import ModelFile

PIECE = 1 << 20
"""Bytes that are read, hashed and written at a time."""

_PARTIAL = ".partial-"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_POLL_S = 0.1


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; it is gone afterwards unless it was moved there.

    Earlier leftovers for the same target are removed first: the caller holds the target's lock,
    so their owner is dead.
    """
    prefix = f"{_PARTIAL}{target.name}-"
    for leftover in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path) -> None:
    """Move a finished folder to `target` in one step; a damaged predecessor is moved out first."""
    folder.chmod(0o755)  # mkdtemp makes it private; weights are meant to be shared
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        _sync_folder(path)
    if target.exists():
        retired = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{target.name}-", dir=target.parent))
        target.rename(retired / "old")
        folder.rename(target)
        shutil.rmtree(retired, ignore_errors=True)
    else:
        folder.rename(target)
    _sync_folder(target.parent)


def write_checked(read: Callable[[int], bytes], target: Path, file: ModelFile) -> None:
    """Copy what `read` gives into `target`, flushed, and check its size and hash on the way.

    Raises:
        FetchError: The bytes are not those that the catalog promises.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    num_bytes = 0
    with target.open("wb") as out:
        while piece := read(PIECE):
            num_bytes += len(piece)
            if num_bytes > file.num_bytes:
                break  # a bomb is not unpacked to its end
            digest.update(piece)
            out.write(piece)
        _flush(out)
    if num_bytes != file.num_bytes:
        more = "more than " if num_bytes > file.num_bytes else ""
        raise FetchError(
            f"{file.name} was to have {file.num_bytes:,} bytes but the source gave"
            f" {more}{min(num_bytes, file.num_bytes):,}"
        )
    if digest.hexdigest() != file.sha256:
        raise FetchError(
            f"{file.name} has sha256 {digest.hexdigest()[:12]}…, expected {file.sha256[:12]}…"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Flush a file that somebody else wrote to the disk."""
    with path.open("rb+") as stream:
        _flush(stream)


@contextmanager
def watched_size(folder: Path, on_bytes: Callable[[int], None]) -> Iterator[None]:
    """Report the bytes in `folder` ten times a second, from a thread, while the body runs.

    Sources differ in how they tell their progress (a child process, a library); what lies on the
    disk is the same for all of them.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            on_bytes(_bytes_in(folder))

    thread = threading.Thread(target=watch, name="model-download-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def disk_errors_as_sentences(folder: Path, num_bytes: int) -> Iterator[None]:
    """Turn what the operating system says about the disk into one sentence with the remedy."""
    try:
        yield
    except ModelStoreError:
        raise
    except PermissionError as error:
        raise FetchError(
            f"cannot write to {folder}: permission denied;"
            " set CAUSERIE_HOME to a folder that you may write to"
        ) from error
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise FetchError(disk_full_sentence(folder, num_bytes)) from error
        raise FetchError(
            f"cannot write to {folder}: {error.strerror or error};"
            " mend that or set CAUSERIE_HOME to another folder"
        ) from error


def require_space(folder: Path, num_bytes: int) -> None:
    """Refuse at once a download that the disk cannot hold."""
    if shutil.disk_usage(folder).free < num_bytes:
        raise FetchError(disk_full_sentence(folder, num_bytes))


def disk_full_sentence(folder: Path, num_bytes: int) -> str:
    """Say how much is needed, how much is free and what helps."""
    free = shutil.disk_usage(folder).free
    return (
        f"the disk is full: {num_bytes / 1e6:,.0f} MB are needed in {folder} and"
        f" {free / 1e6:,.0f} MB are free or allowed to this process; make room or set"
        " CAUSERIE_HOME to a folder on another disk"
    )


def _bytes_in(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_size
            except FileNotFoundError:
                continue  # moved between the listing and the look
    return total


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no handle on a folder to flush
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
