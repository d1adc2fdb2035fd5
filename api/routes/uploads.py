"""Files sent to a collection: read, ingested in a thread, reported one by one.

With `accept: text/event-stream` the progress comes as events. Whoever disconnects stops the ingest
at the next batch; what was stored by then stays.
"""

import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from api.application import Application
from api.dependencies import ApplicationDep, CollectionName
from api.error_table import RequestError, shown, stopping, to_request_error
from api.schemas import UploadList, UploadReport
from api.streaming import DONE, PING, PING_S, Bridge, EventStream, stopped_when_gone, to_event
from rag.errors import FailureCode
from rag.ingest_report import FileReport, Outcome, Progress
from rag.source_files import upload_uri

logger = logging.getLogger(__name__)

router = APIRouter()

MAX_FILES: Final = 1000
MAX_NAME_CHARS: Final = 512

_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}

UploadBridge = Bridge[dict[str, Any] | UploadReport]


@router.post("/v1/collections/{name}/documents", response_model=UploadList, openapi_extra=_BODY)
async def upload_documents(
    name: CollectionName, request: Request, application: ApplicationDep
) -> Response:
    """Ingest the files of the field `file` into an existing collection."""
    await run_in_threadpool(application.store.info, name)
    _require_multipart(request)
    form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES)
    try:
        files = _files_of(form)
    except RequestError:
        await form.close()
        raise
    bridge: UploadBridge = Bridge(_ingesting(application, name, files), name="upload")
    if "text/event-stream" in request.headers.get("accept", ""):
        return EventStream(_events(bridge), on_close=bridge.cancel.set)
    return await _collected(bridge, request)


def safe_name(name: str) -> str:
    """Return an upload's name as a relative path whose every part is a plain file name.

    Raises:
        RequestError: 400, the name is empty, too long, absolute or leads out of its folder.
    """
    try:
        if len(name) <= MAX_NAME_CHARS:
            return "/".join(upload_uri(part) for part in name.split("/"))
        problem = f"it has {len(name)} characters, at most {MAX_NAME_CHARS} are allowed"
    except ValueError as error:
        problem = str(error)
    raise RequestError(
        400,
        f"the file name {shown(name)} cannot be used ({problem}); send a relative one without '..'"
        " or empty parts",
        param="file",
        code="invalid_file_name",
    )


def _require_multipart(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise RequestError(
            400,
            f"the body is {shown(content_type)}; send files as multipart/form-data, field 'file'",
            param="file",
            code="invalid_value",
        )


def _files_of(form: FormData) -> list[tuple[str, UploadFile]]:
    for field in form:
        if field != "file":
            raise RequestError(
                400,
                f"unknown form field {shown(field)}; send files in the field 'file'",
                param=field,
                code="unknown_parameter",
            )
    values = form.getlist("file")
    if not values:
        raise RequestError(
            400,
            "no file was sent; send at least one in the field 'file'",
            param="file",
            code="missing_parameter",
        )
    files = []
    for value in values:
        if not isinstance(value, UploadFile):
            raise RequestError(
                400,
                "the field 'file' holds text; send it as a file, with a file name",
                param="file",
                code="invalid_value",
            )
        files.append((safe_name(value.filename or ""), value))
    return files


def _ingesting(
    application: Application,
    collection: str,
    files: Sequence[tuple[str, UploadFile]],
) -> Callable[[Callable[[dict[str, Any] | UploadReport], None], threading.Event], None]:
    """Return the producer: progress as dicts, one report per file."""

    def produce(
        emit: Callable[[dict[str, Any] | UploadReport], None], cancel: threading.Event
    ) -> None:
        names: set[str] = set()
        try:
            with application.foreground.tracked(cancel):
                for name, upload in files:
                    if cancel.is_set():
                        return
                    if name in names:
                        emit(UploadReport.from_report(name, _same_name(name)))
                        continue
                    names.add(name)
                    # One at a time: the others wait on disk, not in memory.
                    data = upload.file.read()
                    upload.file.close()

                    def note(step: Progress, name: str = name) -> None:
                        emit(
                            {
                                "name": name,
                                "phase": step.phase,
                                "done": step.done,
                                "total": step.total,
                            }
                        )

                    report = _ingest(application, collection, name, data, note, cancel)
                    emit(UploadReport.from_report(name, report))
        finally:
            for _, upload in files:
                with suppress(OSError):
                    upload.file.close()

    return produce


def _same_name(name: str) -> FileReport:
    # As two files of one name in a local run: the second must not replace the first unnoticed.
    reason = "another file of this upload has this name; send it under another, or in its folder"
    code = FailureCode.SAME_URI
    return FileReport(uri=name, outcome=Outcome.FAILED, reason=reason, code=code)


def _ingest(  # one call, two ways
    application: Application,
    collection: str,
    name: str,
    data: bytes,
    note: Callable[[Progress], None],
    cancel: threading.Event,
) -> FileReport:
    def pause() -> None:
        application.foreground.wait_idle(cancel)

    ingestor = application.ingestor
    if "/" not in name:
        return ingestor.ingest_bytes(
            name, data, collection, on_progress=note, pause=pause, cancel=cancel
        )
    # A file of a folder keeps its place in it, as if the folder had been ingested from disk.
    with TemporaryDirectory(prefix="causerie-upload-") as root:
        path = Path(root, name)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        (report,) = ingestor.ingest_paths(
            [Path(root, name.partition("/")[0])],
            collection,
            on_progress=note,
            pause=pause,
            cancel=cancel,
        )
        return report


async def _events(bridge: UploadBridge) -> AsyncGenerator[str]:
    reports: list[UploadReport] = []
    try:
        while True:
            try:
                item = await bridge.next(PING_S)
            except TimeoutError:
                yield PING
                continue
            if item is None:
                break
            if isinstance(item, UploadReport):
                reports.append(item)
            else:
                yield to_event(item)
    except Exception as error:  # the status is sent: the error has to go into the stream
        answer = to_request_error(error)
        if answer.status >= 500:
            logger.exception("a streamed upload failed")
        yield to_event(answer.to_wire())
        return
    if bridge.cancel.is_set():
        yield to_event(stopping().to_wire())
        return
    yield to_event(UploadList(data=reports).model_dump(mode="json"))
    yield DONE


async def _collected(bridge: UploadBridge, request: Request) -> Response:
    reports: list[UploadReport] = []
    async with stopped_when_gone(bridge, request.receive):
        while (item := await bridge.next()) is not None:
            if isinstance(item, UploadReport):
                reports.append(item)
        if bridge.cancel.is_set():
            raise stopping()
    return JSONResponse(UploadList(data=reports).model_dump(mode="json"))
