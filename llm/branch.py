"""One text in the making: its tokens in the cache, and the row of the pipeline that draws for it.

Knows nothing of who asked.
"""

from dataclasses import dataclass

from llm.decoding.pipeline_row import PipelineRow
from llm.sequence import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch of a request; `baseline` is the same text under the request's other prompt."""

    sequence: Sequence
    row: PipelineRow
    baseline: Sequence | None = None

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """The sequences that take its tokens, its own first."""
        return (self.sequence,) if self.baseline is None else (self.sequence, self.baseline)
