"""The chat protocol: messages, deltas, completions, and the port to a model that speaks it.

Free of torch, also indirectly, so that `dialog`, `rag` and `tools` can be tested on a double.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from llm.decoding.spec import PLAIN, DecodeSpec
from llm.sampling_params import SamplingParams

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "cancelled", "deadline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A function that a model may call; `parameters` is the JSON Schema of its arguments, as text.

    Text, so that specs can be hashed and the order of the properties is kept.
    """

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{},"additionalProperties":false}'


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a function, `arguments` being JSON text; `id` is how its result refers to it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of a call in a stream; `call` is its number among the calls of its choice.

    `id` and `name` are there in a call's first piece alone; `arguments` is a fragment of JSON.
    """

    call: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat: who speaks and what is said.

    An assistant's may hold calls of tools, and one of a tool says by its id which call it answers.
    Models whose template knows no tools get both as text (`llm/tool_prompt.py`). `tools` are the
    functions at hand, for templates that tell of them; one message of a chat may have them.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens read and tokens written; `cached_tokens` of those read were computed before."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogProb:
    """A token's bytes (none for a special one), its log-probability in nats, and others' beside it.

    `top` are the most probable tokens at its place, without others of their own.
    """

    data: bytes
    log_prob: float
    top: "tuple[TokenLogProb, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The next piece of text of a streamed completion; never half a character.

    `choice` is the number of the answer that it belongs to. `log_probs` are those of the tokens
    taken since the last piece, where they were asked for.
    """

    text: str
    choice: int = 0
    log_probs: tuple[TokenLogProb, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReport:
    """How a completion is watermarked, and whether that can be found again.

    `power` is the chance to detect it at 1 % false positives, as its realised entropies predict,
    from `num_scored` tokens that count as evidence; below one half it is called not detectable.
    """

    scheme: str
    key_id: str
    power: float
    num_scored: int
    is_detectable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A finished generation: its whole text, why it ended, what it cost.

    `prefill_s` (from arrival to the first token) and `decode_s` are wall-clock seconds; `seed` is
    the one that was really used; `left_window` early tokens were no longer seen at the end.
    `log_probs` are those of all tokens, where they were asked for, `mean_log_prob` the mean of the
    model's own. `steer_kl` is the price of
    steering and composing: nats per token of KL(drawn from || the model itself), None without.
    Of `drafted_tokens` so many were right. `score` is what a search valued the text at, `mark`
    how it is watermarked, None if it is not, and
    `alternatives` are the other answers, in the order of their numbers or, in a search, of worth;
    `usage` counts their tokens too.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    seed: int
    prefill_s: float
    decode_s: float
    left_window: int = 0
    log_probs: tuple[TokenLogProb, ...] = ()
    mean_log_prob: float | None = None
    steer_kl: float | None = None
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    score: float | None = None
    mark: MarkReport | None = None
    alternatives: "tuple[Completion, ...]" = ()


class LinkedEvent(threading.Event):
    """A `cancel` of one's own that also counts as set where another one is."""

    def __init__(self, other: threading.Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Tell whether either is set."""
        return super().is_set() or (self._other is not None and self._other.is_set())


@runtime_checkable  # for the lane that checks shapes at run time
class ChatModel(Protocol):
    """A model that continues chats."""

    @property
    def name(self) -> str:
        """What requests call the model."""
        ...

    @property
    def context_size(self) -> int:
        """How many tokens prompt and completion may have together."""
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of the prompt these messages make, template included."""
        ...

    def read_ahead(self, messages: Sequence[Message], *, tenant: str = "") -> None:
        """Compute a chat that a question will follow, when there is time; returns at once.

        Worth it where what was said is not what the model wrote: the next turn then finds it
        computed. May do nothing, and never fails.
        """
        ...

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        cancel: threading.Event | None = None,
        tenant: str = "",
    ) -> Iterator[TextDelta | Completion]:
        """Yield text as it is made, then exactly one `Completion`, which ends the stream.

        `baseline` is the same chat without its evidence; needed where the spec's
        `context_faithfulness` is above 0, and read by nothing else.

        Setting `cancel` ends generation at the next token with `finish_reason="cancelled"`. What is
        computed for a `tenant` is used again for that tenant alone, since how soon an answer begins
        would tell others what was asked before; the text does not depend on it.

        Raises:
            ContextOverflowError: the prompt leaves no room for a single token.
            EngineBusyError: too many generations are under way.
            ConstraintError: what the spec asks for cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """Log-probabilities in nats of some continuations, in their order, and what they cost.

    `computed_tokens` positions were computed, `cached_tokens` of the prefix had been before.
    """

    log_probs: tuple[float, ...]
    computed_tokens: int
    cached_tokens: int = 0


@runtime_checkable
class TextScorer(Protocol):
    """A model that says how probable given texts are."""

    @property
    def name(self) -> str:
        """What requests call the model."""
        ...

    def score(self, prefix: str, continuations: Sequence[str], *, tenant: str = "") -> TextScores:
        """Return log P(continuation | prefix) of each, on forks of the one cached prefix.

        The prefix is read as it stands, without a chat template; prefix and continuation are turned
        into tokens apart, so a continuation that begins a word begins with its space.

        Raises:
            ValueError: the prefix or a continuation is empty.
            ContextOverflowError: they do not fit the context.
            EngineBusyError: the cache has no room for them now.
            EngineFailureError: the engine was closed.
        """
        ...
