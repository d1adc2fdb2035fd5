"""Segments: rows that never change, under ascending ids, with the index that searches them.

`ids.array` and `vectors.array` are mapped; `ann` is what the method saved. Which rows are still
alive is not a segment's business.

Letters: `n` rows, `d` their width.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from index.array_file import open_array, write_array
from index.durable_files import NEW, FileStamp, remove_tree, sync, sync_tree
from index.errors import IndexFileError
from index.index_folder import IndexFolder
from index.manifest import Manifest, SegmentEntry
from index.methods import METHODS
from index.protocol import AnnBackend, Metric
from index.tuning import Choice, Tuning

FLAT_ROWS = 50_000  # fewer rows are compared one by one, unless the tuner found better
FLAT = Choice(method="flat", parameters={}, effort=1)
_SEED = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Segment:
    """An open segment; `alive` says which rows the caller's state still has."""

    entry: SegmentEntry
    ids: Int64[np.ndarray, " n"]
    rows: Float32[np.ndarray, "n d"]
    backend: AnnBackend
    alive: Bool[np.ndarray, " n"] = field(init=False)
    num_alive: int = field(init=False)

    def __post_init__(self) -> None:
        self.set_alive(np.zeros(len(self.ids), np.bool_))

    def set_alive(self, alive: Bool[np.ndarray, " n"]) -> None:
        """Say which rows live."""
        self.alive = alive
        self.num_alive = int(np.count_nonzero(alive))

    def mark(self, ids: Int64[np.ndarray, " m"], *, is_alive: bool) -> Int64[np.ndarray, " here"]:
        """Mark those of the ids that are here; return them."""
        at = np.searchsorted(self.ids, ids)
        here = at < len(self.ids)
        here[here] = self.ids[at[here]] == ids[here]
        if here.any():
            alive = self.alive.copy()
            alive[at[here]] = is_alive
            self.set_alive(alive)
        return ids[here]


def choice_for(num_rows: int, tuning: Tuning | None) -> Choice:
    """Return how a segment of so many rows is searched: as measured, else by its size."""
    if tuning is not None and 4 * num_rows >= tuning.num_rows:
        choice = tuning.choice
    elif num_rows < FLAT_ROWS:
        choice = FLAT
    else:
        choice = Choice(method="hnsw", parameters={}, effort=100)
    return FLAT if num_rows < METHODS[choice.method].caps.fewest_rows else choice


def write_segment(  # noqa: PLR0913  # all by name
    folder: IndexFolder,
    name: str,
    ids: Int64[np.ndarray, " n"],
    blocks: Iterable[Float32[np.ndarray, "m d"]],
    *,
    dim: int,
    metric: Metric,
    choice: Choice,
    threads: int,
) -> SegmentEntry:
    """Write a segment whole or not at all; the caller holds LOCK.

    `blocks` are the rows of `ids`, of length one where cosine is asked.

    Raises:
        OSError: the disk refused; nothing but a `.new-` folder is left, which is swept.
    """
    folder.segments.mkdir(parents=True, exist_ok=True)
    new = folder.segments / f"{NEW}{name}"
    try:
        new.mkdir()
        write_array(new / "ids.array", (len(ids),), "<i8", [ids])
        write_array(new / "vectors.array", (len(ids), dim), "<f4", blocks)
        rows = open_array(new / "vectors.array", "<f4")
        (new / "ann").mkdir()
        choice.builder.build(rows, metric, seed=_SEED, threads=threads).save(new / "ann")
        del rows
        sync_tree(new)
        files = {
            str(path.relative_to(new)): FileStamp.of(path)
            for path in sorted(new.rglob("*"))
            if path.is_file()
        }
        remove_tree(folder.segments / name)  # of an attempt that was not published
        new.replace(folder.segments / name)
        sync(folder.segments)
    except BaseException:
        remove_tree(new)
        raise
    return SegmentEntry(name=name, num_rows=len(ids), choice=choice, files=files)


def open_segment(
    folder: IndexFolder, manifest: Manifest, entry: SegmentEntry, *, threads: int
) -> Segment:
    """Open a segment after all its files were found to be what was written.

    Raises:
        IndexFileError: they are not, or do not fit together.
    """
    path: Path = folder.check(entry)
    ids = open_array(path / "ids.array", "<i8")
    rows = open_array(path / "vectors.array", "<f4")
    if ids.shape != (entry.num_rows,) or rows.shape != (entry.num_rows, manifest.dim):
        raise IndexFileError(f"{path} holds rows of another shape than its manifest says")
    if np.any(ids[1:] <= ids[:-1]):
        raise IndexFileError(f"the ids of {path} do not ascend")
    backend = entry.choice.builder.load(path / "ann", rows, manifest.metric, threads=threads)
    return Segment(entry=entry, ids=ids, rows=rows, backend=backend)
