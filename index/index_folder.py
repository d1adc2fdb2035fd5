"""The folder of a collection's derived files: what is current, who may change it, what is bad.

CURRENT names a manifest and its hash; a manifest names segments and the hash of each of their
files. All of it can be removed at any time: it is built again from the database. Only the holder
of LOCK writes manifests and segments. A file that is not what was written goes to `quarantine`,
with the reason beside it, and is never opened by a library.
"""

import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.durable_files import NEW, FileStamp, hash_of, remove_tree, replace_file, sync
from index.errors import IndexFileError
from index.manifest import Manifest, SegmentEntry

KEPT_MANIFESTS = 2  # those of readers that are about to open what an older one names
_log = logging.getLogger(__name__)


class IndexFolder:
    """The files of one collection; safe for threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments = path / "segments"
        self.manifests = path / "manifests"
        self.quarantined = path / "quarantine"
        self._current = path / "CURRENT"

    def pointer(self) -> str:
        """Return what CURRENT says, empty where there is none; it changes with every generation."""
        try:
            return self._current.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def manifest(self, pointer: str) -> Manifest | None:
        """Return the manifest that `pointer` names; None, and quarantine, where it is damaged."""
        if not pointer:
            return None
        path = self.manifests / f"{pointer.split(maxsplit=1)[0] if pointer.strip() else ''}.json"
        try:
            return self.read(pointer)
        except (OSError, ValueError, IndexFileError) as error:
            if self.pointer() == pointer:  # else another process has published meanwhile
                self.set_aside(path if path.is_file() else self._current, str(error))
                if path.name != self._current.name and self.pointer() == pointer:
                    self.set_aside(self._current, str(error))
            return None

    def read(self, pointer: str) -> Manifest:
        """Return the manifest that `pointer` names.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no manifest of this version.
            IndexFileError: it is not the file that was written.
        """
        words = pointer.split()
        if len(words) != 2 or pointer != f"{words[0]} {words[1]}\n" or not words[0].isdigit():
            raise IndexFileError(f"{self._current} does not name a manifest")
        path = self.manifests / f"{words[0]}.json"
        data = path.read_bytes()
        if hash_of(data) != words[1]:
            raise IndexFileError(f"{path} is not the file that was written")
        return Manifest.from_bytes(data)

    def check(self, entry: SegmentEntry) -> Path:
        """Return the folder of a segment whose files are all what was written.

        Raises:
            IndexFileError: they are not.
        """
        folder = self.segments / entry.name
        try:
            found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        except OSError as error:  # another process has removed it meanwhile
            raise IndexFileError(f"{folder} cannot be read: {error}") from error
        if strange := found ^ set(entry.files):
            raise IndexFileError(f"{folder} lacks or has besides: {', '.join(sorted(strange))}")
        for name, stamp in entry.files.items():
            path = folder / name
            try:
                is_whole = FileStamp.of(path) == stamp
            except OSError as error:
                raise IndexFileError(f"{path} cannot be read: {error}") from error
            if not is_whole:
                raise IndexFileError(f"{path} is not the file that was written")
        return folder

    def publish(self, manifest: Manifest) -> None:
        """Make a manifest the current one; the segments it names lie in their places.

        Raises:
            OSError: the disk refused; what was current still is.
        """
        self.manifests.mkdir(parents=True, exist_ok=True)
        data = manifest.to_bytes()
        name = f"{manifest.generation:06d}"
        replace_file(self.manifests / f"{name}.json", data)
        replace_file(self._current, f"{name} {hash_of(data)}\n".encode())
        self._drop_old(manifest, KEPT_MANIFESTS)

    def manifest_files(self) -> list[Path]:
        """Return the files of all generations, without what an interrupted write left."""
        return sorted(p for p in self.manifests.glob("*.json") if not p.name.startswith(NEW))

    def drop_older(self) -> None:
        """Remove every generation but the current one, and what is in quarantine; needs LOCK."""
        manifest = self.manifest(self.pointer())
        if manifest is not None:
            self._drop_old(manifest, 1)
        remove_tree(self.quarantined)

    def forget(self) -> None:
        """Drop what is current, with all manifests and segments; nothing but time is lost."""
        self._current.unlink(missing_ok=True)
        for folder in (self.manifests, self.segments):
            remove_tree(folder)
        if self.path.is_dir():
            sync(self.path)

    def set_aside(self, path: Path, reason: str) -> None:
        """Move a file or folder to quarantine, with the reason beside it."""
        if not path.exists():
            _log.warning("%s is missing and is built again from the database", path)
            return
        target = self.quarantined / f"{path.name}-{time.time_ns()}"
        _log.error("%s is set aside and built again from the database: %s", path, reason)
        try:
            self.quarantined.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            target.with_name(f"{target.name}.reason").write_text(reason + "\n", encoding="utf-8")
        except OSError as error:  # gone already, or a folder that we may not write to
            _log.warning("%s could not be set aside: %s", path, error)

    @contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold LOCK; gives False where another holds it and `wait` is not asked.

        Raises:
            OSError: the folder cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "LOCK").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def sweep(self) -> None:
        """Remove what an interrupted write left; the caller holds LOCK."""
        for folder in (self.path, self.manifests, self.segments):
            for path in folder.glob(f"{NEW}*"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _drop_old(self, manifest: Manifest, num_kept: int) -> None:
        names = sorted(path.stem for path in self.manifests.glob("*.json"))
        kept = [n for n in names if n <= f"{manifest.generation:06d}"][-num_kept:]
        wanted = {entry.name for entry in manifest.segments}
        for name in names:
            path = self.manifests / f"{name}.json"
            if name not in kept:
                path.unlink(missing_ok=True)
                continue
            try:
                older = Manifest.from_bytes(path.read_bytes())
            except (OSError, ValueError):
                continue
            wanted |= {entry.name for entry in older.segments}
        for folder in self.segments.glob("*"):
            if folder.name not in wanted:
                remove_tree(folder)
