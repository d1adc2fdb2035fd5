"""Runs of the tool agent as a service has them: begun, stored, taken up by who may.

Events are written step by step; before a deed is done, and at each end, the log is on the disk.
Knows no dialogue: which messages a run is about is its caller's to say.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm.chat import ChatModel, Message, TextDelta
from tools.agent import AgentPart, RunContext, ToolAgent
from tools.agent_events import (
    AgentEvent,
    AgentLimits,
    ApprovalAsked,
    CallReturned,
    CallStarted,
    ModelSpoke,
    RunEnded,
    UserDecided,
)
from tools.agent_log import LoggedRun, RunStore
from tools.agent_state import AgentState, replay
from tools.audit import AuditSink
from tools.base import Effect
from tools.call_counts import UNKNOWN, CallCounts
from tools.errors import RunConflictError
from tools.executor import ToolExecutor
from tools.gate import ToolGate
from tools.registry import ToolRegistry
from tools.result import ResultKind
from tools.strategies.base import Strategy

StrategiesOf = Callable[[ToolRegistry], Sequence[Strategy]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """How a run shall go: which of the tools (None: all), by which strategy, within what bounds."""

    names: tuple[str, ...] | None = None
    strategy: str = ""
    must_call: bool = False
    limits: AgentLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The user's word on one call that waits."""

    call_id: str
    is_agreed: bool


class ToolRuns:
    """Begins runs, and takes up those that wait."""

    def __init__(
        self,
        model: ChatModel,
        registry: ToolRegistry,
        audit: AuditSink,
        store: RunStore,
        strategies_of: StrategiesOf,
        *,
        gate: ToolGate | None = None,
        counts: CallCounts | None = None,
    ) -> None:
        self.registry = registry
        self.counts = counts or CallCounts()
        self._model = model
        self._audit = audit
        self._store = store
        self._strategies_of = strategies_of
        self._gate = gate or ToolGate()
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def strategies(self) -> tuple[str, ...]:
        """Return the names of the strategies; the first is the usual one."""
        return tuple(strategy.name for strategy in self._strategies_of(self.registry))

    def begin(
        self,
        messages: Sequence[Message],
        request: RunRequest,
        *,
        owner: str,
        conversation: str = "",
        documents: Sequence[str] = (),
    ) -> str:
        """Store a new run and return its id.

        Raises:
            UnknownToolError: no tool has one of the names.
            UnknownStrategyError: there is no such strategy.
        """
        agent = self._agent(request.names)
        opened = agent.open(
            messages,
            strategy=request.strategy,
            limits=request.limits,
            documents=documents,
            must_call=request.must_call,
        )
        return self._store.create(owner, conversation, opened)

    def logged(self, run_id: str, owner: str | None) -> LoggedRun:
        """Return a run with its events.

        Raises:
            UnknownRunError: the owner has no such run.
        """
        return self._store.run(run_id, owner)

    def stream(
        self,
        run_id: str,
        context: RunContext,
        *,
        owner: str | None,
        decisions: Sequence[Decision] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[AgentPart]:
        """Go on with a run, after the user's `decisions`; see `ToolAgent.stream`.

        Raises:
            UnknownRunError: the owner has no such run.
            RunConflictError: it has ended, is under way, or a decision is about no call that waits.
        """
        with self._lock:
            if run_id in self._busy:
                raise RunConflictError(f"the run {run_id!r} is under way; wait for its end")
            self._busy.add(run_id)
        try:
            yield from self._stream(run_id, context, owner, decisions, cancel)
        finally:
            with self._lock:
                self._busy.discard(run_id)

    def forget(self, conversation: str) -> int:
        """Delete the runs of a conversation; return how many."""
        return self._store.forget(conversation)

    def _stream(
        self,
        run_id: str,
        context: RunContext,
        owner: str | None,
        decisions: Sequence[Decision],
        cancel: threading.Event | None,
    ) -> Iterator[AgentPart]:
        log = [*self._store.run(run_id, owner).events]
        state = replay(log)
        words = [_decided(state, decision) for decision in decisions]
        if words:
            self._store.append(run_id, len(log), *words)
            log += words
        agent = self._agent(state.opened.tools)
        pad = _Pad(self._store, run_id, len(log))
        try:
            for part in agent.stream(log, context, cancel=cancel):
                if not isinstance(part, TextDelta):
                    self._count(part)
                    pad.note(part)
                    # What only read can be read again: it is written with the step that follows.
                    if self._must_be_kept(part):
                        pad.write(is_durable=True)
                    elif isinstance(part, ModelSpoke):
                        pad.write(is_durable=False)
                yield part
        finally:
            pad.write(is_durable=False)

    def _count(self, event: AgentEvent) -> None:
        if isinstance(event, CallReturned):
            outcome = event.result.kind
        elif isinstance(event, ApprovalAsked):
            outcome = ResultKind.NEEDS_CONFIRMATION
        else:
            return
        name = event.call.name
        self.counts.count(name if name in self.registry else UNKNOWN, outcome)

    def _must_be_kept(self, event: AgentEvent) -> bool:
        """Tell whether an event must be on the disk before anything else happens."""
        if isinstance(event, CallStarted | CallReturned):
            name = event.call.name
            return name in self.registry and self.registry.tool(name).effect is Effect.WRITE
        return isinstance(event, ApprovalAsked | RunEnded)

    def _agent(self, names: Sequence[str] | None) -> ToolAgent:
        registry = self.registry if names is None else self.registry.only(names)
        executor = ToolExecutor(registry=registry, audit=self._audit, gate=self._gate)
        return ToolAgent(self._model, executor, self._strategies_of(registry))


class _Pad:
    """Events on their way into a log, in their order."""

    def __init__(self, store: RunStore, run_id: str, seq: int) -> None:
        self._store, self._run_id, self._seq = store, run_id, seq
        self._events: list[AgentEvent] = []

    def note(self, event: AgentEvent) -> None:
        self._events.append(event)

    def write(self, *, is_durable: bool) -> None:
        if self._events:
            events, self._events = self._events, []
            self._seq = self._store.append(self._run_id, self._seq, *events, is_durable=is_durable)


def _decided(state: AgentState, decision: Decision) -> UserDecided:
    for asked in state.waiting:
        if asked.call.id == decision.call_id:
            return UserDecided(
                call_id=decision.call_id,
                digest=asked.request.digest,
                is_agreed=decision.is_agreed,
            )
    waiting = [asked.call.id for asked in state.waiting]
    raise RunConflictError(f"no call {decision.call_id!r} waits for a word; {waiting} do")
