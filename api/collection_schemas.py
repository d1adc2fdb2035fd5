"""Wire models of collections as a whole."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from api.background import IndexingProgress
from api.request_model import RequestModel
from index.filters import Kind
from index.inspection import Snapshot
from index.protocol import CollectionInfo, Metric
from index.stop_words import Language


class CollectionRequest(RequestModel):
    """`POST /v1/collections`."""

    name: str
    language: Language = Language.ENGLISH
    metric: Metric = Metric.COSINE
    fields: dict[str, Kind] = Field(default_factory=dict)
    token_vectors: bool = False


class IndexingModel(BaseModel):
    """How far a background indexing has come."""

    phase: str
    done: int
    total: int
    label: str


class CollectionModel(BaseModel):
    """A collection and how much it holds."""

    object: Literal["collection"] = "collection"
    name: str
    num_documents: int
    num_chunks: int
    embedding_model: str
    dim: int
    token_vectors: int
    created_at: datetime
    indexing: IndexingModel | None

    @classmethod
    def from_info(cls, info: CollectionInfo, indexing: IndexingProgress | None) -> Self:
        """Return what is shown of a stored collection."""
        return cls(
            name=info.name,
            num_documents=info.num_documents,
            num_chunks=info.num_chunks,
            embedding_model=info.embedder,
            dim=info.dim,
            token_vectors=info.token_vectors,
            created_at=info.created_at,
            indexing=None
            if indexing is None
            else IndexingModel(
                phase=indexing.phase,
                done=indexing.done,
                total=indexing.total,
                label=indexing.label,
            ),
        )


class CollectionList(BaseModel):
    """`GET /v1/collections`."""

    object: Literal["list"] = "list"
    data: list[CollectionModel]


class SnapshotRequest(RequestModel):
    """`POST /v1/collections/{name}/snapshots`."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class SnapshotModel(BaseModel):
    """A state that has a name: that after write `seq`."""

    object: Literal["snapshot"] = "snapshot"
    name: str
    seq: int
    created_at: datetime

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Return what is shown of a snapshot."""
        return cls(name=snapshot.name, seq=snapshot.seq, created_at=snapshot.created_at)


class SnapshotList(BaseModel):
    """`GET /v1/collections/{name}/snapshots`; `seq` is the number of the last write."""

    object: Literal["list"] = "list"
    data: list[SnapshotModel]
    seq: int


class Imported(BaseModel):
    """`POST /v1/collections/{name}/import`."""

    object: Literal["import"] = "import"
    name: str
    num_documents: int
    num_chunks: int


class TuningStored(BaseModel):
    """`POST /v1/collections/{name}/tuning`."""

    object: Literal["tuning"] = "tuning"
    name: str
    choice: str
