"""A small decoder as a drafter.

It draws from its own distribution with the noise of the branch: by the seed, the position and the
token, as `llm/decoding/draw.py` does. Then the token drafted is the one that the large model draws,
with probability sum over k of 1 / sum over j of max(p_j / p_k, q_j / q_k), which is at least
(1 - TV) / (1 + TV). Knows neither the small model nor its cache. Letters: `v` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from llm.decoding.draw import draw
from llm.decoding.phases import Survivors
from llm.decoding.truncate import truncate
from llm.sampling_params import SamplingParams


@runtime_checkable
class NextLogits(Protocol):
    """A decoder with the vocabulary of the large one."""

    def next_logits(self, token_ids: Sequence[int]) -> Float32[np.ndarray, " v"]:
        """Return the logits of the token behind these, which must not be changed nor kept.

        One call asks for a longer text than the last, or for one that parts from it near the end;
        what was computed of their common beginning can be used again.
        """
        ...

    def fork(self) -> "NextLogits":
        """Return a copy for a text that goes on by itself; it may share a cache."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftNoise:
    """How a branch draws: its temperature and cuts, and its noise.

    Of the parameters nothing else is used. Of the logits of the small model the `num_candidates`
    highest are.
    """

    params: SamplingParams
    seed: int
    stream: int = 0
    num_candidates: int = 256

    def __post_init__(self) -> None:
        if not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"the seed of a draft must fit in 64 bits, got {self.seed}")
        if not 0 <= self.stream < 2**32:
            raise ValueError(f"the stream of a branch must be in [0, 2**32), got {self.stream}")
        if self.num_candidates < 1:
            raise ValueError(
                f"a draft is drawn from 1 candidate or more, got {self.num_candidates}"
            )


class DraftModel:
    """Drafts what a small decoder draws."""

    __slots__ = ("_model", "_noise", "_text", "distributions")

    def __init__(self, model: NextLogits, prompt_ids: Sequence[int], noise: DraftNoise) -> None:
        """Take the decoder, the prompt, and how the branch draws."""
        self._model = model
        self._text = list(prompt_ids)
        self._noise = noise
        # what each token of the last draft was drawn from: the q of `speculative.verify`
        self.distributions: list[Survivors] = []

    def propose(self, most: int) -> list[int]:
        """See `phases.Drafter`; ends where the logits of the small model are not finite."""
        self.distributions = []
        known = len(self._text)
        text = self._text.copy()
        while len(text) < known + most:
            try:
                q = _survivors(self._model.next_logits(text), self._noise)
            except ValueError:  # a damaged drafter costs time, not the answer
                break
            token = draw(
                q.token_ids,
                q.log_probs,
                seed=self._noise.seed,
                position=len(text),
                stream=self._noise.stream,
            )
            self.distributions.append(q)
            text.append(token)
        return text[known:]

    def take(self, token: int) -> None:
        """See `phases.Drafter`."""
        self._text.append(token)

    def fork(self, stream: int | None = None) -> "DraftModel":
        """Return an independent copy, for a branch of another number if one is given."""
        noise = self._noise
        if stream is not None:
            noise = replace(noise, stream=stream)
        return DraftModel(self._model.fork(), self._text, noise)


def _survivors(logits: Float32[np.ndarray, " v"], noise: DraftNoise) -> Survivors:
    """Return the survivors among the highest logits, in the ids of the whole vocabulary."""
    if len(logits) <= noise.num_candidates:
        return truncate(logits, noise.params)
    # ascending, so that ties go to the lower id as everywhere
    ids = np.sort(np.argpartition(logits, -noise.num_candidates)[-noise.num_candidates :])
    found = truncate(logits[ids], noise.params)
    return Survivors(token_ids=ids[found.token_ids], log_probs=found.log_probs)
