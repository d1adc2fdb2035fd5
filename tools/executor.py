"""Makes the calls of a model: validate → authorised? → done before? → meant? → run → result.

Never raises because of what a model asked for or a tool did: what goes wrong is a `ToolResult`.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from llm.chat import LinkedEvent, ToolCall
from tools.attempt import Attempt, Outcome
from tools.audit import AuditEntry, AuditSink, entry_of
from tools.base import Effect, Tool
from tools.call_context import CallContext, Caller
from tools.errors import (
    AuditError,
    ConflictError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
    ToolCallError,
    UnknownToolError,
)
from tools.gate import Refusal, ToolGate
from tools.json_check import UnreadableArgumentsError, complaints, read_arguments
from tools.mandate import Mandate, canonical
from tools.registry import ToolRegistry
from tools.result import (
    ResultKind,
    ResultTooLargeError,
    ToolResult,
    UnserialisableResultError,
)

MAX_PARALLEL = 8

_KINDS: dict[type[ToolCallError], ResultKind] = {
    InvalidArgumentError: ResultKind.INVALID,
    NotFoundError: ResultKind.NOT_FOUND,
    ConflictError: ResultKind.CONFLICT,
    RetryableError: ResultKind.UNAVAILABLE,
    DeniedError: ResultKind.DENIED,
    FatalError: ResultKind.FAILED,
}
_IN_DOUBT = "; whether it was done is not known: do not call it again, tell the user"
_MAX_MESSAGE = 500
_NOTE_S = 60.0  # longer than the database waits for its lock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A call that passed every gate."""

    call: ToolCall
    tool: Tool
    arguments: Mapping[str, Any]
    entry: AuditEntry
    row: int  # 0: one that only reads is written down when it has ended
    context: CallContext
    cancel: threading.Event
    begun: float
    noted: threading.Event = field(default_factory=threading.Event)


