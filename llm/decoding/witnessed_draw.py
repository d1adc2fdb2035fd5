"""The draw of rows whose marks want to know what their tokens were drawn from.

A sampler lists what may be drawn on its way to a token, so where a mark asks, the token is drawn
from that list: the same token at nearly the same price. A row without cuts has the whole vocabulary
to list; its most likely tokens are looked for instead. Letters: `r` rows, `v` vocabulary.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from llm.decoding.phases import Survivors
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.sampler import BatchSampler, SamplingRows
from llm.decoding.truncate import GREEDY_BELOW
from llm.sampling_params import SamplingParams

_WITNESSED = 512  # the rest weighs next to nothing, and there may be very many


class WitnessedDraw:
    """Draws for plain rows together, and lets the marks of any rows note their tokens."""

    def __init__(self, sampler: BatchSampler, sampling: SamplingRows) -> None:
        """Take the sampler and the batch in whose slots the rows sit."""
        self._sampler = sampler
        self._sampling = sampling

    def draw(
        self, logits: Float32[np.ndarray, "r v"], rows: Sequence[PipelineRow], seats: SamplingRows
    ) -> Int64[np.ndarray, " r"]:
        """Return the tokens that the sampler gives for plain rows; `seats` are theirs."""
        listed = [
            i
            for i, row in enumerate(rows)
            if row.witness is not None and row.witness.wants_survivors and _is_cut(row.params)
        ]
        if not listed:
            tokens = self._sampler.draw(logits, seats)
        else:
            tokens = self._draw_listed(logits, rows, seats, listed)
        for i, row in enumerate(rows):
            if row.witness is not None and tokens[i] >= 0:
                self.bear_witness(row, logits[i], int(tokens[i]))
            row.survivors = None
        return tokens

    def bear_witness(self, row: PipelineRow, logits: Float32[np.ndarray, " v"], token: int) -> None:
        """Let a mark note a token, with what could have come instead where it wants to know."""
        if row.witness is None:
            return
        told = None
        if row.witness.wants_survivors:
            found = self._found(row, logits) if row.survivors is None else row.survivors
            told = Survivors(
                token_ids=found.token_ids[:_WITNESSED], log_probs=found.log_probs[:_WITNESSED]
            )
        row.witness.witness(told, token)

    def _draw_listed(
        self,
        logits: Float32[np.ndarray, "r v"],
        rows: Sequence[PipelineRow],
        seats: SamplingRows,
        listed: Sequence[int],
    ) -> Int64[np.ndarray, " r"]:
        """Draw for some rows from their lists, which they keep, and for the others as always."""
        everybody = len(listed) == len(rows)
        part = seats if everybody else seats.at(listed)
        survivors = self._sampler.survivors(logits if everybody else logits[listed], part)
        drawn = self._sampler.draw_from(survivors, part)
        for at, i in enumerate(listed):
            rows[i].survivors = survivors.row(at)
        if everybody:
            return drawn
        tokens = np.empty(len(rows), np.int64)
        tokens[listed] = drawn
        asking = set(listed)
        others = [i for i in range(len(rows)) if i not in asking]
        tokens[others] = self._sampler.draw(logits[others], seats.at(others))
        return tokens

    def _found(self, row: PipelineRow, logits: Float32[np.ndarray, " v"]) -> Survivors:
        seat = self._sampling.at([row.slot])
        if not _is_cut(row.params):
            seat.arrays.top_k[0] = _WITNESSED
        return self._sampler.survivors(logits[None], seat).row(0)


def _is_cut(params: SamplingParams) -> bool:
    """Whether few enough tokens may come that listing them all costs nothing."""
    if params.temperature < GREEDY_BELOW:
        return True
    return params.top_k > 0 or params.top_p < 1 or params.min_p > 0
