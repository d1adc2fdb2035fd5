"""What happens in a run of a tool agent, as values that are stored and replayed.

Each event has a versioned kind name (`model_spoke.v1`) and a JSON payload; a changed shape gets a
new version and a reader for the old one. The log is all there is: `tools.agent_state` folds it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from llm.chat import FinishReason, Message, ToolCall, ToolSpec, Usage
from tools.errors import UnreadableEventError
from tools.provenance import Origin
from tools.result import ConfirmationRequest, ResultKind, ToolResult

Payload = dict[str, Any]

MAX_STEPS = 64


class EndReason(StrEnum):
    """Why a run came to its end; all but ANSWERED and CANCELLED are bounds."""

    ANSWERED = "answered"
    MAX_STEPS = "max_steps"
    MAX_TOKENS = "max_tokens"
    DEADLINE = "deadline"
    REPEATED_CALL = "repeated_call"
    CONTEXT_FULL = "context_full"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """How far a run may go; what it found is kept when a bound is hit.

    `max_tokens` are all that the model writes in the run, `step_tokens` those of one step. The same
    call with the same arguments is made `max_repeats` times; who asks for it once more than that
    gets the sentence that it was made before, and after a second such sentence the run ends.
    `deadline_s` counts the time of the run at work, without that in which it waits for the user.
    """

    max_steps: int = 6
    max_tokens: int = 1_024
    step_tokens: int = 256
    max_repeats: int = 1
    deadline_s: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_steps <= MAX_STEPS:
            raise ValueError(f"max_steps must be 1 to {MAX_STEPS}, got {self.max_steps}")
        if self.max_tokens < 1 or self.step_tokens < 1:
            raise ValueError(
                f"max_tokens and step_tokens must be >= 1, got {self.max_tokens} and"
                f" {self.step_tokens}"
            )
        if self.max_repeats < 1:
            raise ValueError(f"max_repeats must be >= 1, got {self.max_repeats}")
        if not 0 < self.deadline_s <= 3_600:
            raise ValueError(f"deadline_s must be in (0, 3600] seconds, got {self.deadline_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """What was asked, of whom, with which tools and bounds.

    `documents` are the passages that the messages quote; `fingerprint` is that of the registry.
    With `must_call` the first step is a call.
    """

    kind: ClassVar[str] = "run_opened.v1"
    origin: ClassVar[Origin] = Origin.USER

    strategy: str
    messages: tuple[Message, ...]
    tools: tuple[str, ...]
    fingerprint: str
    limits: AgentLimits = field(default_factory=AgentLimits)
    documents: tuple[str, ...] = ()
    must_call: bool = False

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "RunOpened":
        """Rebuild the event from its payload."""
        return cls(
            strategy=payload["strategy"],
            messages=tuple(_message(message) for message in payload["messages"]),
            tools=tuple(payload["tools"]),
            fingerprint=payload["fingerprint"],
            limits=AgentLimits(**payload["limits"]),
            documents=tuple(payload["documents"]),
            must_call=payload["must_call"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpoke:
    """One step of the model: `text` as it wrote it, and what the strategy read in it.

    `answer` is None where the step is no answer. The tokens written follow those of the prompt, so
    that `token_span` tells where in the sequence they stand.
    """

    kind: ClassVar[str] = "model_spoke.v1"
    origin: ClassVar[Origin] = Origin.MODEL

    stage: str
    text: str
    content: str
    usage: Usage
    finish_reason: FinishReason = "stop"
    calls: tuple[ToolCall, ...] = ()
    answer: str | None = None
    seed: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    is_last: bool = False

    @property
    def token_span(self) -> tuple[int, int]:
        """Where the tokens of the step stand: behind those of its prompt."""
        start = self.usage.prompt_tokens
        return start, start + self.usage.completion_tokens

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "ModelSpoke":
        """Rebuild the event from its payload."""
        plain = {**payload, "usage": Usage(**payload["usage"])}
        return cls(**{**plain, "calls": tuple(ToolCall(**call) for call in payload["calls"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """A call that is about to be made; without a `CallReturned` nobody knows how it ended."""

    kind: ClassVar[str] = "call_started.v1"
    origin: ClassVar[Origin] = Origin.SYSTEM

    call: ToolCall

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "CallStarted":
        """Rebuild the event from its payload."""
        return cls(call=ToolCall(**payload["call"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReturned:
    """A call that was made, or refused, and its result."""

    kind: ClassVar[str] = "call_returned.v1"
    origin: ClassVar[Origin] = Origin.TOOL

    call: ToolCall
    result: ToolResult

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "CallReturned":
        """Rebuild the event from its payload."""
        result = dict(payload["result"])
        if result["confirmation"] is not None:
            result["confirmation"] = _confirmation(result["confirmation"])
        result["kind"] = ResultKind(result["kind"])
        return cls(call=ToolCall(**payload["call"]), result=ToolResult(**result))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsked:
    """A call that waits for the user's agreement; the run stands still until it is decided."""

    kind: ClassVar[str] = "approval_asked.v1"
    origin: ClassVar[Origin] = Origin.SYSTEM

    call: ToolCall
    request: ConfirmationRequest

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "ApprovalAsked":
        """Rebuild the event from its payload."""
        return cls(call=ToolCall(**payload["call"]), request=_confirmation(payload["request"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDecided:
    """What the user decided about a call, by the digest of exactly what would be sent."""

    kind: ClassVar[str] = "user_decided.v1"
    origin: ClassVar[Origin] = Origin.USER

    call_id: str
    digest: str
    is_agreed: bool

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "UserDecided":
        """Rebuild the event from its payload."""
        return cls(**payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """Why the run is over, and the answer; "" where a bound came first."""

    kind: ClassVar[str] = "run_ended.v1"
    origin: ClassVar[Origin] = Origin.SYSTEM

    reason: EndReason
    answer: str = ""
    note: str = ""

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "RunEnded":
        """Rebuild the event from its payload."""
        return cls(**{**payload, "reason": EndReason(payload["reason"])})


AgentEvent = (
    RunOpened | ModelSpoke | CallStarted | CallReturned | ApprovalAsked | UserDecided | RunEnded
)

_READERS: dict[str, Callable[[Mapping[str, Any]], AgentEvent]] = {
    RunOpened.kind: RunOpened.from_payload,
    ModelSpoke.kind: ModelSpoke.from_payload,
    CallStarted.kind: CallStarted.from_payload,
    CallReturned.kind: CallReturned.from_payload,
    ApprovalAsked.kind: ApprovalAsked.from_payload,
    UserDecided.kind: UserDecided.from_payload,
    RunEnded.kind: RunEnded.from_payload,
}


def to_payload(event: AgentEvent) -> Payload:
    """Return an event as JSON values."""
    return asdict(event)


def event_from_payload(kind: str, payload: Mapping[str, Any]) -> AgentEvent:
    """Turn a stored kind name and payload back into the event.

    Raises:
        UnreadableEventError: the kind is unknown or the payload lacks something.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise UnreadableEventError(
            f"a stored event has the unknown kind {kind!r}; this program reads"
            f" {sorted(_READERS)}: upgrade it"
        )
    try:
        return reader(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableEventError(
            f"a stored event of kind {kind!r} is damaged: {error!r}"
        ) from error


def call_key(call: ToolCall) -> str:
    """Return what is equal for calls of one tool with the same arguments, in whatever order."""
    try:
        arguments = json.dumps(json.loads(call.arguments or "{}"), sort_keys=True)
    except ValueError:
        arguments = call.arguments
    return f"{call.name}\0{arguments}"


def _message(payload: Mapping[str, Any]) -> Message:
    calls = tuple(ToolCall(**call) for call in payload["tool_calls"])
    tools = tuple(ToolSpec(**tool) for tool in payload.get("tools", ()))
    return Message(**{**payload, "tool_calls": calls, "tools": tools})


def _confirmation(payload: Mapping[str, Any]) -> ConfirmationRequest:
    return ConfirmationRequest(**{**payload, "reasons": tuple(payload["reasons"])})
