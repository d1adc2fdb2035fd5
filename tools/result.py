"""What comes back from a call: data for the model, whatever happened."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Any

MAX_RESULT_DEPTH = 32
_BYTES_OF_A_NUMBER = 8  # at least, with its comma


class Remedy(StrEnum):
    """What can be done about a call that failed."""

    NONE = "none"  # it did not fail
    MODEL_MAY_RETRY = "model_may_retry"  # with other arguments, or another tool
    MODEL_MAY_NOT_RETRY = "model_may_not_retry"
    ASK_USER = "ask_user"  # the same call may pass once the user agrees
    OUR_BUG = "our_bug"


class ResultKind(StrEnum):
    """How a call ended."""

    OK = "ok"
    INVALID = "invalid"
    UNKNOWN_TOOL = "unknown_tool"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    NEEDS_CONFIRMATION = "needs_confirmation"
    DENIED = "denied"
    REPEATED = "repeated"  # the same call was made before, as often as it may be
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUG = "bug"

    @property
    def remedy(self) -> Remedy:
        """What can be done about it."""
        return _REMEDIES.get(self, Remedy.MODEL_MAY_NOT_RETRY)


_REMEDIES = {
    ResultKind.OK: Remedy.NONE,
    ResultKind.INVALID: Remedy.MODEL_MAY_RETRY,
    ResultKind.UNKNOWN_TOOL: Remedy.MODEL_MAY_RETRY,
    ResultKind.NOT_FOUND: Remedy.MODEL_MAY_RETRY,
    ResultKind.CONFLICT: Remedy.MODEL_MAY_RETRY,
    ResultKind.TOO_LARGE: Remedy.MODEL_MAY_RETRY,
    ResultKind.NEEDS_CONFIRMATION: Remedy.ASK_USER,
    ResultKind.BUG: Remedy.OUR_BUG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """What the user must agree to: exactly these arguments, of which `digest` is the proof.

    `reasons` says in words where arguments come from that are not the user's.
    """

    tool: str
    arguments: str
    digest: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The answer to one call; `content` is text or JSON, and always data, never an instruction.

    `is_in_doubt`: a deed was begun and nobody knows whether it was done. `is_replayed`: it was done
    before, and this is what was then recorded.
    """

    call_id: str
    content: str
    is_error: bool = False
    kind: ResultKind = ResultKind.OK
    seconds: float = 0.0
    is_in_doubt: bool = False
    is_replayed: bool = False
    confirmation: ConfirmationRequest | None = None

    def __post_init__(self) -> None:
        if self.is_error == (self.kind is ResultKind.OK):
            raise ValueError(f"a result is an error unless its kind is ok, got {self.kind}")


class ResultTooLargeError(ValueError):
    """A result has more bytes than its tool may return."""


class UnserialisableResultError(ValueError):
    """A tool returned what JSON cannot hold; the message names where and what."""


def result_text(value: object, *, max_bytes: int) -> str:
    """Return what a tool returned as text: a `str` as it is, all else as JSON.

    The size is found before anything is written, so that a huge value costs no second one.

    Raises:
        ResultTooLargeError: more than `max_bytes` as UTF-8.
        UnserialisableResultError: no JSON value, or one nested deeper than `MAX_RESULT_DEPTH`.
    """
    if isinstance(value, str):
        if len(value) > max_bytes:
            raise ResultTooLargeError(f"the result has more than {max_bytes} bytes")
        text = value
    else:
        plain = _Plainer(max_bytes).plain(value, "the result", 0)
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text.encode()) > max_bytes:
        raise ResultTooLargeError(f"the result has more than {max_bytes} bytes")
    return text


class _Plainer:
    """Turns a value into JSON's own types while it counts; stops when it is too much."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes

    def plain(self, value: Any, where: str, depth: int) -> Any:
        if depth > MAX_RESULT_DEPTH:
            raise UnserialisableResultError(f"{where} nests deeper than {MAX_RESULT_DEPTH}")
        match value:
            case None | bool():
                self._spend(1)
                return value
            case str():
                self._spend(len(value) + 1)
                return str(value)
            case Enum():
                return self.plain(value.value, where, depth + 1)
            case int() | float() | Decimal() | Fraction():
                return self._number(value, where)
            case date() | time():
                self._spend(_BYTES_OF_A_NUMBER)
                return value.isoformat()
        return self._container(value, where, depth)

    def _number(self, value: Any, where: str) -> Any:
        if isinstance(value, int):
            self._spend(max(1, value.bit_length() // 4))
            if value.bit_length() > 8_192:  # Python itself refuses to write such a one
                raise UnserialisableResultError(f"{where} is an integer of too many digits")
            return int(value)
        self._spend(2)
        if isinstance(value, Decimal | Fraction):
            return str(value)  # a JSON number would lose digits
        if not math.isfinite(value):
            raise UnserialisableResultError(f"{where} is {value}, which is no JSON number")
        return float(value)

    def _container(self, value: Any, where: str, depth: int) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            value = {field.name: getattr(value, field.name) for field in fields}
        if isinstance(value, Mapping):
            return {
                self._key(key, where): self.plain(part, f"{where}.{key!s:.40}", depth + 1)
                for key, part in value.items()
            }
        if isinstance(value, list | tuple):
            self._spend(2)
            return [self.plain(part, f"{where}[{i}]", depth + 1) for i, part in enumerate(value)]
        raise UnserialisableResultError(f"{where} is a {type(value).__name__}, which is no JSON")

    def _key(self, key: object, where: str) -> str:
        if not isinstance(key, str):
            raise UnserialisableResultError(f"{where} has a key that is no text: {key!r:.40}")
        self._spend(len(key) + 4)
        return str(key)

    def _spend(self, num_bytes: int) -> None:
        self._left -= num_bytes
        if self._left < 0:
            raise ResultTooLargeError(f"the result has more than {self._max_bytes} bytes")
