"""Chooses the index of a collection anew where its canaries, or its growth, ask for it.

A recall that is surely below the target is first met with more effort of the same index, which the
canaries measure at once and which needs no new files. Where that is not enough, and where a
collection grew fourfold since it was tuned, the tuner measures all methods; a collection that is
too large for that in passing, or that nothing holds the target for, is compared one by one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from index.canaries import Canaries
from index.errors import TuningError
from index.live_index import CollectionKey
from index.recall import Recall
from index.segments import FLAT, Segment
from index.tuner import tune
from index.tuning import Choice, Target, Trial, Tuning
from index.tuning_store import TuningStore

MOST_BYTES = 1 << 29  # of vectors that are measured without being asked
_MOST_RISE = 64  # times the effort that an index has
_NUM_CANARIES = 100


class _StoppedError(Exception):
    """Somebody wants the thread back."""


class Retuning:
    """Keeps the choice of one collection such that its index holds the recall that is wanted."""

    def __init__(self, tunings: TuningStore, key: CollectionKey, *, threads: int) -> None:
        self._tunings = tunings
        self._key = key
        self._threads = threads

    def target(self) -> Target:
        """Return what the collection was last tuned for, or what holds for all.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        latest = self._latest()
        return Target() if latest is None else latest.target

    def measured(self, segments: Sequence[Segment]) -> list[tuple[Segment, Recall]]:
        """Ask the canaries of every segment that is not exact."""
        target = self.target()
        return [
            (segment, self._recall(segment, target, segment.entry.choice.effort))
            for segment in segments
            if not segment.entry.choice.builder.caps.is_exact and len(segment.ids) >= _NUM_CANARIES
        ]

    def choose(self, segments: Sequence[Segment], *, should_stop: Callable[[], bool]) -> str:
        """Store another choice where one is needed; return why and what, or nothing.

        The files follow when the collection is sealed next.

        Raises:
            UnknownCollectionError: the collection was deleted.
        """
        target, latest = self.target(), self._latest()
        weak = [pair for pair in self.measured(segments) if pair[1].high < target.recall]
        num_rows = sum(segment.num_alive for segment in segments)
        if weak:
            segment, recall = min(weak, key=lambda pair: pair[1].value)
            why = f"recall {recall.value:.3f} is below {target.recall:g}"
            found = self._strengthened(segment, target, num_rows)
        elif latest is not None and latest.is_outgrown(num_rows):
            why, found = f"tuned on {latest.num_rows} rows, now {num_rows}", None
        else:
            return ""
        try:
            found = found or self._tuned(segments, target, num_rows, should_stop)
        except _StoppedError:
            return ""
        if found is None and not weak:
            return ""  # too large to be measured in passing, and well as it is
        found = found or self._record(segments[0], FLAT, target, num_rows, None)
        self._tunings.save(self._key.name, found)
        return f"{why}: {found.choice}"

    def _latest(self) -> Tuning | None:
        try:
            return self._tunings.latest(self._key.name)
        except ValueError:  # of a newer program
            return None

    def _strengthened(self, segment: Segment, target: Target, num_rows: int) -> Tuning | None:
        """Return the least effort, in doublings, that holds the target with its lower bound."""
        effort = segment.entry.choice.effort
        for times in (2**i for i in range(1, _MOST_RISE.bit_length())):
            begun = time.perf_counter()
            recall = self._recall(segment, target, times * effort)
            if recall.low >= target.recall:
                milliseconds = 1000 * (time.perf_counter() - begun) / recall.num_queries
                choice = replace(segment.entry.choice, effort=times * effort)
                trial = Trial(
                    choice=choice,
                    num_rows=len(segment.ids),
                    recall=recall.value,
                    recall_low=recall.low,
                    p50_ms=milliseconds,
                    p95_ms=milliseconds,
                    build_s=0.0,
                    memory=segment.backend.nbytes(),
                    remark="more effort, measured by canaries in one batch with exact search",
                )
                # So that it counts for a segment of this size: `index.segments.choice_for`.
                counted = min(num_rows, 4 * len(segment.ids))
                return self._record(segment, choice, target, counted, trial)
        return None

    def _tuned(
        self,
        segments: Sequence[Segment],
        target: Target,
        num_rows: int,
        should_stop: Callable[[], bool],
    ) -> Tuning | None:
        if num_rows * segments[0].rows.shape[1] * 4 > MOST_BYTES:
            return None

        def stop(_label: str, _done: int, _total: int) -> None:
            if should_stop():
                raise _StoppedError

        rows = np.concatenate([segment.rows[segment.alive] for segment in segments])
        try:
            return tune(
                rows, self._key.metric, target=target, threads=self._threads, on_progress=stop
            )
        except (TuningError, ValueError):  # nothing holds it, or there are too few rows
            return None

    def _recall(self, segment: Segment, target: Target, effort: int) -> Recall:
        canaries = Canaries.drawn(segment.rows, num=_NUM_CANARIES, k=target.k, wanted=target.recall)
        return canaries.run(segment.backend, segment.rows, self._key.metric, effort=effort)

    def _record(
        self,
        segment: Segment,
        choice: Choice,
        target: Target,
        num_rows: int,
        trial: Trial | None,
    ) -> Tuning:
        return Tuning(
            target=target,
            choice=choice,
            num_rows=num_rows,
            dim=segment.rows.shape[1],
            metric=self._key.metric.value,
            queries="held out",
            num_queries=_NUM_CANARIES,
            seed=0,
            trials=(trial or _exact(num_rows),),
        )


def _exact(num_rows: int) -> Trial:
    return Trial(
        choice=FLAT,
        num_rows=num_rows,
        recall=1.0,
        recall_low=1.0,
        p50_ms=0.0,
        p95_ms=0.0,
        build_s=0.0,
        memory=0,
        remark="not timed: nothing else holds the target",
    )
