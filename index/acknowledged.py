"""The last write that was acknowledged, in a small synced file beside the database.

One flipped byte in a write-ahead log can make SQLite drop its tail without a word. This file then
names a write that the database does not have. Two places of 128 bytes are written in turns, so
that a torn one leaves the other.
"""

import contextlib
import fcntl
import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from index.commit_log import first_write
from index.document_rows import Commit
from index.durable_files import NEW, hash_of, room_needed, sync
from index.tables import commits

_PLACE = 128
_NONE = Commit(seq=0, token="none")  # noqa: S106  # the name of a write
_LOST = "LOST"
_FILE = "SEQ"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The file of one collection, in its folder."""

    folder: Path

    def last(self) -> Commit | None:
        """Return the last acknowledged write, None where no write is known.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            data = (self.folder / _FILE).read_bytes()
        except FileNotFoundError:
            return None
        found = [_parsed(data[i : i + _PLACE]) for i in (0, _PLACE)]
        if len(data) != 2 * _PLACE or any(one is None for one in found):
            raise ValueError(f"{self.folder / _FILE} is not what was written")
        known = [one for one in found if one is not None]
        return max(known, key=lambda commit: commit.seq)

    def reserve(self) -> None:
        """Make the file where it is missing, so that `note` needs no room when it is too late.

        Raises:
            StorageFullError: the disk is full.
            OSError: it refused.
        """
        path = self.folder / _FILE
        with room_needed(self.folder):
            while not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                # Upkeep may sweep the new file away before it has its name: then it is made again.
                with contextlib.suppress(FileNotFoundError):
                    self._make(path)

    def _make(self, path: Path) -> None:
        """Make the file, whole from its first moment on; where it is there, it stays as it is."""
        new = path.with_name(f"{NEW}{uuid.uuid4().hex}")
        try:
            new.write_bytes(_written(_NONE) * 2)
            sync(new)
            with contextlib.suppress(FileExistsError):  # another came first, and has noted a write
                path.hardlink_to(new)
        finally:
            new.unlink(missing_ok=True)
        sync(self.folder)

    def note(self, commit: Commit, *, anew: bool = False) -> None:
        """Write that a commit is about to be acknowledged, and wait for the disk.

        Raises:
            OSError: the disk refused.
        """
        path = self.folder / _FILE
        self.reserve()
        handle = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            data = os.pread(handle, 2 * _PLACE, 0)
            places = [_parsed(data[i : i + _PLACE]) for i in (0, _PLACE)]
            seqs = [-1 if one is None or anew else one.seq for one in places]
            if anew or len(data) != 2 * _PLACE:
                os.pwrite(handle, _written(commit) * 2, 0)
            elif commit.seq > max(seqs):
                older = seqs.index(min(seqs))
                os.pwrite(handle, _written(commit), older * _PLACE)
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def lost(self, connection: Connection, collection_id: int) -> str:
        """Return what the database has lost of the acknowledged writes, as a sentence, or nothing.

        A loss that was found before further writes went on stays on record in the file LOST.
        """
        noted = self.folder / _LOST
        if noted.is_file():
            return noted.read_text(encoding="utf-8", errors="replace").strip()
        try:
            last = self.last()
        except ValueError as error:
            return str(error)
        if last is None or last == _NONE:
            return ""
        token = connection.scalar(
            select(commits.c.token).where(
                commits.c.collection_id == collection_id, commits.c.seq == last.seq
            )
        )
        is_trimmed = token is None and last.seq < first_write(connection, collection_id)
        if token == last.token or is_trimmed:
            return ""
        return (
            f"write {last.seq} was acknowledged and the database does not hold it: the end of its"
            " log was lost; ingest again what was written last"
        )

    def keep(self, loss: str) -> None:
        """Put a loss on record before the next write hides it; an empty one is none."""
        noted = self.folder / _LOST
        if loss and not noted.is_file():
            _log.error("%s: %s", self.folder, loss)
            noted.write_text(loss + "\n", encoding="utf-8")

    def settle(self, commit: Commit | None) -> None:
        """Take note that somebody knows of the loss; `commit` is the last write that is there."""
        (self.folder / _LOST).unlink(missing_ok=True)
        if commit is None:
            (self.folder / _FILE).unlink(missing_ok=True)
        else:
            self.note(commit, anew=True)


def _written(commit: Commit) -> bytes:
    text = f"{commit.seq} {commit.token}"
    return f"{text} {hash_of(text.encode())}".encode().ljust(_PLACE - 1) + b"\n"


def _parsed(place: bytes) -> Commit | None:
    try:
        seq, token, digest = place.decode().split()
        if (
            hash_of(f"{seq} {token}".encode()) != digest
            or _written(Commit(seq=int(seq), token=token)) != place
        ):
            return None
        return Commit(seq=int(seq), token=token)
    except ValueError:
        return None
