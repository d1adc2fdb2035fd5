"""Request ids, one log line per request with its duration, and the form of log lines.

Lines are JSON where nobody watches and `key=value` on a terminal. Never logged at info or above:
what users write, what documents hold, keys, and paths as sent (a template stands for them).
"""

import json
import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_table import to_request_error
from dialog.reply import Reply

logger = logging.getLogger(__name__)

request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")

_ACCEPTABLE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# They log every request, or every byte, themselves.
_QUIET: Final = ("alembic", "httpx", "httpcore", "uvicorn.access", "multipart", "python_multipart")


class TelemetryMiddleware:
    """Gives every request an id, turns a crash into a 500, and logs what became of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        id_ = given if _ACCEPTABLE_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        token = request_id.set(id_)
        began = time.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = id_
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except (
            Exception
        ) as error:  # the last net: the client gets a sentence, the log the traceback
            logger.exception("request failed")
            if status == 0:
                await to_request_error(error).to_response()(scope, receive, send_with_id)
        finally:
            route = scope.get("route")
            log_fields(
                logger,
                logging.INFO,
                "request",
                method=scope["method"],
                route=getattr(route, "path", "unmatched"),
                status=status,
                duration_ms=round((time.monotonic() - began) * 1000, 1),
            )
            request_id.reset(token)


def log_fields(target: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log an event with its values, which the formatters keep apart from the words."""
    target.log(level, "%s", event, extra={"fields": fields})


def log_turn(reply: Reply, *, is_stream: bool) -> None:
    """Log what a turn cost; nothing of what was said."""
    log_fields(
        logger,
        logging.INFO,
        "turn",
        finish_reason=reply.finish_reason,
        stream=is_stream,
        abstained=reply.abstained,
        num_citations=len(reply.citations),
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
        retrieval_s=round(reply.timings.retrieval_s, 3),
        prefill_s=round(reply.timings.prefill_s, 3),
        decode_s=round(reply.timings.decode_s, 3),
        total_s=round(reply.timings.total_s, 3),
    )


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(_fields_of(record, self), ensure_ascii=False, default=str)


class KeyValueFormatter(logging.Formatter):
    """Time, level and words, then `key=value` pairs; one line, unless there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = _fields_of(record, self)
        head = f"{fields.pop('time')[11:19]} {fields.pop('level'):<7} {fields.pop('message')}"
        fields.pop("logger")
        traceback = fields.pop("traceback", None)
        pairs = "".join(f" {key}={_quoted(value)}" for key, value in fields.items())
        line = _one_line(head) + pairs
        return line if traceback is None else f"{line}\n{traceback}"


class _StandardError:
    """Whatever standard error is when a line comes: progress bars replace it and make room."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(level: str, *, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (default: standard error) in the form that suits it."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(_StandardError() if stream is None else stream)
    handler.setFormatter(KeyValueFormatter() if target.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _fields_of(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    if id_ := request_id.get():
        fields["request_id"] = id_
    fields.update(getattr(record, "fields", {}))
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _quoted(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[\w.:/{}+-]+", text) else json.dumps(text, ensure_ascii=False)
