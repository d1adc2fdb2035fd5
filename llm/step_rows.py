"""What one forward pass gave: the rows of each chunk that needs logits.

A row that breaks the pass is found by computing each chunk alone, so that it takes no other with
it. Letters: `p` wanted rows, `v` vocabulary, `c` hidden size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from llm.decoding.phases import Forwards, ShapedLogits
from llm.model_runner import EVERYTHING, ModelRunner, Span, StepOutput, batch_of
from llm.step_plan import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """The chunks that were computed, and their wanted rows, those of `chunks[i]` from `starts[i]`.

    May be overwritten by the next pass.
    """

    chunks: tuple[Chunk, ...]
    starts: tuple[int, ...]
    logits: Float32[np.ndarray, "p v"]
    hidden: Float32[np.ndarray, "p c"]
    exit_hidden: Float32[np.ndarray, "p c"] | None

    def forwards(self, row: int, baseline: int | None = None) -> Forwards:
        """Return what stands beside the logits of a row; `baseline` is another row."""
        exits = self.exit_hidden
        return Forwards(
            hidden=self.hidden[row],
            exit_hidden=None if exits is None else exits[row],
            baseline=None if baseline is None else ShapedLogits(self.logits[baseline]),
        )


def compute(
    runner: ModelRunner,
    chunks: Sequence[Chunk],
    *,
    exit_layer: int,
    fail: Callable[[Chunk, Exception], None],
) -> StepRows:
    """Compute some chunks; those that cannot be are told to `fail` and left out."""
    try:
        output = runner.forward(batch_of([_span_of(chunk) for chunk in chunks], exit_layer))
    except Exception as error:  # noqa: BLE001 - it may be the fault of one row: each on its own
        if len(chunks) == 1:
            fail(chunks[0], error)
            return _rows([], [])
    else:
        return _rows(chunks, [output])
    kept: list[Chunk] = []
    outputs: list[StepOutput] = []
    for chunk in chunks:
        alone = compute(runner, [chunk], exit_layer=exit_layer, fail=fail)
        if alone.chunks:
            kept.append(chunk)
            exits = alone.exit_hidden
            outputs.append(  # copies: the runner uses the memory again
                StepOutput(
                    logits=alone.logits.copy(),
                    hidden=alone.hidden.copy(),
                    exit_hidden=None if exits is None else exits.copy(),
                )
            )
    return _rows(kept, outputs)


def _rows(chunks: Sequence[Chunk], outputs: Sequence[StepOutput]) -> StepRows:
    starts, total = [], 0
    for chunk in chunks:
        starts.append(total)
        total += 1 + len(chunk.draft) if chunk.needs_logits else 0
    logits = _joined([output.logits for output in outputs])
    return StepRows(
        chunks=tuple(chunks),
        starts=tuple(starts),
        logits=logits,
        hidden=_joined([output.hidden for output in outputs]),
        exit_hidden=_joined([o.exit_hidden for o in outputs if o.exit_hidden is not None])
        if any(output.exit_hidden is not None for output in outputs)
        else None,
    )


def _joined(parts: Sequence[Float32[np.ndarray, "_ x"]]) -> Float32[np.ndarray, "_ x"]:
    if len(parts) == 1:
        return parts[0]
    filled = [part for part in parts if part.size] or list(parts)
    return np.concatenate(filled) if filled else np.zeros((0, 0), np.float32)


def _span_of(chunk: Chunk) -> Span:
    sequence, start, stop = chunk.sequence, chunk.start, chunk.stop
    assert sequence.table is not None
    window = sequence.window
    wants: Literal["all", "last"] = "all" if chunk.draft else "last"
    return Span(
        token_ids=[*sequence.token_ids[start:stop], *chunk.draft],
        start=start,
        blocks=sequence.table.blocks,
        wants=wants if chunk.needs_logits else "none",
        sinks=0 if window is None else window.sinks,
        window=EVERYTHING if window is None else window.size,
    )
