"""Lanes: ways of finding passages that run beside each other, each against its own clock.

A lane that is late or fails is left out of the ranking and named in the trace; the answer comes all
the same. What a late lane is doing is not waited for: it is given its deadline too, and ends by it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rag.document import Passage
from rag.errors import LaneLateError

logger = logging.getLogger(__name__)

PassageKey = tuple[str, int, int]  # document, start and end of the chunk


def key_of(passage: Passage) -> PassageKey:
    """Return what tells a chunk of a collection from any other."""
    return passage.document_id, passage.chunk.start, passage.chunk.end


@dataclass(frozen=True, slots=True, kw_only=True)
class InLane:
    """Where a passage stands in a lane: rank from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFound:
    """What a lane looked for and what it found, best first.

    `knowledge` is what a model wrote and no source says.
    """

    queries: tuple[str, ...]
    passages: tuple[Passage, ...]
    knowledge: tuple[Passage, ...] = ()

    def places(self) -> dict[PassageKey, InLane]:
        """Return where each passage stands."""
        return {
            key_of(passage): InLane(rank=rank, score=passage.score)
            for rank, passage in enumerate(self.passages, start=1)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOutcome:
    """How a lane ended: with what it `found`, or None and the `problem`, after so many seconds."""

    seconds: float
    found: LaneFound | None = None
    problem: str = ""


# Finds passages before a moment of `time.monotonic`.
Lane = Callable[[float], LaneFound]


class RunningLanes:
    """Lanes under way, each on a thread of its own."""

    def __init__(self, lanes: Mapping[str, Lane], *, seconds: float) -> None:
        """Start all of them; each has so many seconds from now."""
        self._names = list(lanes)
        self._began = time.monotonic()
        self._deadline = self._began + seconds
        self._ended: queue.SimpleQueue[tuple[str, LaneOutcome]] = queue.SimpleQueue()
        for name, lane in lanes.items():
            # Daemons: a lane that hangs holds up neither the answer nor the end of the program.
            threading.Thread(
                target=self._run, args=(name, lane), name=f"lane-{name}", daemon=True
            ).start()

    def outcomes(self) -> dict[str, LaneOutcome]:
        """Return how each ended, in the order they were given; waits no longer than they have."""
        found: dict[str, LaneOutcome] = {}
        while len(found) < len(self._names):
            try:
                name, outcome = self._ended.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except queue.Empty:
                break
            found[name] = outcome
        taken = time.monotonic() - self._began
        late = LaneOutcome(
            seconds=taken, problem=f"late: not done after {self._deadline - self._began:g} s"
        )
        return {name: found.get(name, late) for name in self._names}

    def _run(self, name: str, lane: Lane) -> None:
        began = time.monotonic()
        found, problem = None, ""
        try:
            found = lane(self._deadline)
        except LaneLateError as error:
            problem = f"late: {error}"
        except Exception as error:  # noqa: BLE001  # whatever it was, the answer comes without it
            logger.warning("the lane %r is left out: %s: %s", name, type(error).__name__, error)
            problem = f"failed: {type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        self._ended.put((name, LaneOutcome(seconds=seconds, found=found, problem=problem)))
