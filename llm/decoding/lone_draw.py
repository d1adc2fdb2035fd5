"""The draw of one row by itself: it has cuts, weights or noise that the sampler does not know.

Letters: `v` vocabulary.
"""

import numpy as np
from jaxtyping import Float32

from llm.decoding.logit_rows import damaged
from llm.decoding.phases import Survivors
from llm.decoding.pipeline_row import PipelineRow
from llm.decoding.sampler import BatchSampler, SamplingRows
from llm.decoding.speculative import verify
from llm.decoding.truncate import GREEDY_BELOW, MARKED_GREEDY, truncate


def is_alone(row: PipelineRow) -> bool:
    """Whether a row is drawn by itself."""
    return row.needs_twin or row.is_reweighted or row.drafted is not None


class LoneDraw:
    """Draws for rows of a batch one by one."""

    def __init__(self, sampler: BatchSampler, sampling: SamplingRows) -> None:
        """Take the sampler and the batch in whose slots the rows sit."""
        self._sampler = sampler
        self._sampling = sampling

    def survivors(self, row: PipelineRow) -> Survivors:
        """Return what may be drawn, before a mark weighs it.

        Raises:
            EngineFailureError: nothing can be drawn.
        """
        if row.survivors is None:
            assert row.logits is not None
            if row.is_reweighted and row.params.temperature < GREEDY_BELOW:
                row.survivors = truncate(row.logits, MARKED_GREEDY)
            elif row.needs_twin:
                try:
                    row.survivors = truncate(row.logits, row.params, most_bits=row.ceiling)
                except ValueError:
                    raise damaged() from None
            else:
                row.survivors = self._found(row, row.logits)
        return row.survivors

    def draw(self, row: PipelineRow) -> int:
        """Return a token; see `survivors` for errors."""
        row.survivors = None
        survivors = self.survivors(row)
        if not len(survivors.token_ids):
            raise damaged()
        noise = None
        if (mark := row.guidance.mark) is not None and row.is_reweighted:
            survivors = mark.reweight(survivors)
            if row.params.temperature < GREEDY_BELOW:
                best = survivors.log_probs == survivors.log_probs.max()
                return int(survivors.token_ids[best].min())
            noise = mark.noise(survivors.token_ids)
        if row.drafted is not None:
            verdict = verify(
                survivors,
                row.drafted,
                q=None,
                seed=row.seed,
                position=row.position,
                stream=row.row.branch,
            )
            return verdict.token
        if noise is not None:
            score = survivors.log_probs + noise
            return int(survivors.token_ids[score == score.max()].min())
        seed, position, stream = row.noise
        return self._sampler.draw_one(survivors, seed=seed, position=position, stream=stream)

    def _found(self, row: PipelineRow, logits: Float32[np.ndarray, " v"]) -> Survivors:
        return self._sampler.survivors(logits[None], self._sampling.at([row.slot])).row(0)
