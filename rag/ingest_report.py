"""What an ingest says: what became of each source, and how far a run is. Values only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from rag.errors import FailureCode

Phase = Literal["read", "embed", "store"]


class Outcome(StrEnum):
    """What became of one source."""

    ADDED = "added"
    UPDATED = "updated"
    RENAMED = "renamed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one source; `reason` is a sentence for SKIPPED and FAILED, `code` its kind.

    A document that was stored with a part missing (a page that cannot be read) says so there too.
    `was` is the uri that a renamed one had. Of the chunks, `num_embedded` went through the embedder
    in this run and `num_reused` kept or took over vectors that were stored. `near_duplicate_of` is
    the uri of an earlier source of the run with nearly the same text, or, where `is_same_text`,
    exactly the same; both are stored.
    """

    uri: str
    outcome: Outcome
    reason: str = ""
    code: FailureCode | None = None
    document_id: str = ""
    num_chunks: int = 0
    num_bytes: int = 0
    was: str = ""
    num_embedded: int = 0
    num_reused: int = 0
    near_duplicate_of: str = ""
    is_same_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: sources read, chunks embedded, sources done with, each of `total`.

    The total of `embed` grows while sources are still being read.
    """

    phase: Phase
    done: int
    total: int
    uri: str


def summary(reports: Sequence[FileReport]) -> str:
    """Return the counts of a run in words."""
    counts = Counter(report.outcome for report in reports)
    words = ", ".join(f"{counts[o]} {o.value}" for o in Outcome if counts[o]) or "no file found"
    embedded = sum(report.num_embedded for report in reports)
    reused = sum(report.num_reused for report in reports)
    if embedded or reused:
        words += f"; chunks: {embedded} embedded, {reused} reused"
    return words
