"""One table: exception class → HTTP status, type and code, in the error shape of the OpenAI API.

A message of a 4xx names the value and the remedy; of a 500 nothing leaves but the request's id.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse

from api.errors import TenantUnavailableError
from dialog.bot.problems import BotFileErrors
from dialog.errors import (
    BotVersionError,
    CommandError,
    ConcurrentTurnError,
    ConversationBusyError,
    ToolsMissingError,
    UnknownBotError,
    UnknownConversationError,
)
from index.errors import (
    CollectionExistsError,
    DatabaseBusyError,
    DatabaseUnreachableError,
    EmbedderMismatchError,
    FilterError,
    StorageFullError,
    UnknownCollectionError,
    UnknownDocumentError,
    UnstorableTextError,
)
from llm.chat_template import TemplateRefusedError
from llm.errors import (
    BudgetTooSmallError,
    ConstraintConflictError,
    ConstraintError,
    ContextOverflowError,
    EngineBusyError,
    EngineFailureError,
    GrammarTooLargeError,
    HeadError,
    InvalidGrammarError,
    RefusedPairError,
    RequestTooLargeError,
    TooManyBranchesError,
    UndecidableTextError,
    UnknownModelError,
    UnknownScorerError,
    UnknownWatermarkKeyError,
    UnsupportedSchemaError,
)
from rag.errors import EmptyCollectionError, ParseError
from tools.errors import (
    AuditError,
    RunConflictError,
    UnknownRunError,
    UnknownStrategyError,
    UnknownToolError,
)

MAX_SHOWN_CHARS: Final = 80

# The official client repeats a 409 unless it is told that repeating cannot help.
_FINAL: Final = {"x-should-retry": "false"}
_SOON: Final = {"retry-after": "1"}


class RequestError(Exception):
    """A request that is answered with an error; all that the wire needs to know of it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type_: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.type = type_
        self.headers = dict(headers or {})
        super().__init__(message)

    def to_wire(self) -> dict[str, Any]:
        """Return the body: `{"error": {"message", "type", "param", "code"}}`."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }

    def to_response(self) -> JSONResponse:
        """Return the whole response."""
        return JSONResponse(self.to_wire(), status_code=self.status, headers=self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What becomes of one exception class."""

    status: int
    code: str
    type: str = "invalid_request_error"
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""  # in place of the exception's own, which names what is the operator's


