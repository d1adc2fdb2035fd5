"""One request of the engine: what it asked for, what it has said, and who listens.

Knows nothing of batches or blocks; the scheduler sees only its `sequence`.
"""

import threading
from collections.abc import Callable

from llm.chat import Completion, FinishReason, TextDelta, Usage
from llm.decoding.pipeline_row import PipelineRow
from llm.detokenizer import IncrementalDetokenizer
from llm.sequence import Sequence

Part = TextDelta | Completion
# Called from the engine's thread with text, and once at the end with a completion or an error.
Listener = Callable[[Part | Exception], None]


class Request:
    """The text side of a sequence."""

    __slots__ = (
        "_detokenizer",
        "_listener",
        "_said",
        "cached_tokens",
        "cancel",
        "first_token_at",
        "last_token_at",
        "row",
        "sequence",
    )

    def __init__(
        self,
        sequence: Sequence,
        row: PipelineRow,
        *,
        cancel: threading.Event,
        listener: Listener,
    ) -> None:
        """Take a waiting sequence and the row of the pipeline that draws for it."""
        self.sequence = sequence
        self.cancel = cancel
        self.cached_tokens: int | None = None
        self.first_token_at: float | None = None
        self.last_token_at = 0.0
        self.row = row
        self._listener = listener
        self._detokenizer = IncrementalDetokenizer(row.params.stop, row.params.stop_regex)
        self._said: list[str] = []

    def begin(self, first: int) -> None:
        """Note the first position that is computed: those before it were found in the cache."""
        if self.cached_tokens is None:
            self.cached_tokens = first

    def take(self, data: bytes, now: float) -> FinishReason | None:
        """Take the bytes of a token just written; returns why the request ends with it, if so."""
        self.note_token(now)
        text = self._detokenizer.push(data)
        if text:
            self._said.append(text)
            self._listener(TextDelta(text=text))
        if self._detokenizer.stopped:
            return "stop"
        return "length" if self.sequence.num_generated >= self.sequence.max_tokens else None

    def note_token(self, now: float) -> None:
        """Note when a token came; the model's own end-of-text token has no text besides."""
        if self.first_token_at is None:
            self.first_token_at = now
        self.last_token_at = now

    def complete(self, reason: FinishReason, *, now: float, left_window: int) -> None:
        """Tell the listener the end; `left_window` tokens are no longer seen by the model."""
        if rest := self._detokenizer.finish():
            self._said.append(rest)
            self._listener(TextDelta(text=rest))
        arrival = self.sequence.arrival
        first = now if self.first_token_at is None else self.first_token_at
        self._listener(
            Completion(
                text="".join(self._said),
                finish_reason=reason,
                usage=Usage(
                    prompt_tokens=self.sequence.num_prompt_tokens,
                    completion_tokens=self.sequence.num_generated,
                    cached_tokens=self.cached_tokens or 0,
                ),
                seed=self.row.seed,
                prefill_s=first - arrival,
                decode_s=now - first,
                left_window=left_window,
            )
        )

    def fail(self, error: Exception) -> None:
        """Tell the listener that this request cannot be answered."""
        self._listener(error)
