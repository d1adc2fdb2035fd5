"""Documents of a collection: listed, read, cited passages shown, deleted.

Uploads are in `api/routes/uploads.py`.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import AdminOnly, ApplicationDep, CollectionName, DocumentId
from api.error_table import RequestError
from api.schemas import Deleted, DocumentList, DocumentModel, DocumentWithText, PassageModel

router = APIRouter()

MAX_CONTEXT_BYTES = 20_000


@router.get("/v1/collections/{name}/documents")
def list_documents(
    name: CollectionName,
    application: ApplicationDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> DocumentList:
    """Return a page of documents, those that follow the id `after`."""
    records = application.store.open(name).documents(limit + 1, after)
    return DocumentList(
        data=[DocumentModel.from_record(record) for record in records[:limit]],
        has_more=len(records) > limit,
    )


@router.get("/v1/collections/{name}/documents/{document_id}")
def get_document(
    name: CollectionName, document_id: DocumentId, application: ApplicationDep
) -> DocumentWithText:
    """Return a document with its text."""
    record, text = application.store.open(name).get(document_id)
    return DocumentWithText(**DocumentModel.from_record(record).model_dump(), text=text)


@router.get("/v1/collections/{name}/documents/{document_id}/passage")
def get_passage(
    name: CollectionName,
    document_id: DocumentId,
    application: ApplicationDep,
    start: Annotated[int, Query(ge=0)],
    end: Annotated[int, Query(ge=1)],
    context: Annotated[int, Query(ge=0, le=MAX_CONTEXT_BYTES)] = 600,
) -> PassageModel:
    """Return the bytes `start` to `end` of a document's text, and up to `context` on each side."""
    record, text = application.store.open(name).get(document_id)
    data = text.encode()
    if not start < end <= len(data):
        raise RequestError(
            400,
            f"the span {start}..{end} is not inside the document, which has {len(data)} bytes;"
            " start must be below end",
            param="start" if start >= end else "end",
            code="invalid_span",
        )
    try:
        passage = data[start:end].decode()
    except UnicodeDecodeError as error:
        raise RequestError(
            400,
            f"the span {start}..{end} cuts a character in two; use the byte offsets of a citation"
            " or a search hit as they are",
            param="start",
            code="invalid_span",
        ) from error
    return PassageModel(
        document_id=record.id,
        title=record.title,
        uri=record.uri,
        media_type=record.media_type,
        start=start,
        end=end,
        # The context is ours to choose: half characters at its far ends are left out.
        before=data[max(0, start - context) : start].decode(errors="ignore"),
        text=passage,
        after=data[end : end + context].decode(errors="ignore"),
        text_sha256=record.text_sha256,
    )


@router.delete(
    "/v1/collections/{name}/documents/{document_id}",
    dependencies=[AdminOnly],
    response_model_exclude_none=True,
)
def delete_document(
    name: CollectionName, document_id: DocumentId, application: ApplicationDep
) -> Deleted:
    """Remove a document, its passages and vectors."""
    application.store.open(name).delete(document_id)
    return Deleted(id=document_id, object="document")