def idempotency_key(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> str:
    """Return what is equal for equal deeds: "" for a tool that does not tell which are.

    Equal by user, conversation, task and the arguments in `idempotent_by`, defaults filled in.
    """
    if tool.idempotent_by is None:
        return ""
    properties = tool.schema.get("properties", {})
    meant = {key: part["default"] for key, part in properties.items() if "default" in part}
    meant |= arguments
    names = tool.idempotent_by or sorted(meant)
    telling = {name: meant.get(name) for name in names}
    who = [caller.user, caller.conversation, caller.task, tool.name]
    return hashlib.sha256(json.dumps([*who, canonical(telling)]).encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class ToolExecutor:
    """Makes calls of the tools in `registry`.

    `max_left` runs that hang may be left behind; with so many, no further tool is run until one
    ends. A second attempt waits `backoff_s`, a third twice that, and so on.
    """

    registry: ToolRegistry
    audit: AuditSink
    gate: ToolGate = field(default_factory=ToolGate)
    max_left: int = 8
    backoff_s: float = 0.1
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _num_left: int = 0
    _keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.max_left < 1 or self.backoff_s < 0:
            raise ValueError(
                f"max_left must be >= 1 and backoff_s >= 0, got {self.max_left}, {self.backoff_s}"
            )

    @property
    def num_left(self) -> int:
        """How many runs hang and were left behind."""
        return self._num_left

    def run_all(
        self,
        calls: Sequence[ToolCall],
        mandate: Mandate,
        *,
        cancel: threading.Event | None = None,
    ) -> tuple[ToolResult, ...]:
        """Make calls and return their results in the same order.

        Neighbours that only read run at once; each that writes runs alone, after those before it.
        """
        results: list[ToolResult] = []
        for is_reading, group in groupby(calls, key=self._is_reading):
            together = list(group)
            if not is_reading or len(together) == 1:
                results += [self.run(call, mandate, cancel=cancel) for call in together]
                continue
            with ThreadPoolExecutor(min(MAX_PARALLEL, len(together))) as pool:
                results += pool.map(lambda c: self.run(c, mandate, cancel=cancel), together)
        return tuple(results)

    def run(
        self, call: ToolCall, mandate: Mandate, *, cancel: threading.Event | None = None
    ) -> ToolResult:
        """Make one call and return what came of it; setting `cancel` gives it up."""
        begun = time.monotonic()
        try:
            tool = self.registry.tool(call.name)
        except UnknownToolError as error:
            return _failure(call, ResultKind.UNKNOWN_TOOL, str(error), begun)
        try:
            arguments = read_arguments(call.arguments)
            problems = complaints(arguments, tool.schema)
        except UnreadableArgumentsError as error:
            return self._refuse(call, tool, None, mandate, str(error), begun)
        if problems:
            return self._refuse(call, tool, arguments, mandate, "; ".join(problems), begun)
        try:
            return self._admitted(call, tool, arguments, mandate, LinkedEvent(cancel), begun)
        except AuditError as error:
            # A deed is not done, and what was read is not shown, without a word in the log.
            _log.exception("a call of %s was not made", tool.name)
            return _failure(call, ResultKind.UNAVAILABLE, str(error), begun)

    def _is_reading(self, call: ToolCall) -> bool:
        return call.name in self.registry and self.registry.tool(call.name).effect is Effect.READ

    def _refuse(
        self,
        call: ToolCall,
        tool: Tool,
        arguments: Mapping[str, Any] | None,
        mandate: Mandate,
        why: str | Refusal,
        begun: float,
    ) -> ToolResult:
        refusal = Refusal(kind=ResultKind.INVALID, reason=why) if isinstance(why, str) else why
        result = replace(
            _failure(call, refusal.kind, refusal.reason, begun), confirmation=refusal.confirmation
        )
        try:
            self.audit.noted(entry_of(call.id, tool, arguments, mandate.caller), result)
        except AuditError:  # nothing was done, so that nothing is lost but this note
            _log.exception("a refused call of %s was not written down", tool.name)
        return result

    def _admitted(
        self,
        call: ToolCall,
        tool: Tool,
        arguments: Mapping[str, Any],
        mandate: Mandate,
        cancel: threading.Event,
        begun: float,
    ) -> ToolResult:
        if refusal := self.gate.authorised(tool, arguments, mandate):
            return self._refuse(call, tool, arguments, mandate, refusal, begun)
        key = idempotency_key(tool, arguments, mandate.caller)
        if not self._claim(key):
            why = Refusal(kind=ResultKind.UNAVAILABLE, reason="the same call is still under way")
            return self._refuse(call, tool, arguments, mandate, why, begun)
        is_left = False
        try:
            before = self.audit.recorded(key) if key else None
            if before is not None and not (before.is_error and _passes_key_on(tool)):
                return replace(before, call_id=call.id)
            refusal = self._closed(cancel) or self.gate.confirmed(tool, arguments, mandate)
            if refusal:
                return self._refuse(call, tool, arguments, mandate, refusal, begun)
            entry = entry_of(call.id, tool, arguments, mandate.caller, key)
            run = self._begin(call, tool, arguments, entry, cancel, begun)
            result, is_left = self._attempts(run)
            self._note_end(run, result)
            run.noted.set()
            return result
        finally:
            if not is_left:  # only now: who comes next must find the result written down
                self._release(key)

    def _begin(
        self,
        call: ToolCall,
        tool: Tool,
        arguments: Mapping[str, Any],
        entry: AuditEntry,
        cancel: threading.Event,
        begun: float,
    ) -> _Run:
        return _Run(
            call=call,
            tool=tool,
            arguments=arguments,
            entry=entry,
            row=self.audit.started(entry) if tool.effect is Effect.WRITE else 0,
            context=CallContext(
                caller=entry.caller,
                deadline=time.monotonic() + tool.timeout_s,
                idempotency_key=entry.idempotency_key,
                cancel=LinkedEvent(cancel),
            ),
            cancel=cancel,
            begun=begun,
        )

    def _attempts(self, run: _Run) -> tuple[ToolResult, bool]:
        """Return the result, and whether a run was left behind that may still end."""
        wait_s = self.backoff_s
        for i in range(run.tool.retries + 1):
            attempt = Attempt(run.tool, run.arguments, run.context, self._late(run))
            outcome = attempt.wait(run.cancel)
            if not isinstance(outcome, Outcome):
                return self._left(run, ResultKind(outcome)), True
            is_last = i == run.tool.retries or run.context.remaining_s() <= wait_s
            if not isinstance(outcome.error, RetryableError) or is_last:
                return _result(run, outcome), False
            _wait(run, wait_s)
            wait_s *= 2
            if run.cancel.is_set():
                break
        why = "given up between two attempts"
        return _failure(run.call, ResultKind.CANCELLED, why, run.begun), False

    def _left(self, run: _Run, kind: ResultKind) -> ToolResult:
        with self._lock:
            self._num_left += 1
        what = f"no answer in {run.tool.timeout_s:g} s"
        why = what if kind is ResultKind.TIMEOUT else "given up"
        return _doubtful(run, kind, why)

    def _late(self, run: _Run) -> Callable[[Outcome], None]:
        def note(outcome: Outcome) -> None:
            with self._lock:
                self._num_left -= 1
            run.noted.wait(_NOTE_S)  # the log's last word must be the late one
            try:
                if run.row:
                    self._note_end(run, _result(run, outcome))
            finally:
                self._release(run.entry.idempotency_key)

        return note

    def _note_end(self, run: _Run, result: ToolResult) -> None:
        if not run.row:
            self.audit.noted(run.entry, result)
            return
        try:
            self.audit.finished(run.row, result)
        except AuditError:  # the row stays without an end, which says that the deed is in doubt
            _log.exception("the end of a call of %s was not written down", run.tool.name)

    def _closed(self, cancel: threading.Event) -> Refusal | None:
        if cancel.is_set():
            return Refusal(kind=ResultKind.CANCELLED, reason="given up before it began")
        if self._num_left < self.max_left:
            return None
        reason = f"{self._num_left} calls of tools hang; none is made until one ends"
        return Refusal(kind=ResultKind.UNAVAILABLE, reason=reason)

    def _claim(self, key: str) -> bool:
        with self._lock:
            if key in self._keys:
                return False
            if key:
                self._keys.add(key)
            return True

    def _release(self, key: str) -> None:
        with self._lock:
            self._keys.discard(key)


def _passes_key_on(tool: Tool) -> bool:
    """Tell whether a deed in doubt may be tried again: what does it is told that it is the same."""
    return tool.signature is not None and bool(tool.signature.context)


def _wait(run: _Run, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not run.cancel.is_set() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.02))


def _failure(call: ToolCall, kind: ResultKind, reason: str, begun: float) -> ToolResult:
    shown = reason if len(reason) <= _MAX_MESSAGE else f"{reason[:_MAX_MESSAGE]}…"
    return ToolResult(
        call_id=call.id,
        content=shown,
        is_error=True,
        kind=kind,
        seconds=time.monotonic() - begun,
    )


def _doubtful(run: _Run, kind: ResultKind, reason: str) -> ToolResult:
    is_deed = run.tool.effect is Effect.WRITE
    failure = _failure(run.call, kind, reason + (_IN_DOUBT if is_deed else ""), run.begun)
    return replace(failure, is_in_doubt=is_deed)


def _result(run: _Run, outcome: Outcome) -> ToolResult:
    error = outcome.error
    if error is None:
        seconds = time.monotonic() - run.begun
        return ToolResult(call_id=run.call.id, content=outcome.text, seconds=seconds)
    if isinstance(error, ToolCallError):
        kind = next((_KINDS[c] for c in type(error).__mro__ if c in _KINDS), ResultKind.FAILED)
        return _failure(run.call, kind, str(error), run.begun)
    is_done = isinstance(error, ResultTooLargeError | UnserialisableResultError)
    if is_done and run.tool.effect is Effect.WRITE:
        # The function came to its end: to call that a failure would have the deed done twice.
        _log.error("%s did its work, and its result is lost: %s", run.tool.name, error)
        seconds = time.monotonic() - run.begun
        return ToolResult(call_id=run.call.id, content=f"done, but {error}", seconds=seconds)
    if isinstance(error, ResultTooLargeError):
        return _failure(run.call, ResultKind.TOO_LARGE, f"{error}; ask for less", run.begun)
    # What a bug says may hold what the model must not know; the log has all of it.
    _log.error("the tool %s failed", run.tool.name, exc_info=error)
    return _doubtful(run, ResultKind.BUG, "the tool failed: an internal error")
