"""A step's rows as arrays, and the port to what computes them.

A row is one position of one sequence; the rows of a sequence stand together in the order of their
positions and form a span. Knows nothing of requests, sampling or who schedules. Letters: `r` rows,
`n` spans, `w` blocks of the longest table, `p` rows whose logits are wanted, `v` vocabulary, `c`
hidden size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32, Int64

NO_EXIT = -1
EVERYTHING = np.iinfo(np.int32).max  # the window of a sequence that sees all its past


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Positions `start` to `stop` of one sequence, and where its blocks are.

    `token_ids` are those of just these positions. `wants` says which logits are needed: the last
    row's, all, or none. A query at position p sees key j if j <= p and (j < sinks or
    j > p - window); where keys between the two are unseen, it meets the sinks at positions within
    the cache.
    """

    token_ids: Sequence[int]
    start: int
    blocks: Sequence[int]
    wants: Literal["last", "all", "none"] = "last"
    sinks: int = 0
    window: int = int(EVERYTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The rows of one step; with `exit_layer`, from 0, the states after that layer are wanted."""

    token_ids: Int64[np.ndarray, " r"]
    positions: Int32[np.ndarray, " r"]
    span_starts: Int32[np.ndarray, " n1"]
    block_tables: Int32[np.ndarray, "n w"]
    sinks: Int32[np.ndarray, " n"]
    windows: Int32[np.ndarray, " n"]
    output_rows: Int32[np.ndarray, " p"]
    exit_layer: int = NO_EXIT


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """Logits of the wanted rows, in their order, and the hidden states that they come from.

    `exit_hidden` are the states after the batch's `exit_layer`, through the final norm too, as the
    head would read them. All may be overwritten by the next step.
    """

    logits: Float32[np.ndarray, "p v"]
    hidden: Float32[np.ndarray, "p c"]
    exit_hidden: Float32[np.ndarray, "p c"] | None = None


@runtime_checkable
class ModelRunner(Protocol):
    """Computes steps over a paged cache that it owns."""

    @property
    def kernels(self) -> str:
        """What computes: `amx-int8`, ..., `torch-float32`."""
        ...

    @property
    def num_blocks(self) -> int:
        """How many blocks of 16 positions the cache has."""
        ...

    def forward(self, batch: Batch) -> StepOutput:
        """Compute the rows; writes their keys and values into the cache."""
        ...

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copy whole blocks of the cache, (source, target) each."""
        ...


def batch_of(spans: Sequence[Span], exit_layer: int = NO_EXIT) -> Batch:
    """Return the rows of some spans, in their order."""
    lengths = [len(span.token_ids) for span in spans]
    starts = np.zeros(len(spans) + 1, np.int32)
    np.cumsum(lengths, out=starts[1:])
    tables = np.full((len(spans), max(len(span.blocks) for span in spans)), -1, np.int32)
    token_ids: list[int] = []
    outputs: list[int] = []
    for i, span in enumerate(spans):
        tables[i, : len(span.blocks)] = span.blocks
        token_ids.extend(span.token_ids)
        if span.wants == "last":
            outputs.append(len(token_ids) - 1)
        elif span.wants == "all":
            outputs.extend(range(len(token_ids) - lengths[i], len(token_ids)))
    first = np.array([span.start for span in spans], np.int32)
    positions = np.repeat(first - starts[:-1], lengths) + np.arange(len(token_ids), dtype=np.int32)
    return Batch(
        token_ids=np.array(token_ids, np.int64),
        positions=positions.astype(np.int32, copy=False),
        span_starts=starts,
        block_tables=tables,
        sinks=np.array([span.sinks for span in spans], np.int32),
        windows=np.array([span.window for span in spans], np.int32),
        output_rows=np.array(outputs, np.int32),
        exit_layer=exit_layer,
    )


def checked_exit(exit_layer: int, num_layers: int) -> int | None:
    """Return after which layer to leave a state; None for none.

    Raises:
        ValueError: there is no such layer.
    """
    if not NO_EXIT <= exit_layer < num_layers:
        raise ValueError(
            f"exit_layer must be in [0, {num_layers - 1}], or {NO_EXIT} for none, got {exit_layer}"
        )
    return None if exit_layer == NO_EXIT else exit_layer


def cache_positions(batch: Batch) -> Int32[np.ndarray, " r"]:
    """Return where each row's query stands among the keys that it sees.

    Positions within the rolling cache (StreamingLLM, arXiv 2309.17453): sinks, then the window.
    Only the distance to the sinks differs from the absolute one.
    """
    lengths = np.diff(batch.span_starts)
    longest = batch.sinks.astype(np.int64) + batch.windows - 1
    return np.minimum(batch.positions, np.repeat(longest, lengths)).astype(np.int32)
