"""The terminal's way to a running server: its own HTTP routes.

Satisfies `api.desk.Desk`. Knows paths and wire shapes, not how anything is shown.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import h11
import httpx

from api.acting_model import acting_body, card_from_wire, decisions_body, report_from_wire
from api.application import TurnPart
from api.desk import CitedPassage
from api.errors import ServerError
from dialog.reply import ActingRequest, Reply, Timings
from llm.chat import TextDelta, Usage
from rag.citations import Citation
from rag.errors import FailureCode, ParseError
from rag.ingest_report import FileReport, Outcome, Progress
from rag.parsing import read_file
from rag.sniffing import sniff
from rag.source_files import SourceFile

# The server pings every 15 s while it works, so a longer silence is a fault.
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_SSE: Final = {"accept": "text/event-stream"}

_MAX_RETRIES: Final = 4
_MAX_RETRY_WAIT_S: Final = 10.0
_MAX_UNANSWERED: Final = 3  # files in a row; after these the rest is not sent
_BUSY_CODES: Final = {"engine_busy", "database_busy"}
_SAME_NAME: Final = "another source of this run has this uri; give the folder that holds both"
_NOT_CARRIED: Final = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff"\\]')


class RemoteDesk:
    """The port, served by a running server."""

    def __init__(
        self, address: str, *, api_key: str | None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._address = address
        self._http = httpx.Client(
            base_url=address,
            headers={} if api_key is None else {"authorization": f"Bearer {api_key}"},
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=False,  # a proxy has no business between us and our own machine
        )
        self._model: str | None = None

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def open_conversation(self, *, collection: str | None, conversation_id: str | None) -> str:
        """Return the id of a new conversation, or of the stored one after finding it."""
        if conversation_id is not None:
            found = self._json("GET", f"/v1/conversations/{quote(conversation_id, safe='')}")
        else:
            found = self._json("POST", "/v1/conversations", json={"collection": collection})
        return str(found["id"])

    def ask(
        self,
        question: str,
        *,
        conversation_id: str,
        cancel: threading.Event,
        acting: ActingRequest | None = None,
    ) -> Iterator[TurnPart]:
        """Yield the answer's text, then one `Reply`; ends early, without one, on `cancel`."""
        if acting is not None and acting.run_id:
            path = f"/v1/tool_runs/{quote(acting.run_id, safe='')}/decisions"
            yield from self._turn(path, decisions_body(acting), cancel)
            return
        if self._model is None:
            self._model = str(self._json("GET", "/v1/models")["data"][0]["id"])
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "causerie": {"conversation": conversation_id},
        }
        if acting is not None:
            body["causerie"] = {"conversation": conversation_id, "tools": acting_body(acting)}
        yield from self._turn("/v1/chat/completions", body, cancel)

    def _turn(
        self, path: str, body: Mapping[str, Any], cancel: threading.Event
    ) -> Iterator[TurnPart]:
        text = ""
        finish: Mapping[str, Any] | None = None
        for chunk in self._events("POST", path, json=body):
            if cancel.is_set():
                return
            if (card := chunk.get("causerie", {}).get("tool")) is not None:
                yield card_from_wire(card)
            elif chunk["choices"]:
                choice = chunk["choices"][0]
                if piece := choice["delta"].get("content"):
                    text += piece
                    yield TextDelta(text=piece)
                if choice["finish_reason"] is not None:
                    finish = chunk
            elif finish is not None:
                yield _to_reply(text, finish, chunk["usage"])

    def passage(self, citation: Citation, *, context: int) -> CitedPassage:
        """Return what a citation points at, with up to `context` bytes on each side."""
        found = self._json(
            "GET",
            f"/v1/collections/{quote(citation.collection, safe='')}/documents/"
            f"{quote(citation.document_id, safe='')}/passage",
            params={"start": citation.start, "end": citation.end, "context": context},
        )
        return CitedPassage(before=found["before"], text=found["text"], after=found["after"])

    def ingest(
        self,
        files: Iterable[SourceFile],
        collection: str,
        *,
        on_progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> Iterator[FileReport]:
        """Send files one at a time, and yield the report of each; nothing once cancelled.

        The collection is made when missing.
        """
        self._ensure_collection(collection)
        names: set[str] = set()
        num_unanswered = 0
        for file in files:
            if cancel.is_set():
                break
            found = _read(file, names)
            if isinstance(found, _Upload) and num_unanswered == _MAX_UNANSWERED:
                found = _failed(
                    file, "it was not sent: the server no longer answers; start it anew"
                )
            elif isinstance(found, _Upload):
                try:
                    found = self._uploaded(found, collection, on_progress, cancel)
                    num_unanswered = 0
                except ServerError as error:  # one file's failure must not cost the reports so far
                    num_unanswered = 0 if error.status else num_unanswered + 1
                    found = _failed(file, str(error))
            yield found

    def delete_document(self, collection: str, document_id: str) -> None:
        """Remove a document; raises `ServerError`."""
        path = f"/v1/collections/{quote(collection, safe='')}/documents/"
        self._json("DELETE", path + quote(document_id, safe=""))

    def engine_state(self) -> Mapping[str, Any]:
        """Return what the server's engine tells of itself, as it is on the wire."""
        return self._json("GET", "/v1/engine/state")

    def call(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        """Send one request of the HTTP API and return its JSON; raises `ServerError`."""
        return self._json(method, path, **options)

    def _ensure_collection(self, name: str) -> None:
        try:
            self._json("GET", f"/v1/collections/{quote(name, safe='')}")
        except ServerError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            self._json("POST", "/v1/collections", json={"name": name})

    def _uploaded(
        self,
        upload: "_Upload",
        collection: str,
        on_progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> FileReport:
        """Send one file, again and again while the server is busy but says when to come again."""
        for _ in range(_MAX_RETRIES):
            try:
                return self._upload(upload, collection, on_progress)
            except ServerError as error:
                if error.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                if cancel.wait(min(error.retry_after_s, _MAX_RETRY_WAIT_S)):
                    raise
        return self._upload(upload, collection, on_progress)

    def _upload(
        self, upload: "_Upload", collection: str, on_progress: Callable[[Progress], None]
    ) -> FileReport:
        path = f"/v1/collections/{quote(collection, safe='')}/documents"
        for event in self._events("POST", path, files={"file": (upload.name, upload.data)}):
            if "data" in event:
                return _to_report(event["data"][0])
            on_progress(
                Progress(
                    phase=event["phase"],
                    done=event["done"],
                    total=event["total"],
                    uri=event["name"],
                )
            )
        raise ServerError(f"the server did not say what became of {upload.name}; see its log")

    def _json(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        with self._faults_as_sentences():
            response = self._http.request(method, path, **options)
            _require_success(response)
            found: Mapping[str, Any] = response.json()
            return found

    def _events(self, method: str, path: str, **options: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the JSON events of a stream up to `[DONE]`."""
        with (
            self._faults_as_sentences(),
            self._http.stream(method, path, headers=_SSE, **options) as response,
        ):
            if response.is_error:
                response.read()
            _require_success(response)
            for line in response.iter_lines():
                if not line.startswith("data: "):
                    continue
                data = line.removeprefix("data: ")
                if data == "[DONE]":
                    return
                event: Mapping[str, Any] = json.loads(data)
                if "error" in event:
                    is_busy = event["error"]["code"] in _BUSY_CODES
                    status = 503 if is_busy else 500  # its own status went out before the stream
                    raise ServerError(str(event["error"]["message"]), status=status)
                yield event
        raise ServerError("the server closed the connection before it had finished; see its log")

    @contextmanager
    def _faults_as_sentences(self) -> Iterator[None]:
        try:
            yield
        except (httpx.RequestError, h11.ProtocolError) as error:
            raise ServerError(
                f"the server at {self._address} cannot be asked"
                f" ({str(error) or type(error).__name__}); see whether it still runs"
            ) from error
        except json.JSONDecodeError as error:
            raise ServerError(
                f"what answers at {self._address} does not speak our protocol; stop it, or choose"
                " another state folder with CAUSERIE_STATE"
            ) from error


class _Upload(NamedTuple):
    name: str
    data: bytes


def upload_name(file: SourceFile) -> str:
    r"""Return the name under which a file is sent: its uri, with what HTTP cannot carry as `%E9`.

    Not carried are bytes that are no UTF-8, control characters, `"`, `\`, a drive's colon, and
    white space at either end of a part.
    """
    # Not the uri itself: where a name holds such bytes, the uri spells them in another way.
    parts = file.path.parts[-1 - file.uri.count("/") :]
    return "/".join(map(_spelled, parts))


def _spelled(part: str) -> str:
    num_before = len(part) - len(part.lstrip())
    num_within = len(part.rstrip())
    return "".join(
        char
        if num_before <= i < num_within
        and not _NOT_CARRIED.match(char)
        and not (i == 1 and char == ":" and part[0].isascii() and part[0].isalpha())
        else quote(os.fsencode(char), safe="")
        for i, char in enumerate(part)
    )


def _read(file: SourceFile, names: set[str]) -> _Upload | FileReport:
    """Return what to send, or the report of a file that is not sent, as a local run has it."""
    met = Outcome.FAILED if file.is_named else Outcome.SKIPPED
    if file.skipped:
        return FileReport(uri=file.uri, outcome=met, reason=file.skipped, code=file.code)
    name = upload_name(file)
    if name in names:
        return _failed(file, _SAME_NAME, FailureCode.SAME_URI)
    names.add(name)
    try:
        data = read_file(file.path)
    except ParseError as error:
        return _failed(file, error.reason, error.code)
    if not file.is_named and not file.path.suffix:
        try:
            sniff(data, file.uri)
        except ParseError as error:  # nobody said that it was a document
            return FileReport(uri=file.uri, outcome=met, reason=error.reason, code=error.code)
    return _Upload(name, data)


def _failed(
    file: SourceFile, reason: str, code: FailureCode = FailureCode.NOT_STORED
) -> FileReport:
    return FileReport(uri=file.uri, outcome=Outcome.FAILED, reason=reason, code=code)


def _require_success(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answered with status {response.status_code} and no explanation"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        message += " (the commands take the key from CAUSERIE_CLIENT_KEY)"
    said = response.headers.get("retry-after", "")
    raise ServerError(
        message,
        status=response.status_code,
        retry_after_s=float(said) if said.isascii() and said.isdecimal() else 1.0,
    )


def _to_reply(text: str, finish: Mapping[str, Any], usage: Mapping[str, Any]) -> Reply:
    extension = finish["causerie"]
    timings = {name: value for name, value in extension["timings"].items() if name.endswith("_s")}
    timings.pop("tokens_per_s")
    return Reply(
        text=text,
        citations=tuple(Citation(**citation) for citation in extension["citations"]),
        finish_reason=extension["finish_reason"],
        usage=Usage(
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
        ),
        timings=Timings(**timings),
        seed=extension["seed"],
        abstained=extension["abstained"],
        dropped_turns=extension["dropped_turns"],
        left_window=extension["left_window"],
        notes=tuple(extension["notes"]),
        conversation_id=extension["conversation"],
        acting=report_from_wire(extension["tools"]) if "tools" in extension else None,
    )


def _to_report(data: Mapping[str, Any]) -> FileReport:
    return FileReport(
        uri=data["name"],
        outcome=Outcome(data["outcome"]),
        reason=data["reason"],
        code=FailureCode(data["code"]) if data.get("code") else None,
        document_id=data["document_id"],
        num_chunks=data["num_chunks"],
        num_embedded=data.get("num_embedded", 0),
        num_reused=data.get("num_reused", 0),
    )
