"""Collections with their vectors, out and in, as lines of JSON; and what a tuner chose for one."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.application import Application
from api.collection_schemas import Imported, TuningStored
from api.dependencies import AdminOnly, ApplicationDep, CollectionName
from api.error_table import RequestError, caller_mistakes
from index.errors import PortableFormatError
from index.importing import Importer
from index.portable import PortableHeader, document_from_json, document_to_json
from index.tuning import Tuning

router = APIRouter()

MEDIA_TYPE: Final = "application/x-ndjson"

_BODY: Final = {
    "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


@router.get("/v1/collections/{name}/export")
def export_collection(name: CollectionName, application: ApplicationDep) -> StreamingResponse:
    """Stream a collection: a line of JSON for it, then one for each document."""
    lines = _lines(application, name)
    first = next(lines)  # an unknown name is answered before the stream begins

    def all_lines() -> Iterator[str]:
        yield first
        yield from lines

    return StreamingResponse(all_lines(), media_type=MEDIA_TYPE)


@router.post("/v1/collections/{name}/import", openapi_extra=_BODY)
async def import_documents(
    name: CollectionName, request: Request, application: ApplicationDep
) -> Imported:
    """Store exported documents in one transaction; the collection is made when missing."""
    body = await request.body()
    try:
        lines = body.decode().split("\n")
    except UnicodeDecodeError as error:
        raise RequestError(
            400, "the body is not UTF-8; send lines of JSON", code="invalid_value"
        ) from error
    return await run_in_threadpool(_stored, application, name, lines)


@router.post("/v1/collections/{name}/tuning", dependencies=[AdminOnly])
def store_tuning(
    name: CollectionName, body: Annotated[dict[str, Any], Body()], application: ApplicationDep
) -> TuningStored:
    """Keep a tuner's record as the collection's latest."""
    with caller_mistakes():
        tuning = Tuning.from_json(json.dumps(body))
    application.store.tunings.save(name, tuning)
    return TuningStored(name=name, choice=str(tuning.choice))


def _lines(application: Application, name: str) -> Iterator[str]:
    with application.store.exported(name) as (header, documents):
        yield header.to_json() + "\n"
        for document in documents:
            yield document_to_json(document) + "\n"


def _stored(application: Application, name: str, lines: list[str]) -> Imported:
    try:
        header = PortableHeader.from_json(lines[0])
        documents = [
            document_from_json(line, dim=header.dim, number=number)
            for number, line in enumerate(lines[1:], start=2)
            if line
        ]
    except PortableFormatError as error:
        raise RequestError(400, str(error), code="invalid_export") from error
    with caller_mistakes():
        num_chunks = Importer(application.store, header, name).add(documents)
    return Imported(name=name, num_documents=len(documents), num_chunks=num_chunks)
