"""Grammar replay: which tokens were allowed where, so that forced ones are no evidence.

It runs the grammar under which a reply was made, not the model. Letters: `n` tokens.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from llm.decoding.phases import Mask
from llm.errors import ConstraintConflictError, UndecidableTextError
from llm.watermark.null_laws import Law, SampledLaw
from llm.watermark.p_values import SLACK, poisson_binomial_log_tail, saddlepoint_log_tail
from llm.watermark.scheme import TextMark

MOST_LISTED = 256


@runtime_checkable
class GrammarReplay(Protocol):
    """A grammar that goes along a text; the states of `llm/decoding/grammar.py` are such."""

    def fill(self, mask: Mask) -> None:
        """Write the tokens that may come next, a bit per token, the lowest first."""
        ...

    def advance(self, token: int) -> None:
        """Take a token; a ConstraintConflictError says that it cannot come."""
        ...


def free_positions(
    token_ids: Sequence[int],
    grammar: GrammarReplay,
    vocabulary_size: int,
    observe: Callable[[int, Mask], None] | None = None,
) -> Bool[np.ndarray, " n"]:
    """Say where more than one token was allowed.

    Args:
        token_ids: the whole output, from its first token.
        grammar: at its start.
        vocabulary_size: the width of the masks.
        observe: called with each free position and its mask, which is overwritten afterwards.

    Raises:
        UndecidableTextError: the grammar does not allow a token, so the text is not of this
            grammar, or was tokenised in another way.
    """
    mask = np.zeros((vocabulary_size + 31) // 32, np.int32)
    is_free = np.zeros(len(token_ids), np.bool_)
    for position, token in enumerate(token_ids):
        grammar.fill(mask)
        if token >= vocabulary_size or not mask[token >> 5] >> (token & 31) & 1:
            raise _stray(position)
        is_free[position] = int(np.bitwise_count(mask.view(np.uint32)).sum()) > 1
        if is_free[position] and observe is not None:
            observe(position, mask)
        try:
            grammar.advance(token)
        except ConstraintConflictError:
            raise _stray(position) from None
    return is_free


def reference_log_tail(
    token_ids: Sequence[int],
    grammar: GrammarReplay,
    vocabulary_size: int,
    mark: TextMark,
    law: Law,
) -> float:
    """Return ln P(as much evidence) for this very key, if tokens came by chance.

    The tails of `Law` are over random keys. With one key and few allowed tokens what each of them
    says is settled, and a text may have much evidence because the grammar left it no other. Here
    the key is given and the tokens are chance: each of the allowed ones is as likely, where there
    are at most `MOST_LISTED`; where there are more, the law of a random key holds well enough.

    Args:
        token_ids: the whole output.
        grammar: at its start.
        vocabulary_size: the width of the masks.
        mark: of the key in question, at its start.
        law: what evidence is over a random key.
    """
    places: list[Float64[np.ndarray, " _"] | None] = []
    total = 0.0
    taken = 0

    def observe(position: int, mask: Mask) -> None:
        nonlocal total, taken
        for token in token_ids[taken:position]:
            mark.take(token)
        taken = position
        own = mark.values(np.array([token_ids[position]], np.int64))
        if own is None:
            return
        total += float(own[0])
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
        places.append(mark.values(allowed) if len(allowed) <= MOST_LISTED else None)

    free_positions(token_ids, grammar, vocabulary_size, observe)
    if law.step:
        chances = [law.mean if x is None else float(x.mean()) for x in places]
        return poisson_binomial_log_tail(np.array(chances), round(total))
    return _mixed_log_tail(law, places, total)


def _mixed_log_tail(
    law: Law, places: Sequence[Float64[np.ndarray, " _"] | None], total: float
) -> float:
    known = [SampledLaw(values=tuple(x.tolist())) for x in places if x is not None]
    num_others = len(places) - len(known)
    highest = 1.0 if num_others and math.isinf(law.cumulants(1.0)[0]) else math.inf
    most = sum(max(one.values) for one in known)
    if not num_others and total >= most - SLACK:
        return -sum(math.log(len(one.values)) for one in known)

    def cumulants(s: float) -> tuple[float, float, float]:
        parts = [one.cumulants(s) for one in known]
        parts += [law.cumulants(s)] * num_others
        first, second, third = np.array(parts).sum(axis=0).tolist() if parts else (0.0, 0.0, 0.0)
        return first, second, third

    return saddlepoint_log_tail(cumulants, total, highest)


def _stray(position: int) -> UndecidableTextError:
    return UndecidableTextError(
        f"cannot tell, because token {position} of the text does not follow the grammar; give the"
        " grammar that the reply was made under, and its tokens rather than its text"
    )