TABLE: Final[Mapping[type[Exception], Row]] = {
    ContextOverflowError: Row(status=400, code="context_length_exceeded", param="messages"),
    TooManyBranchesError: Row(status=400, code="too_many_branches", param="n"),
    RequestTooLargeError: Row(status=400, code="cache_too_small", param="max_tokens"),
    BudgetTooSmallError: Row(status=400, code="budget_too_small", param="max_tokens"),
    ConstraintConflictError: Row(status=400, code="constraint_conflict"),
    ConstraintError: Row(status=400, code="invalid_grammar"),
    GrammarTooLargeError: Row(status=400, code="grammar_too_large"),
    InvalidGrammarError: Row(status=400, code="invalid_grammar"),
    FilterError: Row(status=400, code="invalid_filter", param="filter"),
    UnsupportedSchemaError: Row(status=400, code="unsupported_schema"),
    RefusedPairError: Row(status=400, code="refused_pair"),
    UnknownScorerError: Row(status=400, code="unknown_scorer", param="causerie.steer"),
    HeadError: Row(status=400, code="unusable_head", param="causerie.steer"),
    TemplateRefusedError: Row(status=400, code="messages_refused", param="messages"),
    ParseError: Row(status=400, code="unreadable_document", param="file"),
    UndecidableTextError: Row(status=400, code="cannot_tell", param="text"),
    BotFileErrors: Row(status=400, code="invalid_bot", param="name"),
    CommandError: Row(status=400, code="unknown_button", param="button"),
    EmptyCollectionError: Row(status=400, code="empty_collection"),
    ToolsMissingError: Row(status=400, code="no_tools", param="causerie.tools"),
    UnknownToolError: Row(status=400, code="unknown_tool", param="causerie.tools"),
    UnknownStrategyError: Row(status=400, code="unknown_strategy", param="causerie.tools.strategy"),
    UnknownRunError: Row(status=404, code="run_not_found"),
    UnknownModelError: Row(status=404, code="model_not_found", param="model"),
    UnknownBotError: Row(status=404, code="bot_not_found", param="model"),
    UnknownCollectionError: Row(status=404, code="collection_not_found", param="collection"),
    UnknownDocumentError: Row(status=404, code="document_not_found"),
    UnknownWatermarkKeyError: Row(status=404, code="watermark_key_not_found", param="key"),
    UnknownConversationError: Row(status=404, code="conversation_not_found"),
    CollectionExistsError: Row(
        status=409, code="collection_exists", type="conflict", param="name", headers=_FINAL
    ),
    EmbedderMismatchError: Row(
        status=409, code="embedder_mismatch", type="conflict", headers=_FINAL
    ),
    BotVersionError: Row(status=409, code="bot_version_gone", type="conflict", headers=_FINAL),
    ConcurrentTurnError: Row(status=409, code="concurrent_turn", type="conflict", headers=_FINAL),
    RunConflictError: Row(status=409, code="run_conflict", type="conflict", headers=_FINAL),
    AuditError: Row(status=503, code="database_busy", type="server_error", headers=_SOON),
    EngineFailureError: Row(status=500, code="engine_failure", type="server_error"),
    ConversationBusyError: Row(
        status=503, code="conversation_busy", type="server_error", headers=_SOON
    ),
    EngineBusyError: Row(status=503, code="engine_busy", type="server_error", headers=_SOON),
    TenantUnavailableError: Row(
        status=503, code="tenant_unavailable", type="server_error", headers=_SOON
    ),
    DatabaseBusyError: Row(status=503, code="database_busy", type="server_error", headers=_SOON),
    DatabaseUnreachableError: Row(
        status=503,
        code="database_unreachable",
        type="server_error",
        headers=_SOON,
        message="the database of this service does not answer; try again in a moment",
    ),
    StorageFullError: Row(
        status=507,
        code="storage_full",
        type="server_error",
        headers=_FINAL,
        message="a disk of this service is full and nothing of this was kept; once its operator has"
        " made room, send it again",
    ),
    UnstorableTextError: Row(status=400, code="invalid_value"),
}


def to_request_error(error: Exception) -> RequestError:
    """Return what is answered for an exception; anything that is not in the table is a 500."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, RequestValidationError):
        return _from_validation(error.errors())
    if isinstance(error, HTTPException):
        return _from_http(error)
    for kind in type(error).__mro__:
        row = TABLE.get(kind)
        if row is not None:
            return RequestError(
                row.status,
                row.message or str(error),
                param=row.param,
                code=row.code,
                type_=row.type,
                headers=row.headers,
            )
    return RequestError(
        500,
        "the server failed on this request; its log tells more under the id in x-request-id",
        code="internal_error",
        type_="server_error",
    )


def stopping() -> RequestError:
    """Return the error of a request that the end of the service interrupts."""
    return RequestError(
        503,
        "the server is stopping and did not finish the answer; try again in a moment",
        code="server_stopping",
        type_="server_error",
        headers=_SOON,
    )


@contextmanager
def caller_mistakes(param: str | None = None, *, prefix: str = "") -> Iterator[None]:
    """Turn a `ValueError` of the block, which is about what the caller sent, into a 400.

    `prefix` goes before a message that begins with a parameter's bare name.
    """
    try:
        yield
    except ValueError as error:
        raise RequestError(400, f"{prefix}{error}", param=param, code="invalid_value") from error


@contextmanager
def params_named(params: Mapping[type[Exception], str]) -> Iterator[None]:
    """Answer these exceptions of the block with the parameter that they are about in its route."""
    try:
        yield
    except tuple(params) as error:
        answer = to_request_error(error)
        answer.param = next(p for kind, p in params.items() if isinstance(error, kind))
        raise answer from error


def shown(value: object) -> str:
    """Return a value as an error may repeat it: short, on one line."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


