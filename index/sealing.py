"""Writes the derived files of a collection: seals new rows, merges small and thinned segments.

One process at a time does so for a collection (LOCK); readers need no lock. Every step writes new
files beside the old ones and then replaces one name, so that it can be interrupted anywhere. A
merge that was finished stays; the rest is done the next time.

Letters: `n` rows, `d` their width.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
from jaxtyping import Float32, Int64
from sqlalchemy import Connection, Engine, select

from index.database import reading
from index.document_rows import serving
from index.durable_files import room_needed
from index.errors import IndexFileError
from index.index_folder import IndexFolder
from index.live_index import SEAL_ROWS, CollectionKey, is_of_database
from index.manifest import Manifest, SegmentEntry
from index.progress import OnProgress, unheard
from index.segments import Segment, choice_for, open_segment, write_segment
from index.stored_vectors import StoredVectors
from index.tables import commits, tunings
from index.tuning import Tuning

MOST_DEAD = 0.2  # of a segment's rows; with more it is written anew
MOST_EQUAL = 8  # segments of one tier; more become one
_BLOCK = 8192  # rows copied at a time
_ROOM = 2.5  # times the rows' bytes that a merge may need on the disk for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkept:
    """What was done: rows sealed, segments made and left out, and what was not done and why."""

    num_sealed: int = 0
    num_merged: int = 0
    num_dropped: int = 0
    postponed: str = ""

    @property
    def is_idle(self) -> bool:
        """Say whether there was nothing to do."""
        return not (self.num_sealed or self.num_merged or self.num_dropped or self.postponed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """What SQL says in one transaction, and the files that agree with it."""

    manifest: Manifest
    segments: tuple[Segment, ...]
    outside: Int64[np.ndarray, " n"]  # ids of live rows in no segment


class Sealing:
    """Writes the files of one collection."""

    def __init__(
        self, database: Engine, key: CollectionKey, folder: IndexFolder, *, threads: int
    ) -> None:
        self._database = database
        self._key = key
        self._folder = folder
        self._threads = threads
        self._on_progress: OnProgress = unheard

    def run(
        self,
        *,
        fewest: int = SEAL_ROWS,
        disk_budget: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        wait: bool = False,
        purge: bool = False,
        on_progress: OnProgress = unheard,
    ) -> Upkept:
        """Seal what is outside of segments once there are `fewest` rows, then merge what is due.

        With `purge` every segment that holds a dead row is written anew, and no older generation
        nor anything in quarantine is left.

        `disk_budget` bounds the bytes that are needed besides; None stands for what is free, but
        a tenth of the disk.

        Raises:
            StorageFullError: the disk is full; everything is as before.
            OSError: the disk refused; everything is as before.
            UnknownCollectionError: the collection was deleted.
        """
        self._on_progress = on_progress
        with room_needed(self._folder.path), self._folder.locked(wait=wait) as is_ours:
            if not is_ours:
                return Upkept(postponed="another process is at it")
            self._folder.sweep()
            with reading(self._database) as connection:
                state = self._state(connection)
                sealed = self._sealed(connection, state, fewest)
                tuning = self._tuning(connection)
            most_dead = 0.0 if purge else MOST_DEAD
            done = self._merged(sealed, tuning, most_dead, disk_budget, should_stop)
            if purge:
                self._folder.drop_older()
            return done

    def _state(self, connection: Connection) -> _State:
        now = serving(connection, self._key.id, self._key.name)
        stored = self._stored(connection)
        pointer = self._folder.pointer()
        manifest = self._folder.manifest(pointer)
        if manifest is not None and not is_of_database(connection, manifest, stored):
            # Nobody publishes while we hold the lock: the files are of another set or database.
            self._folder.forget()
            manifest = None
        token = connection.scalar(
            select(commits.c.token).where(
                commits.c.collection_id == self._key.id, commits.c.seq == now.seq
            )
        )
        rest = stored.live_ids(connection)
        segments = []
        for entry in manifest.segments if manifest is not None else ():
            segment = self._opened(manifest, entry) if manifest is not None else None
            if segment is not None:
                segment.set_alive(np.isin(segment.ids, rest))
                rest = np.setdiff1d(rest, segment.ids[segment.alive])
                segments.append(segment)
        return _State(
            manifest=Manifest(
                generation=manifest.generation if manifest is not None else 0,
                collection_id=self._key.id,
                seq=now.seq,
                token=token or "",
                set_id=now.set_id,
                dim=now.dim,
                metric=self._key.metric,
                segments=() if manifest is None else manifest.segments,
            ),
            segments=tuple(segments),
            outside=rest,
        )

    def _opened(self, manifest: Manifest, entry: SegmentEntry) -> Segment | None:
        try:
            return open_segment(self._folder, manifest, entry, threads=self._threads)
        except IndexFileError as error:
            self._folder.set_aside(self._folder.segments / entry.name, str(error))
            return None

    def _stored(self, connection: Connection) -> StoredVectors:
        now = serving(connection, self._key.id, self._key.name)
        return StoredVectors(
            collection_id=self._key.id, set_id=now.set_id, dim=now.dim, metric=self._key.metric
        )

    def _sealed(
        self, connection: Connection, state: _State, fewest: int
    ) -> tuple[Manifest, list[Segment], int]:
        lost = len(state.manifest.segments) - len(state.segments)
        segments = list(state.segments)
        if not len(state.outside) or (len(state.outside) < fewest and not lost):
            return state.manifest, segments, 0
        stored = self._stored(connection)
        parts = list(stored.read(connection, state.outside))
        ids = np.concatenate([ids for ids, _ in parts] or [state.outside[:0]])
        if not len(ids):  # all of them are damaged
            return state.manifest, segments, 0
        made = self._write(
            state.manifest, 0, ids, (rows for _, rows in parts), self._tuning(connection)
        )
        made.set_alive(np.ones(len(ids), np.bool_))
        segments.append(made)
        return self._published(state.manifest, segments), segments, len(ids)

    def _merged(
        self,
        sealed: tuple[Manifest, list[Segment], int],
        tuning: Tuning | None,
        most_dead: float,
        disk_budget: int | None,
        should_stop: Callable[[], bool],
    ) -> Upkept:
        manifest, segments, num_sealed = sealed
        manifest = self._with_efforts(manifest, segments, tuning)
        num_merged = num_dropped = 0
        while True:
            group = _due(segments, tuning, most_dead)
            if not group:
                return Upkept(num_sealed=num_sealed, num_merged=num_merged, num_dropped=num_dropped)
            postponed = "interrupted" if should_stop() else self._too_much(group, disk_budget)
            if postponed:
                return Upkept(
                    num_sealed=num_sealed,
                    num_merged=num_merged,
                    num_dropped=num_dropped,
                    postponed=postponed,
                )
            rest = [segment for segment in segments if segment not in group]
            ids = np.concatenate([segment.ids[segment.alive] for segment in group])
            order = np.argsort(ids)
            if len(ids):
                made = self._write(manifest, 1, ids[order], _blocks(group, order), tuning)
                made.set_alive(np.ones(len(ids), np.bool_))
                rest.append(made)
                num_merged += 1
            num_dropped += len(group)
            segments = rest
            manifest = self._published(manifest, segments)

    def _with_efforts(
        self, manifest: Manifest, segments: Sequence[Segment], tuning: Tuning | None
    ) -> Manifest:
        """Take over another effort of the same index, for which no file is written anew."""
        is_changed = False
        for segment in segments:
            has, wanted = segment.entry.choice, choice_for(len(segment.ids), tuning)
            if has != wanted and replace(has, effort=wanted.effort) == wanted:
                segment.entry = replace(segment.entry, choice=wanted)
                is_changed = True
        return self._published(manifest, segments) if is_changed else manifest

    def _write(
        self,
        manifest: Manifest,
        step: int,
        ids: Int64[np.ndarray, " n"],
        blocks: Iterator[Float32[np.ndarray, "m d"]],
        tuning: Tuning | None,
    ) -> Segment:
        entry = write_segment(
            self._folder,
            f"{manifest.generation + 1:06d}-{step}",
            ids,
            self._shown("merging" if step else "sealing", blocks, len(ids)),
            dim=manifest.dim,
            metric=manifest.metric,
            choice=choice_for(len(ids), tuning),
            threads=self._threads,
        )
        return open_segment(self._folder, manifest, entry, threads=self._threads)

    def _shown(
        self, label: str, blocks: Iterator[Float32[np.ndarray, "m d"]], total: int
    ) -> Iterator[Float32[np.ndarray, "m d"]]:
        """Give the blocks on, and tell how many of the rows they were."""
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            self._on_progress(label, done, total)

    def _published(self, manifest: Manifest, segments: Sequence[Segment]) -> Manifest:
        new = replace(
            manifest,
            generation=manifest.generation + 1,
            segments=tuple(segment.entry for segment in segments),
        )
        self._folder.publish(new)
        return new

    def _tuning(self, connection: Connection) -> Tuning | None:
        record = connection.scalar(
            select(tunings.c.record)
            .where(tunings.c.collection_id == self._key.id)
            .order_by(tunings.c.id.desc())
            .limit(1)
        )
        try:
            tuning = None if record is None else Tuning.from_json(record)
        except ValueError:  # of a newer program: its method is not ours to know
            return None
        dim = serving(connection, self._key.id, self._key.name).dim
        return tuning if tuning is not None and tuning.dim == dim else None

    def _too_much(self, group: Sequence[Segment], budget: int | None) -> str:
        needed = int(_ROOM * sum(s.num_alive * s.rows.shape[1] * 4 for s in group))
        if budget is None:
            disk = shutil.disk_usage(self._folder.path)
            budget = disk.free - disk.total // 10
        if needed <= budget:
            return ""
        return f"merging {len(group)} segments needs {needed} bytes of disk, {budget} may be used"


def _due(segments: Sequence[Segment], tuning: Tuning | None, most_dead: float) -> list[Segment]:
    """Return segments that should become one now, the smallest of them first."""
    for segment in segments:
        dead = len(segment.ids) - segment.num_alive
        if dead > most_dead * len(segment.ids):
            return [segment]
        if segment.entry.choice != choice_for(len(segment.ids), tuning):
            return [segment]
    tiers: dict[int, list[Segment]] = {}
    for segment in segments:
        tiers.setdefault(_tier(segment.num_alive), []).append(segment)
    for _, group in sorted(tiers.items()):
        if len(group) > MOST_EQUAL:
            return group
    return []


def _tier(num_rows: int) -> int:
    return max(0, int(log(max(num_rows, 1) / SEAL_ROWS, MOST_EQUAL)))


def _blocks(
    group: Sequence[Segment], order: Int64[np.ndarray, " n"]
) -> Iterator[Float32[np.ndarray, "m d"]]:
    """Give the living rows of segments in an order, some at a time."""
    starts = np.cumsum([0, *(segment.num_alive for segment in group)])
    places = [np.flatnonzero(segment.alive) for segment in group]
    for at in range(0, len(order), _BLOCK):
        some = order[at : at + _BLOCK]
        block = np.empty((len(some), group[0].rows.shape[1]), np.float32)
        which = np.searchsorted(starts, some, side="right") - 1
        for i, segment in enumerate(group):
            mine = which == i
            block[mine] = segment.rows[places[i][some[mine] - starts[i]]]
        yield block
