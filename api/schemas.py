"""Wire models of collections, documents, conversations and embeddings, from and to domain values.

The chat's request is in `api/chat_request.py`, its answer in `api/chat_answer.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.error_table import shown
from api.explanation_model import ExplanationModel
from api.grounding_model import GroundingModel
from api.reply_model import CitationModel, TimingsModel
from api.request_model import RequestModel
from api.trace_model import InLaneModel
from dialog.events import SystemUttered, UserUttered
from dialog.session import ConversationInfo, StoredEvent
from index.highlight import highlights
from index.protocol import DocumentRecord, Hit
from index.stop_words import Language
from rag.explained_search import LaneName
from rag.ingest_report import FileReport

MAX_INPUTS = 2048
MAX_K = 100


class ModelInfo(BaseModel):
    """A model that requests can name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "causerie"


class ModelList(BaseModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


def _texts(value: object) -> object:
    """Turn one text into a list of one; token ids are refused with the remedy."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and not isinstance(value[0], str):
        raise PydanticCustomError(
            "unsupported_value",
            "{sentence}",
            {
                "sentence": f"input {shown(value)} is not supported: send a string or a list of"
                " strings, not token ids"
            },
        )
    return value


class EmbeddingRequest(RequestModel):
    """`POST /v1/embeddings`."""

    model: str
    input: Annotated[
        list[str],
        BeforeValidator(_texts),
        Field(min_length=1, max_length=MAX_INPUTS),
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        ),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


class Embedding(BaseModel):
    """One vector, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors in the order of the inputs."""

    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class DocumentModel(BaseModel):
    """A stored document, without its text."""

    object: Literal["document"] = "document"
    id: str
    uri: str
    title: str
    media_type: str
    num_bytes: int
    num_chunks: int
    created_at: datetime
    metadata: dict[str, str | int]

    @classmethod
    def from_record(cls, record: DocumentRecord) -> Self:
        """Return what is shown of a stored document."""
        return cls(
            id=record.id,
            uri=record.uri,
            title=record.title,
            media_type=record.media_type,
            num_bytes=record.num_bytes,
            num_chunks=record.num_chunks,
            created_at=record.created_at,
            metadata=dict(record.metadata),
        )


class DocumentWithText(DocumentModel):
    """A stored document and the text that was extracted from it."""

    text: str = ""


class DocumentList(BaseModel):
    """One page of documents; the next one begins after the last id."""

    object: Literal["list"] = "list"
    data: list[DocumentModel]
    has_more: bool


class PassageModel(BaseModel):
    """A span of a document with what stands around it; offsets are bytes of the UTF-8 text."""

    document_id: str
    title: str
    uri: str
    media_type: str
    start: int
    end: int
    before: str
    text: str
    after: str
    text_sha256: str


class UploadReport(BaseModel):
    """What became of one uploaded file."""

    name: str
    outcome: str
    reason: str
    code: str | None
    document_id: str
    num_chunks: int
    num_embedded: int
    num_reused: int

    @classmethod
    def from_report(cls, name: str, report: FileReport) -> Self:
        """Return what is shown of an ingested file."""
        return cls(
            name=name,
            outcome=report.outcome.value,
            reason=report.reason,
            code=report.code,
            document_id=report.document_id,
            num_chunks=report.num_chunks,
            num_embedded=report.num_embedded,
            num_reused=report.num_reused,
        )


class UploadList(BaseModel):
    """What became of an upload, file by file."""

    object: Literal["list"] = "list"
    data: list[UploadReport]


class SearchRequest(RequestModel):
    """`POST /v1/collections/{name}/search`."""

    query: Annotated[str, Field(min_length=1)]
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 5
    filter: dict[str, Any] | None = None
    as_of: int | str | None = None
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    lanes: Annotated[tuple[LaneName, ...], Field(min_length=1, max_length=2)] = ("dense",)
    explain: bool = False


class HitModel(BaseModel):
    """One passage found; `lanes` and `prior` where an explanation was asked for."""

    rank: int
    score: float
    collection: str
    document_id: str
    title: str
    uri: str
    start: int
    end: int
    text: str
    heading_path: list[str]
    highlights: list[tuple[int, int]]
    lanes: dict[str, InLaneModel] | None = None
    prior: float | None = None

    @classmethod
    def from_hit(cls, collection: str, hit: Hit, *, query: str, language: Language) -> Self:
        """Return what is shown of a hit; the words of the query are marked."""
        return cls(
            rank=hit.rank,
            score=hit.score,
            collection=collection,
            document_id=hit.document_id,
            title=hit.title,
            uri=hit.uri,
            start=hit.start,
            end=hit.end,
            text=hit.text,
            heading_path=list(hit.heading_path),
            highlights=[(one.start, one.end) for one in highlights(hit.text, query, language)],
        )


class HitList(BaseModel):
    """The passages nearest to a query, best first; `reason` says why some may be missing."""

    object: Literal["list"] = "list"
    data: list[HitModel]
    complete: bool
    scanned: int
    reason: str = ""
    explain: ExplanationModel | None = None


class ConversationRequest(RequestModel):
    """`POST /v1/conversations`."""

    collection: str | None = None
    title: Annotated[str, Field(max_length=200)] | None = None


class ConversationModel(BaseModel):
    """A stored conversation, without its messages."""

    object: Literal["conversation"] = "conversation"
    id: str
    title: str
    collection: str | None
    created_at: datetime
    updated_at: datetime
    num_turns: int

    @classmethod
    def from_info(cls, info: ConversationInfo) -> Self:
        """Return what is shown of a conversation."""
        return cls(
            id=info.id,
            title=info.title,
            collection=info.collection,
            created_at=info.created_at,
            updated_at=info.updated_at,
            num_turns=info.num_turns,
        )


class ConversationList(BaseModel):
    """`GET /v1/conversations`, newest first."""

    object: Literal["list"] = "list"
    data: list[ConversationModel]


class ConversationMessage(BaseModel):
    """One message as it was said, with what an answer rested on."""

    role: Literal["user", "assistant"]
    content: str
    created_at: datetime
    citations: list[CitationModel] = []
    grounding: GroundingModel | None = None
    timings: TimingsModel | None = None
    abstained: bool = False
    notes: list[str] = []
    run: str | None = None
    rating: Literal["up", "down"] | None = None


class ConversationWithMessages(ConversationModel):
    """A conversation and everything said in it."""

    messages: list[ConversationMessage] = []


def messages_of(
    log: Sequence[StoredEvent], ratings: Mapping[int, Literal["up", "down"]]
) -> list[ConversationMessage]:
    """Return what a log shows to its reader: the messages, in order, with the user's thumbs."""
    messages: list[ConversationMessage] = []
    for stored in log:
        match stored.event:
            case UserUttered() as said:
                messages.append(
                    ConversationMessage(
                        role="user", content=said.text, created_at=stored.created_at
                    )
                )
            case SystemUttered() as said:
                messages.append(
                    ConversationMessage(
                        role="assistant",
                        content=said.text,
                        created_at=stored.created_at,
                        citations=[CitationModel.from_citation(c) for c in said.citations],
                        timings=TimingsModel.from_timings(said.timings, said.usage),
                        abstained=said.abstained,
                        notes=list(said.notes),
                        run=said.run_id or None,
                        grounding=None
                        if said.grounding is None
                        else GroundingModel.from_grounding(said.grounding),
                        rating=ratings.get(stored.seq),
                    )
                )
            case _:
                pass
    return messages


class Deleted(BaseModel):
    """What was deleted: collections have a `name`, everything else an `id`."""

    id: str | None = None
    name: str | None = None
    object: Literal["collection", "document", "conversation"]
    deleted: Literal[True] = True
