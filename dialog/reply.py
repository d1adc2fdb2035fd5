"""What goes into a turn and what comes out of it.

A turn is asked for with a `TurnRequest`; `DialogAgent.stream` answers it with `EvidenceFound` (when
there was a search), then `TextDelta`s and `CallCard`s, then one `Reply`, which ends the turn.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from llm.chat import FinishReason, MarkReport, Message, TokenLogProb, ToolCall, Usage
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.sampling_params import SamplingParams
from llm.tool_prompt import ToolUse
from rag.citations import Citation
from rag.document import Passage
from rag.grounding import AnswerMode, Grounding
from rag.retrieval_trace import RetrievalTrace
from tools.runs import Decision, RunRequest

EvidenceForm = Literal["quote", "cite"]
UnsupportedPolicy = Literal["strike", "flag"]
CardStatus = Literal["running", "waiting", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingRequest:
    """A turn that may use the service's own tools: how its run goes, or which one is taken up.

    With a `run_id` the turn takes that run up, after the user's `decisions` on the calls that wait.
    `today` is what "tomorrow" in the user's words is counted from.
    """

    run: RunRequest = field(default_factory=RunRequest)
    run_id: str = ""
    decisions: tuple[Decision, ...] = ()
    today: date | None = None

    def __post_init__(self) -> None:
        if bool(self.run_id) != bool(self.decisions):
            raise ValueError("a run is taken up by decisions on its calls, and nothing else is")

    @property
    def words(self) -> str:
        """The decisions as the conversation remembers them."""
        agreed = sum(one.is_agreed for one in self.decisions)
        denied = len(self.decisions) - agreed
        words = []
        if agreed:
            words.append("I agree." if agreed == 1 else f"I agree to {agreed} calls.")
        if denied:
            words.append("I do not agree." if denied == 1 else f"I do not agree to {denied} calls.")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCard:
    """What can be shown of a call: it runs, waits for the user, is done or has failed.

    `reasons` say why it waits; `result` is data, whatever it says.
    """

    run_id: str
    call_id: str
    name: str
    arguments: str
    status: CardStatus
    kind: str = ""
    result: str = ""
    seconds: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingReport:
    """How the run of a turn stands: ended for a `reason`, or "waiting" for the user."""

    run_id: str
    reason: str
    note: str = ""
    waiting: tuple[CallCard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """One user message to answer, with what precedes it.

    Either `conversation_id` names a stored conversation, which holds the history, and `messages`
    is one user message; or the caller sends the whole chat in `messages`, a user message last.
    `collection` None means plain chat without retrieval (a stored conversation brings its own).
    `owner` is also the tenant for whom the model keeps what it computed: nobody else's prompt finds
    it again, and `ALL_OWNERS`, being nobody's name, is a tenant like the others. The time of
    `params.timeout_s` runs from the beginning of the turn.

    `tools` are functions that the answer may call; the last message may then also be what one gave
    back. With `evidence_form` the answer is verbatim quotes with their citations ("quote") or
    citations alone ("cite"), whatever the model would rather say. With `acting` the answer comes
    from a run of the tool agent, which calls the service's own tools.

    `answer` is how an answer from a collection is made: of quotes ("extractive") or in the model's
    own words, each sentence verified ("generative"); None is the service's default. What nothing
    bears out of the latter is left out ("strike") or said all the same with its verdict ("flag").
    With `trace` the reply tells how its passages were found.
    """

    messages: tuple[Message, ...]
    params: SamplingParams = field(default_factory=SamplingParams)
    spec: DecodeSpec = PLAIN
    tools: ToolUse | None = None
    evidence_form: EvidenceForm | None = None
    acting: ActingRequest | None = None
    answer: AnswerMode | None = None
    unsupported: UnsupportedPolicy = "strike"
    trace: bool = False
    collection: str | None = None
    conversation_id: str | None = None
    owner: str = ""

    def __post_init__(self) -> None:
        if not self.messages or self.messages[-1].role not in ("user", "tool"):
            raise ValueError("the last message must be the user's, or a tool's result")
        if self.messages[-1].role == "user" and not self.messages[-1].content.strip():
            raise ValueError("the user's message is empty; say something")
        if self.conversation_id is not None and (
            len(self.messages) != 1 or self.messages[0].role != "user"
        ):
            raise ValueError(
                f"a stored conversation keeps its own history: send 1 user message, not"
                f" {len(self.messages)} messages"
            )
        self._check_acting()
        if self.answer == "generative" and self._has_own_form():
            raise ValueError(
                "answer 'generative' forms the answer itself; leave out tools, grammar,"
                " response_format, n and search, or answer"
            )

    def _has_own_form(self) -> bool:
        has_form = self.spec.grammar is not None or self.evidence_form is not None
        is_many = self.spec.num_choices > 1 or self.spec.search.method != "sample"
        return has_form or is_many or self.tools is not None or self.acting is not None

    def _check_acting(self) -> None:
        if self.acting is None:
            return
        spec = self.spec
        if self.tools is not None or self.evidence_form is not None or spec.grammar is not None:
            raise ValueError(
                "a turn that acts forms its answer itself; leave tools, response_format and"
                " grammar out, or causerie.tools"
            )
        if spec.num_choices > 1 or spec.search.method != "sample" or spec.context_faithfulness > 0:
            raise ValueError(
                "a turn that acts gives one answer; leave n, search and context_faithfulness out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Wall-clock seconds of the parts of a turn; `decode_s` was spent on `decoded_tokens`."""

    retrieval_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0
    decoded_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFound:
    """The passages that the answer may draw on, best first; empty when nothing was near."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another answer to the same message; `score` is what a search valued it at."""

    text: str
    finish_reason: FinishReason
    seed: int
    log_probs: tuple[TokenLogProb, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A finished turn.

    `abstained` is true when retrieval found nothing near and the reply says so. `dropped_turns`
    counts early turns that no longer fit into the window, `left_window` the tokens that a rolling
    cache no longer held at the end; `notes` says so in words. The fields from `log_probs` on are
    those of the model's `Completion`; `text` holds no `tool_calls`. `grounding` says of an answer
    from a collection what it rests on, `trace` how that was found, where it was asked for.
    """

    text: str
    citations: tuple[Citation, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int
    abstained: bool = False
    dropped_turns: int = 0
    left_window: int = 0
    notes: tuple[str, ...] = ()
    conversation_id: str | None = None
    log_probs: tuple[TokenLogProb, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    steer_kl: float | None = None
    mark: MarkReport | None = None
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    score: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    acting: ActingReport | None = None
    grounding: Grounding | None = None
    trace: RetrievalTrace | None = None
