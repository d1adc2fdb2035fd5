"""Wire models of what keeps a collection well: health, verification, compaction, purging."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.request_model import RequestModel
from index.inspection import (
    ChunkRecord,
    CollectionHealth,
    CollectionStats,
    ProblemKind,
    Verification,
)
from index.maintenance import Maintenance
from index.progress import OnProgress, unheard


class VerifyRequest(RequestModel):
    """`POST /v1/collections/{name}/verify`: documents that must be nowhere any more, by id."""

    absent: list[str] = Field(default_factory=list, max_length=1000)


class CompactRequest(RequestModel):
    """`POST /v1/collections/{name}/compact`.

    The most bytes that new files may take, and of how many writes the states are kept.
    """

    disk_budget: int | None = Field(default=None, ge=0)
    keep_writes: int | None = Field(default=None, ge=1)


class PurgeRequest(RequestModel):
    """`POST /v1/collections/{name}/purge`."""

    document_ids: list[str] = Field(min_length=1, max_length=1000)


class ProblemModel(BaseModel):
    """One thing that is wrong; `kind` tells what mends it."""

    kind: ProblemKind
    what: str
    uri: str


class VerificationModel(BaseModel):
    """What was looked at and what is wrong."""

    object: Literal["verification"] = "verification"
    name: str
    is_clean: bool
    seq: int
    num_documents: int
    num_chunks: int
    num_files: int
    problems: list[ProblemModel]

    @classmethod
    def of(cls, name: str, found: Verification) -> Self:
        """Return what is shown of a verification."""
        return cls(
            name=name,
            is_clean=found.is_clean,
            seq=found.seq,
            num_documents=found.num_documents,
            num_chunks=found.num_chunks,
            num_files=found.num_files,
            problems=[
                ProblemModel(kind=one.kind, what=one.what, uri=one.uri) for one in found.problems
            ],
        )


class ChunkModel(BaseModel):
    """A stored chunk: a byte span of a document; `seq` is the write that added it."""

    id: int
    document_id: str
    uri: str
    start: int
    end: int
    heading_path: list[str]
    seq: int


class ChunkList(BaseModel):
    """`GET /v1/collections/{name}/chunks`, by id."""

    object: Literal["list"] = "list"
    data: list[ChunkModel]
    has_more: bool

    @classmethod
    def of(cls, found: Sequence[ChunkRecord], limit: int) -> Self:
        """Return a page of at most `limit`, where one more was looked for."""
        data = [
            ChunkModel(**{**asdict(one), "heading_path": list(one.heading_path)})
            for one in found[:limit]
        ]
        return cls(data=data, has_more=len(found) > limit)


class TrimmedModel(BaseModel):
    """What was let go of a history; `since` is the first write whose state can be asked for."""

    since: int
    num_documents: int
    num_chunks: int


class CompactionModel(BaseModel):
    """`postponed` says what was left for later and why; empty: nothing.

    `retuned` says why another index was chosen, and which; empty: none. `trimmed` is what was let
    go of the history, where that was asked.
    """

    object: Literal["compaction"] = "compaction"
    name: str
    postponed: str
    retuned: str = ""
    trimmed: TrimmedModel | None = None

    @classmethod
    def done(
        cls,
        name: str,
        upkeep: Maintenance,
        wanted: CompactRequest,
        on_progress: OnProgress = unheard,
    ) -> Self:
        """Compact a collection as is wanted, and return what came of it."""
        postponed = upkeep.compact(disk_budget=wanted.disk_budget, on_progress=on_progress)
        retuned = upkeep.retune()
        trimmed = None if wanted.keep_writes is None else upkeep.trim(wanted.keep_writes)
        return cls(
            name=name,
            postponed=postponed,
            retuned=retuned,
            trimmed=None if trimmed is None else TrimmedModel(**asdict(trimmed)),
        )


class RecallModel(BaseModel):
    """The recall of the canaries with its bounds."""

    value: float
    low: float
    high: float
    num_queries: int
    k: int


class StatsModel(BaseModel):
    """How much a collection holds; sizes in bytes."""

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


class HealthModel(BaseModel):
    """How a collection does today, and how much it holds."""

    object: Literal["health"] = "health"
    name: str
    is_well: bool
    seq: int
    num_segments: int
    num_unsealed: int
    dead_share: float
    set_aside: list[str]
    withheld: list[int]
    loss: str
    recall: RecallModel | None
    wanted_recall: float
    is_breached: bool
    measured_at: datetime | None
    stats: StatsModel

    @classmethod
    def of(cls, name: str, health: CollectionHealth, stats: CollectionStats) -> Self:
        """Return what is shown of a collection's health."""
        return cls(
            name=name,
            is_well=health.is_well,
            seq=health.seq,
            num_segments=health.num_segments,
            num_unsealed=health.num_unsealed,
            dead_share=health.dead_share,
            set_aside=list(health.set_aside),
            withheld=list(health.withheld),
            loss=health.loss,
            recall=None if health.recall is None else RecallModel(**asdict(health.recall)),
            wanted_recall=health.wanted_recall,
            is_breached=health.is_breached,
            measured_at=health.measured_at,
            stats=StatsModel(**asdict(stats)),
        )