def _from_http(error: HTTPException) -> RequestError:
    if error.status_code == 400 and (unreadable := _from_unreadable(error)) is not None:
        return unreadable
    code = {404: "unknown_route", 405: "method_not_allowed", 413: "request_too_large"}
    message = {
        404: "there is no such route; the routes are listed in docs/api.md",
        405: "this route does not take this method; the header 'allow' lists those it takes",
    }
    return RequestError(
        error.status_code,
        message.get(error.status_code, str(error.detail)),
        code=code.get(error.status_code, "invalid_request"),
        type_="invalid_request_error" if error.status_code < 500 else "server_error",
        headers=error.headers,
    )


def _from_unreadable(error: HTTPException) -> RequestError | None:
    """Return a 400 about a body that the framework could not take apart; it says why in a cause."""
    cause = error.__cause__ or error.__context__
    match cause:
        case UnicodeDecodeError():
            sentence = (
                f"the body is not UTF-8: byte {shown(cause.object[cause.start : cause.end])} at"
                f" {cause.start}; send JSON as UTF-8"
            )
        case RecursionError():
            sentence = "the body is nested too deeply; send JSON with fewer lists within lists"
        case ValueError():  # the only other one that reading JSON raises: Python's limit of digits
            sentence = (
                "the body holds an integer of more than"
                f" {sys.get_int_max_str_digits()} digits; send a shorter one"
            )
        case MultiPartException():
            return RequestError(400, _multipart_sentence(error), code="invalid_multipart")
        case _:
            return None
    return RequestError(400, sentence, code="invalid_json")


def _multipart_sentence(error: HTTPException) -> str:
    said = str(error.detail).rstrip(".")
    if said == "Missing boundary in multipart":
        return (
            "the header 'content-type' names no boundary; send 'multipart/form-data; boundary=…'"
            " with the boundary that the body uses, or let the HTTP library set it"
        )
    return (
        f"the body is not valid multipart/form-data ({said[:1].lower()}{said[1:]}); send each file"
        " as a part named 'file', between the boundaries of the header 'content-type'"
    )


def _from_validation(errors: Sequence[Mapping[str, Any]]) -> RequestError:
    """Return a 400 about the first thing that is wrong."""
    first = errors[0]
    kind, location = first["type"], first["loc"]
    if kind == "json_invalid":
        reason = first.get("ctx", {}).get("error", "syntax error")
        at = location[-1] if location and isinstance(location[-1], int) else "?"
        return RequestError(
            400,
            f"the body is not valid JSON: {reason} at character {at}",
            code="invalid_json",
        )
    param = _param(location)
    if param is None:
        message = "the body must be a JSON object, sent with 'content-type: application/json'"
    elif kind == "missing":
        message = f"{param!r} is required"
    elif kind == "extra_forbidden":
        message = f"unknown parameter {param!r}; leave it out (docs/api.md lists all of them)"
    elif kind in {"unsupported_value", "unsupported_content"}:
        message = first["msg"]
    else:
        said = first["msg"].removeprefix("Value error, ")
        message = f"{param}: {said[:1].lower()}{said[1:]}, got {shown(first.get('input'))}"
    code = {"missing": "missing_parameter", "extra_forbidden": "unknown_parameter"}
    return RequestError(400, message, param=param, code=code.get(kind, "invalid_value"))


def _param(location: Sequence[str | int]) -> str | None:
    """Return `messages[0].content` for `("body", "messages", 0, "content")`."""
    param = ""
    for part in location[1:]:
        if isinstance(part, int):
            param += f"[{part}]"
        else:
            param += f".{part}" if param else part
    return param or None
