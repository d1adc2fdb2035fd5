"""The draw: arg max of log-probability plus Gumbel noise of (seed, position, token).

By the Gumbel-max identity this samples from the softmax of the survivors; renormalising them would
not change the arg max, so nobody does. Ties go to the lower token id. The noise has the same bits
as in `llm/native/sampling.cpp`.
"""

import numpy as np
from jaxtyping import Float64, Int64

from llm.decoding.elementary import log
from llm.philox import Purpose, uniforms


def draw(
    token_ids: Int64[np.ndarray, " n"],
    log_probs: Float64[np.ndarray, " n"],
    *,
    seed: int,
    position: int,
    stream: int = 0,
) -> int:
    """Return the drawn token; `position` is absolute, prompt included, below 2^32.

    Above these bits it holds the purpose of the noise, as `purposed` puts it there.
    """
    if len(token_ids) == 1:
        return int(token_ids[0])
    purpose = Purpose(position >> 32)
    u = uniforms(token_ids, seed=seed, position=position, stream=stream, purpose=purpose)
    score = log_probs - log(-log(u))
    best = token_ids[score == score.max()]
    return int(best.min())


def purposed(position: int, purpose: Purpose) -> int:
    """Return a position that also says what the noise is for."""
    return purpose << 32 | position
