"""The terminal's way to a running server: its own HTTP routes.

Satisfies `api.desk.Desk`. Knows paths and wire shapes, not how anything is shown.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from api.application import TurnPart
from api.desk import CitedPassage
from api.errors import ServerError
from dialog.reply import Reply, Timings
from llm.chat import TextDelta, Usage
from rag.citations import Citation
from rag.ingest import FileReport, Outcome, Progress
from rag.source_files import SourceFile, source_files

# The server pings every 15 s while it works, so a longer silence is a fault.
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_SSE: Final = {"accept": "text/event-stream"}


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
        self, question: str, *, conversation_id: str, cancel: threading.Event
    ) -> Iterator[TurnPart]:
        """Yield the answer's text, then one `Reply`; ends early, without one, on `cancel`."""
        if self._model is None:
            self._model = str(self._json("GET", "/v1/models")["data"][0]["id"])
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "causerie": {"conversation": conversation_id},
        }
        text = ""
        finish: Mapping[str, Any] | None = None
        for chunk in self._events("POST", "/v1/chat/completions", json=body):
            if cancel.is_set():
                return
            if chunk["choices"]:
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
        paths: Sequence[Path],
        collection: str,
        *,
        on_progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> list[FileReport]:
        """Send files and folders, one file at a time; the collection is made when missing."""
        self._ensure_collection(collection)
        reports = []
        for file in source_files(paths):
            if cancel.is_set():
                break
            reports.append(self._upload(file, collection, on_progress))
        return reports

    def _ensure_collection(self, name: str) -> None:
        try:
            self._json("GET", f"/v1/collections/{quote(name, safe='')}")
        except ServerError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            self._json("POST", "/v1/collections", json={"name": name})

    def _upload(
        self, file: SourceFile, collection: str, on_progress: Callable[[Progress], None]
    ) -> FileReport:
        failed = Outcome.FAILED if file.is_named else Outcome.SKIPPED
        if file.skipped:
            return FileReport(uri=file.uri, outcome=failed, reason=file.skipped)
        path = f"/v1/collections/{quote(collection, safe='')}/documents"
        try:
            with file.path.open("rb") as stream:
                for event in self._events("POST", path, files={"file": (file.uri, stream)}):
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
        except OSError as error:
            reason = f"it cannot be read: {error.strerror or error}"
            return FileReport(uri=file.uri, outcome=failed, reason=reason)
        except ServerError as error:
            if error.status not in {httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE}:
                raise
            return FileReport(uri=file.uri, outcome=Outcome.FAILED, reason=str(error))
        raise ServerError(f"the server did not say what became of {file.uri}; see its log")

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
                    raise ServerError(str(event["error"]["message"]), status=500)
                yield event
        raise ServerError("the server closed the connection before it had finished; see its log")

    @contextmanager
    def _faults_as_sentences(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise ServerError(
                f"the server at {self._address} cannot be asked"
                f" ({str(error) or type(error).__name__}); see whether it still runs"
            ) from error
        except json.JSONDecodeError as error:
            raise ServerError(
                f"what answers at {self._address} does not speak our protocol; stop it, or choose"
                " another state folder with CAUSERIE_STATE"
            ) from error


def _require_success(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answered with status {response.status_code} and no explanation"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        message += " (the commands take the key from CAUSERIE_CLIENT_KEY)"
    raise ServerError(message, status=response.status_code)


def _to_reply(text: str, finish: Mapping[str, Any], usage: Mapping[str, int]) -> Reply:
    extension = finish["causerie"]
    timings = {name: value for name, value in extension["timings"].items() if name.endswith("_s")}
    timings.pop("tokens_per_s")
    return Reply(
        text=text,
        citations=tuple(Citation(**citation) for citation in extension["citations"]),
        finish_reason=finish["choices"][0]["finish_reason"],
        usage=Usage(
            prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"]
        ),
        timings=Timings(**timings),
        seed=extension["seed"],
        abstained=extension["abstained"],
        dropped_turns=extension["dropped_turns"],
        notes=tuple(extension["notes"]),
        conversation_id=extension["conversation"],
    )


def _to_report(data: Mapping[str, Any]) -> FileReport:
    return FileReport(
        uri=data["name"],
        outcome=Outcome(data["outcome"]),
        reason=data["reason"],
        document_id=data["document_id"],
        num_chunks=data["num_chunks"],
    )
