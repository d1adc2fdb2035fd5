"""One answer of the engine: its branch, what it has said, and who listens.

Knows nothing of batches or blocks; the scheduler sees only its sequences.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm.beam_run import BeamRun
from llm.branch import Branch
from llm.chat import Completion, FinishReason, MarkReport, TextDelta, TokenLogProb, Usage
from llm.decoding.account import TokenLogProbs
from llm.decoding.drafters import CombinedDrafter
from llm.decoding.grammar import GrammarState
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.speculative import AdaptiveLength
from llm.detokenizer import IncrementalDetokenizer
from llm.errors import ConstraintConflictError
from llm.sequence import Sequence
from llm.watermark.marker import ReplyMark

Part = TextDelta | Completion
# Called from the engine's thread with text, and once at the end with a completion or an error.
Listener = Callable[[Part | Exception], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the answers of one request have in common.

    `accepts` tells whether a text may end there; None where any may. With `verifies_by_rejection` a
    drafted token is accepted by a coin and not by comparison. `other_listeners` are those of the
    answers that branch off at the first token.
    """

    cancel: threading.Event
    accepts: Callable[[str], bool] | None = None
    needs_exit: bool = False
    verifies_by_rejection: bool = False
    max_draft: int = 0
    other_listeners: "tuple[Listener, ...]" = ()


