"""One forward pass as the scheduler plans it: which positions of which sequences are computed.

Knows neither blocks nor tensors.
"""

from dataclasses import dataclass
from operator import attrgetter

from llm.block_manager import BlockCopy
from llm.sequence import Sequence

_last_served = attrgetter("last_served")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Positions [`start`, `stop`) of a sequence, to be computed in this step.

    `needs_logits` if they reach the end of its tokens, so that the next one can be drawn. Those of
    the `draft` come behind: guessed tokens, which are computed too and need logits each.
    """

    sequence: Sequence
    start: int
    stop: int
    needs_logits: bool
    draft: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        assert self.start < self.stop, "a chunk has a position"

    @property
    def num_rows(self) -> int:
        """How many positions it computes."""
        return self.stop - self.start + len(self.draft)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One forward pass: decoding rows first, then parts of prompts.

    `copies` are made before it, all sources being read before any target is written, or one by one
    in their order. `preempted` sequences lost their blocks; their tokens stay.
    """

    chunks: tuple[Chunk, ...]
    copies: tuple[BlockCopy, ...]
    preempted: tuple[Sequence, ...]


class StepPlan:
    """A step that is being put together."""

    __slots__ = ("chunks", "copies", "num_rows", "preempted")

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.copies: list[BlockCopy] = []
        self.preempted: list[Sequence] = []
        self.num_rows = 0

    def add(self, chunk: Chunk) -> None:
        """Add a chunk behind the others."""
        self.chunks.append(chunk)
        self.num_rows += chunk.num_rows

    def drop(self, sequence: Sequence, held: set[int]) -> None:
        """Take a sequence out whose blocks, `held`, are given to others."""
        for chunk in self.chunks:
            if chunk.sequence is sequence:
                self.num_rows -= chunk.num_rows
        self.chunks[:] = [chunk for chunk in self.chunks if chunk.sequence is not sequence]
        self.copies[:] = [copy for copy in self.copies if copy.target not in held]


def num_left(sequence: Sequence) -> int:
    """Return how many tokens of a prompt may be computed.

    The last one of a gang's member waits until all members are at theirs.
    """
    left = len(sequence.token_ids) - sequence.num_computed
    return left if sequence.gang is None else left - 1


def shares(prompts: list[Sequence], num_rows: int) -> list[tuple[Sequence, int]]:
    """Divide rows equally; what a short prompt leaves over is divided among the longer ones.

    Where there are more prompts than rows, those come first that were served longest ago.
    """
    if len(prompts) > num_rows:
        return [(sequence, 1) for sequence in sorted(prompts, key=_last_served)]
    divided = []
    for i, sequence in enumerate(sorted(prompts, key=num_left)):
        share = min(num_left(sequence), num_rows // (len(prompts) - i))
        num_rows -= share
        divided.append((sequence, share))
    return sorted(divided, key=lambda pair: pair[0].rank)
