"""The state of a run: a pure fold of its events, and nothing else.

No clock, no model, no tools: equal logs give equal states, so that a run can be taken up at any of
its events, and what is said of it can be checked against its log.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from llm.chat import ToolCall
from tools.agent_events import (
    AgentEvent,
    ApprovalAsked,
    CallReturned,
    CallStarted,
    ModelSpoke,
    RunEnded,
    RunOpened,
    UserDecided,
    call_key,
)
from tools.errors import UnreadableEventError
from tools.result import ResultKind, ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the model said once, and what came back of its calls so far.

    `started` are the ids of calls that were begun.
    """

    spoke: ModelSpoke
    results: tuple[ToolResult, ...] = ()
    started: frozenset[str] = frozenset()

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """The calls that have no result yet, in their order."""
        known = {result.call_id for result in self.results}
        return tuple(call for call in self.spoke.calls if call.id not in known)

    @property
    def ordered_results(self) -> tuple[tuple[ToolCall, ToolResult], ...]:
        """Each call with its result, in the order of the calls."""
        by_id = {result.call_id: result for result in self.results}
        return tuple((call, by_id[call.id]) for call in self.spoke.calls if call.id in by_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """How far a run is: what was asked, the steps so far, what waits, how it ended."""

    opened: RunOpened
    steps: tuple[Step, ...] = ()
    waiting: tuple[ApprovalAsked, ...] = ()
    decisions: tuple[UserDecided, ...] = ()
    ended: RunEnded | None = None

    def after(self, *events: AgentEvent) -> "AgentState":
        """Return the state once these events have happened."""
        state = self
        for event in events:
            state = _after(state, event)
        return state

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        """The calls that are to be made, those that wait for the user left out."""
        if not self.steps:
            return ()
        held = {asked.call.id for asked in self.waiting}
        return tuple(call for call in self.steps[-1].pending if call.id not in held)

    @property
    def completion_tokens(self) -> int:
        """How many tokens the model wrote so far."""
        return sum(step.spoke.usage.completion_tokens for step in self.steps)

    @property
    def findings(self) -> tuple[tuple[ToolCall, ToolResult], ...]:
        """All calls that succeeded, with what they gave: kept whatever the end."""
        pairs = (pair for step in self.steps for pair in step.ordered_results)
        return tuple((call, result) for call, result in pairs if not result.is_error)

    @property
    def call_counts(self) -> Counter[str]:
        """How often each call was made, by tool and arguments; refused ones do not count."""
        made = (pair for step in self.steps for pair in step.ordered_results)
        return Counter(call_key(call) for call, result in made if result.kind not in _WERE_NOT_MADE)

    @property
    def num_repeats(self) -> int:
        """How many calls were refused as made before."""
        results = (result for step in self.steps for result in step.results)
        return sum(result.kind is ResultKind.REPEATED for result in results)

    def decision_on(self, call: ToolCall) -> UserDecided | None:
        """Return the user's last word on a call; None where there is none."""
        words = [word for word in self.decisions if word.call_id == call.id]
        return words[-1] if words else None


_WERE_NOT_MADE = (ResultKind.REPEATED, ResultKind.DENIED, ResultKind.NEEDS_CONFIRMATION)


def replay(events: Iterable[AgentEvent]) -> AgentState:
    """Return the state that a log leads to.

    Raises:
        UnreadableEventError: the log does not begin with a `RunOpened`, or holds another one.
    """
    first, *others = tuple(events) or (None,)
    if not isinstance(first, RunOpened):
        raise UnreadableEventError(f"a run's log begins with {RunOpened.kind}, got {first!r:.80}")
    return AgentState(opened=first).after(*others)


def _after(state: AgentState, event: AgentEvent) -> AgentState:
    match event:
        case RunOpened():
            raise UnreadableEventError("a run is opened once; its log holds a second opening")
        case ModelSpoke():
            return replace(state, steps=(*state.steps, Step(spoke=event)))
        case CallStarted(call=call):
            return _grown(state, started=state.steps[-1].started | {call.id})
        case CallReturned(result=result):
            return _grown(state, results=(*state.steps[-1].results, result))
        case ApprovalAsked(call=call):
            # What waits was not made, so that it is begun once more when the user agrees.
            started = state.steps[-1].started - {call.id}
            return replace(_grown(state, started=started), waiting=(*state.waiting, event))
        case UserDecided(call_id=call_id):
            waiting = tuple(asked for asked in state.waiting if asked.call.id != call_id)
            return replace(state, waiting=waiting, decisions=(*state.decisions, event))
        case RunEnded():
            return replace(state, ended=event)


def _grown(state: AgentState, **changes: Any) -> AgentState:
    """Return the state whose last step is changed so."""
    *before, last = state.steps
    return replace(state, steps=(*before, replace(last, **changes)))