class Request:
    """The text side of a branch, or of the branches of a beam."""

    __slots__ = (
        "_detokenizer",
        "_listener",
        "_log_probs",
        "_raw_log_prob",
        "_said",
        "_unsaid",
        "accepted_tokens",
        "beam",
        "branch",
        "cached_tokens",
        "choice",
        "drafted_tokens",
        "drafter",
        "first_token_at",
        "has_branched",
        "last_token_at",
        "pace",
        "wiring",
    )

    def __init__(
        self,
        branch: Branch,
        wiring: Wiring,
        *,
        listener: Listener,
        drafter: CombinedDrafter | None = None,
        choice: int = 0,
    ) -> None:
        """Take a waiting branch; `choice` is the number of the answer."""
        self.branch = branch
        self.beam: BeamRun | None = None
        self.has_branched = not wiring.other_listeners
        self.wiring = wiring
        self.drafter = drafter
        self.choice = choice
        self.pace = AdaptiveLength()
        self.cached_tokens: int | None = None
        self.first_token_at: float | None = None
        self.last_token_at = 0.0
        self.drafted_tokens = 0
        self.accepted_tokens = 0
        self._listener = listener
        params = branch.row.params
        self._detokenizer = IncrementalDetokenizer(
            params.stop, params.stop_regex, may_stop=wiring.accepts
        )
        self._said: list[str] = []
        self._log_probs: list[TokenLogProb] = []
        self._raw_log_prob = 0.0
        self._unsaid: list[TokenLogProb] = []  # of tokens whose text is not out yet

    @property
    def sequence(self) -> Sequence:
        """The sequence of its branch; of a beam the one that it began with."""
        return self.branch.sequence

    @property
    def row(self) -> PipelineRow:
        """The row of its branch; of a beam the one that it began with."""
        return self.branch.row

    @property
    def branches(self) -> list[Branch]:
        """All of its branches that are under way."""
        return [self.branch] if self.beam is None else list(self.beam.live)

    def fork(self, branch: Branch, listener: Listener, *, choice: int) -> "Request":
        """Return another answer that goes on from here, before anything was said."""
        assert not self._said
        feasible = branch.row.feasible
        state = feasible.constraint if feasible is not None else None
        drafter = None
        if self.drafter is not None:
            drafter = self.drafter.fork(state if isinstance(state, GrammarState) else None)
        other = Request(branch, self.wiring, listener=listener, drafter=drafter, choice=choice)
        other.has_branched = True
        other.cached_tokens = self.cached_tokens
        return other

    def begin(self, first: int) -> None:
        """Note the first position that is computed: those before it were found in the cache."""
        if self.cached_tokens is None:
            self.cached_tokens = first

    def account(self, told: TokenLogProbs, data: bytes, others: tuple[bytes, ...]) -> None:
        """Note the log-probabilities of the token that is taken next, and the bytes of the best."""
        top = tuple(
            TokenLogProb(data=other, log_prob=log_prob)
            for other, (_, log_prob) in zip(others, told.top, strict=True)
        )
        entry = TokenLogProb(data=data, log_prob=told.log_prob, top=top)
        self._log_probs.append(entry)
        self._raw_log_prob += told.raw
        self._unsaid.append(entry)

    def take(self, data: bytes, now: float) -> FinishReason | None:
        """Take the bytes of a token just written; returns why the request ends with it, if so."""
        self.note_token(now)
        self._say(self._detokenizer.push(data))
        if self._detokenizer.stopped:
            return "stop"
        return self._end_of_budget()

    def _end_of_budget(self) -> FinishReason | None:
        if self.sequence.num_generated < self.sequence.max_tokens:
            return None
        # What a grammar demands is finished in time, so it was not cut.
        return "length" if self.row.feasible is None or not self._is_whole() else "stop"

    def _is_whole(self) -> bool:
        assert self.row.feasible is not None
        constraint = self.row.feasible.constraint
        return isinstance(constraint, GrammarState) and constraint.is_accepting

    def _say(self, text: str) -> None:
        if text:
            self._said.append(text)
            tokens, self._unsaid = tuple(self._unsaid), []
            self._listener(TextDelta(text=text, choice=self.choice, log_probs=tokens))

    def note_token(self, now: float) -> None:
        """Note when a token came; the model's own end-of-text token has no text besides."""
        if self.first_token_at is None:
            self.first_token_at = now
        self.last_token_at = now

    def complete(self, reason: FinishReason, *, now: float) -> None:
        """Tell the listener the end, and those of answers that had not branched off yet."""
        if self.beam is not None:
            self._complete_beam(self.beam, reason, now)
            return
        self._say(self._detokenizer.finish())
        guidance, num_tokens = self.row.guidance, self.sequence.num_generated
        priced = bool(guidance.composers or guidance.factors)
        ended = self._completion("".join(self._said), reason, num_tokens, now)
        ended = replace(
            ended,
            log_probs=tuple(self._log_probs),
            mean_log_prob=self._raw_log_prob / len(self._log_probs) if self._log_probs else None,
            steer_kl=self.row.kl_nats / max(num_tokens, 1) if priced else None,
            drafted_tokens=self.drafted_tokens,
            accepted_tokens=self.accepted_tokens,
            mark=_report(guidance.mark),
        )
        for listener in (self._listener, *self._unbranched):
            listener(ended)

    @property
    def _unbranched(self) -> "tuple[Listener, ...]":
        return () if self.has_branched else self.wiring.other_listeners

    def _complete_beam(self, beam: BeamRun, reason: FinishReason, now: float) -> None:
        answers = []
        for found in beam.best():
            why = found.reason
            if why == "length" and self.wiring.accepts is not None:
                why = "stop"  # what a grammar demands is finished in time
            text = beam.text_of(found)
            ended = self._completion(text, why, len(found.token_ids), now)
            answers.append(replace(ended, score=found.score))
        if not answers and reason in ("cancelled", "deadline"):
            answers = [self._completion("", reason, 0, now)]
        if not answers:
            self.fail(
                ConstraintConflictError(
                    "no hypothesis of the beam could be finished: what one constraint lets through"
                    " another takes away; loosen one of them, or widen the beam"
                )
            )
            return
        self._say(answers[0].text)
        self._listener(replace(answers[0], alternatives=tuple(answers[1:])))

    def _completion(
        self, text: str, reason: FinishReason, num_tokens: int, now: float
    ) -> Completion:
        first = now if self.first_token_at is None else self.first_token_at
        left, window = 0, self.sequence.window
        if window is not None:
            stored = self.sequence.num_prompt_tokens + num_tokens - 1
            left = max(0, stored - window.sinks - window.size)
        return Completion(
            text=text,
            finish_reason=reason,
            left_window=left,
            usage=Usage(
                prompt_tokens=self.sequence.num_prompt_tokens,
                completion_tokens=num_tokens,
                cached_tokens=self.cached_tokens or 0,
            ),
            seed=self.row.seed,
            prefill_s=first - self.sequence.arrival,
            decode_s=now - first,
        )

    def fail(self, error: Exception) -> None:
        """Tell the listener that this request cannot be answered."""
        self._listener(error)


def _report(mark: object) -> MarkReport | None:
    if not isinstance(mark, ReplyMark):
        return None
    power = mark.power
    return MarkReport(
        scheme=mark.name.scheme,
        key_id=mark.name.key_id,
        power=power.value,
        num_scored=power.num_scored,
        is_detectable=power.is_detectable,
    )
