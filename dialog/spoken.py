"""What a turn has come to so far: its words, its marks, its clock; the turn's only mutable value.

Does not know where words come from nor where they go.
"""

import time
from dataclasses import dataclass, field, replace

from dialog.reply import Alternative, Reply
from llm.chat import Completion, FinishReason, TextDelta, ToolCall
from llm.sampling_params import SamplingParams
from rag.citations import Citation
from rag.grounding import Grounding

_AT_ONCE_S = 1e-3  # what is left of a time that is over: the model then ends at its first look


@dataclass(slots=True, kw_only=True)
class Spoken:
    """A turn under way; `started` and all times are seconds of `time.perf_counter`.

    `citations` and `grounding` are there where they came about with the words.
    """

    started: float = field(default_factory=time.perf_counter)
    text: str = ""
    completion: Completion | None = None
    finish_reason: FinishReason = "stop"
    retrieval_s: float = 0.0
    marks: set[int] = field(default_factory=set)
    tool_calls: tuple[ToolCall, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    citations: tuple[Citation, ...] | None = None
    grounding: Grounding | None = None
    has_abstained: bool = False

    def say(self, text: str, mark: int | None = None) -> TextDelta:
        """Add words, with the number of the citation that they bear."""
        self.text += text
        if mark is not None:
            self.marks.add(mark)
        return TextDelta(text=text)

    def elapsed_s(self) -> float:
        """Return how long the turn has been under way."""
        return time.perf_counter() - self.started

    def left_s(self, params: SamplingParams) -> float | None:
        """Return what is left of the request's time, never nothing; None where it has no bound."""
        if params.timeout_s is None:
            return None
        return max(_AT_ONCE_S, params.timeout_s - self.elapsed_s())


def with_account(reply: Reply, completion: Completion, spoken: Spoken, *, is_drawn: bool) -> Reply:
    """Add what the model tells of the words themselves; quotes are not drawn and have less."""
    reply = replace(
        reply,
        drafted_tokens=completion.drafted_tokens,
        accepted_tokens=completion.accepted_tokens,
    )
    if not is_drawn:
        return reply
    return replace(
        reply,
        log_probs=completion.log_probs,
        tool_calls=spoken.tool_calls,
        steer_kl=completion.steer_kl,
        mark=completion.mark,
        score=completion.score,
        alternatives=spoken.alternatives,
    )
