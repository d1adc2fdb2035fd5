"""What is said about a stored collection's state, and the ports that only a local store has.

Values and ports only. A remote engine may have none of these ports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from index.protocol import DocumentRecord, Hit
from index.recall import Recall


class ProblemKind(StrEnum):
    """Where something is not as it was written, and thereby what mends it."""

    DATABASE = "database"  # SQLite's own structure: restore a copy, or ingest again
    DOCUMENT = "document"  # a text or a record: ingest the document again
    VECTOR = "vector"  # a chunk or one of its vectors: ingest the document again
    LOG = "log"  # the numbering of writes: acknowledged ones are missing, or the log disagrees
    WORDS = "words"  # the keyword index: repair makes it anew
    FILE = "file"  # segments, manifests, CURRENT: repair builds them again
    RESIDUE = "residue"  # something is still there that was purged


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, as a sentence; `uri` is that of the document it is about."""

    kind: ProblemKind
    what: str
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was looked at, and what was found."""

    seq: int
    num_documents: int
    num_chunks: int
    num_files: int
    problems: tuple[Problem, ...]

    @property
    def is_clean(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStats:
    """How much a collection holds and takes; sizes in bytes.

    `since` is the first write whose state can still be asked for.
    """

    seq: int
    num_documents: int
    num_chunks: int
    num_old_chunks: int
    text_bytes: int
    token_bytes: int
    file_bytes: int
    num_segments: int
    num_unsealed: int
    num_dead: int
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRecord:
    """A chunk as it is stored: a byte span of its document; `seq` is the write that added it."""

    id: int
    document_id: str
    uri: str
    start: int
    end: int
    heading_path: tuple[str, ...]
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionHealth:
    """How a collection does today.

    `recall` is that of the canaries, None while every row is compared anyway (then it is 1) or none
    is there. `loss` says which acknowledged writes the database has lost, or is empty.
    """

    seq: int
    num_segments: int
    num_unsealed: int
    dead_share: float
    set_aside: tuple[str, ...]
    withheld: tuple[int, ...]
    loss: str
    recall: Recall | None
    wanted_recall: float
    measured_at: datetime | None

    @property
    def is_breached(self) -> bool:
        """Say whether the recall is surely below what is wanted."""
        return self.recall is not None and self.recall.high < self.wanted_recall

    @property
    def is_well(self) -> bool:
        """Say whether nothing needs anybody's attention."""
        return not (self.set_aside or self.withheld or self.loss or self.is_breached)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """What was let go; `since` is the first write whose state can still be asked for."""

    since: int
    num_documents: int
    num_chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastResult:
    """Hits as of an earlier write; `reason` says why some may be missing, where they may.

    `scanned` counts the chunks that there were.
    """

    seq: int
    hits: tuple[Hit, ...]
    reason: str = ""
    scanned: int = 0

    @property
    def is_complete(self) -> bool:
        """Say whether all that was there then could be looked at."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state of a collection that has a name."""

    name: str
    seq: int
    created_at: datetime


@runtime_checkable
class Inspectable(Protocol):
    """A collection that can be looked into."""

    def verify(self, *, absent: Sequence[str] = ()) -> Verification:
        """Compare everything with everything; `absent` are document ids that must be nowhere."""
        ...

    def scan(self, limit: int = 1000, after: int = 0) -> list[ChunkRecord]:
        """Return up to `limit` chunks in the order of their ids, from behind the id `after`."""
        ...

    def stats(self) -> CollectionStats:
        """Return how much there is."""
        ...

    def health(self, *, measure: bool = False) -> CollectionHealth:
        """Return how it does; with `measure` the canaries are asked now."""
        ...


@runtime_checkable
class Repairable(Protocol):
    """A collection whose derived parts can be made anew."""

    def repair(self) -> Verification:
        """Make anew what is derived and damaged; return what is still wrong."""
        ...

    def compact(self, *, disk_budget: int | None = None) -> str:
        """Seal and merge now; return why something was postponed, or nothing."""
        ...

    def trim(self, keep_writes: int) -> Trimmed:
        """Let go of the history before the last writes; no state that has a name is touched."""
        ...

    def purge(self, document_ids: Sequence[str]) -> Verification:
        """Remove documents for good, from every table and file; return what is left of them."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A collection that answers as it stood after an earlier write."""

    def snapshot(self, name: str) -> Snapshot:
        """Give the present state a name."""
        ...

    def search(self, query: Float[np.ndarray, " d"], k: int, *, at: int) -> PastResult:
        """Return the nearest chunks as of a write."""
        ...

    def search_terms(self, query: str, k: int, *, at: int) -> PastResult:
        """Return chunks by words as of a write."""
        ...

    def get(self, document_id: str, *, at: int) -> tuple[DocumentRecord, str]:
        """Return a document and its text as of a write."""
        ...
