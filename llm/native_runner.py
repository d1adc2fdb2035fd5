"""Steps on the compiled int8 kernels: one call a step, no Python between the layers.

Bits of a row do not depend on the batch, on how a prompt was cut into chunks, or on the number of
threads (`llm/native/attention.inc` says why). Letters: `r` rows, `p` wanted rows, `c`
hidden size.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float32

from llm.model_runner import EVERYTHING, Batch, StepOutput, cache_positions, checked_exit
from llm.native.interface import (
    BatchStruct,
    LayerStruct,
    LinearStruct,
    ModelStruct,
    NativeTeam,
)
from llm.packed_model import PackedLayer, PackedModel
from llm.paged_cache import PagedCache
from llm.positional import RotaryTable
from llm.quantization import QuantizedLinear
from llm.unembedding import Unembedding


class NativeRunner:
    """A `ModelRunner` of one packed model."""

    def __init__(self, model: PackedModel, cache: PagedCache, *, threads: int, path: str) -> None:
        """Start `threads` threads on the kernels `path`.

        Raises:
            ValueError: this processor cannot run them.
        """
        self._model = model
        self._cache = cache
        self._team = NativeTeam(threads, path)
        config = model.config
        self._rotary = RotaryTable(
            config.head_dim,
            config.rope_theta,
            config.max_position_embeddings,
            config.rope_scaling,
        )
        self._layers = (LayerStruct * len(model.layers))(
            *(_layer(layer, cache, i) for i, layer in enumerate(model.layers))
        )
        self._struct = ModelStruct(
            layers=self._layers,
            embedding=model.embedding.data_ptr(),
            final_norm=model.final_norm.data_ptr(),
            head=_linear(model.head),
            num_layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            mlp=config.intermediate_size,
            eps=config.rms_norm_eps,
        )
        self._results = self._new_results(1)  # used again while large enough
        self._exits: Float32[np.ndarray, "p c"] | None = None  # made when first asked for

    @property
    def kernels(self) -> str:
        """The build of the kernels that runs."""
        return self._team.path

    @property
    def threads(self) -> int:
        """How many threads compute."""
        return self._team.threads

    @property
    def num_blocks(self) -> int:
        """Blocks of the cache."""
        return self._cache.num_blocks

    @property
    def nbytes(self) -> int:
        """Memory of the weights and of the whole cache."""
        return self._model.nbytes + self._cache.nbytes

    @property
    def unembedding(self) -> Unembedding:
        """The rows of the output matrix."""
        return self._model.unembedding

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        """Copy whole blocks of the cache."""
        self._cache.copy(copies)

    def close(self) -> None:
        """Stop the threads."""
        self._team.close()

    def forward(self, batch: Batch) -> StepOutput:
        """Compute the rows of a step; the result is good until the next.

        Raises:
            ValueError: the model has no layer `exit_layer`.
        """
        wanted = len(batch.output_rows)
        if wanted > len(self._results.logits):
            self._results = self._new_results(wanted)
        cosines, sines = self._rotary.rows(batch.positions)
        sink_cosines, sink_sines = cosines, sines
        if (batch.windows != EVERYTHING).any():
            sink_cosines, sink_sines = self._rotary.rows(cache_positions(batch))
        logits, hidden = self._results.logits, self._results.hidden
        exits = self._room_for_exits(batch)
        struct = BatchStruct(
            batch.token_ids.ctypes.data,
            batch.positions.ctypes.data,
            cosines.ctypes.data,
            sines.ctypes.data,
            sink_cosines.ctypes.data,
            sink_sines.ctypes.data,
            batch.span_starts.ctypes.data,
            batch.block_tables.ctypes.data,
            batch.sinks.ctypes.data,
            batch.windows.ctypes.data,
            batch.output_rows.ctypes.data,
            logits.ctypes.data,
            hidden.ctypes.data,
            None if exits is None else exits.ctypes.data,
            len(batch.token_ids),
            len(batch.sinks),
            batch.block_tables.shape[1],
            wanted,
            batch.exit_layer,
        )
        self._team.forward(self._struct, struct)
        return StepOutput(
            logits=logits[:wanted, : self._model.config.vocab_size],
            hidden=hidden[:wanted],
            exit_hidden=None if exits is None else exits[:wanted],
        )

    def _room_for_exits(self, batch: Batch) -> Float32[np.ndarray, "p c"] | None:
        if checked_exit(batch.exit_layer, len(self._model.layers)) is None:
            return None
        if self._exits is None or len(self._exits) < len(batch.output_rows):
            self._exits = np.zeros_like(self._results.hidden)
        return self._exits

    def _new_results(self, rows: int) -> StepOutput:
        head, hidden = self._model.head.outputs, self._model.config.hidden_size
        return StepOutput(
            logits=np.zeros((rows, head), np.float32), hidden=np.zeros((rows, hidden), np.float32)
        )


def _linear(linear: QuantizedLinear) -> LinearStruct:
    return LinearStruct(
        linear.codes.data_ptr(), linear.scales.data_ptr(), linear.inputs, linear.outputs
    )


def _layer(layer: PackedLayer, cache: PagedCache, index: int) -> LayerStruct:
    assert cache.keys.dtype == torch.float16
    return LayerStruct(
        layer.input_norm.data_ptr(),
        _linear(layer.qkv),
        _linear(layer.out),
        layer.mlp_norm.data_ptr(),
        _linear(layer.gate_up),
        _linear(layer.down),
        cache.keys[index].data_ptr(),
        cache.values[index].data_ptr(),
    )
