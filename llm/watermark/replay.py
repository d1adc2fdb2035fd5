"""Grammar replay: which tokens were allowed where, so that forced ones are no evidence.

It runs the grammar under which a reply was made, not the model. Letters: `n` tokens.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from llm.decoding.phases import Mask
from llm.errors import ConstraintConflictError, UndecidableTextError


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


def _stray(position: int) -> UndecidableTextError:
    return UndecidableTextError(
        f"cannot tell, because token {position} of the text does not follow the grammar; give the"
        " grammar that the reply was made under, and its tokens rather than its text"
    )
