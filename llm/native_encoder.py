"""The encoder on the compiled int8 kernels: whole texts, packed without padding, in one call.

A text's bits do not depend on the texts beside it or on the number of threads
(`llm/native/encoder.inc` says why). Letters: `n` texts, `t` tokens, `c` hidden size.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float32, Int32

from llm.native.encoder_interface import (
    EncoderLayerStruct,
    EncoderLinearStruct,
    EncoderModelStruct,
    EncoderNormStruct,
    NativeTextKernels,
)
from llm.packed_encoder import PackedEncoder, PackedEncoderLayer, PackedLinear, PackedNorm


class NativeEncoderRunner:
    """An `EncoderRunner` of one packed encoder."""

    def __init__(self, packed: PackedEncoder, *, threads: int, path: str) -> None:
        """Start `threads` threads on the kernels `path`.

        Raises:
            ValueError: the kernels do not know the encoder, or this processor cannot run them.
        """
        config = packed.config
        layers = (EncoderLayerStruct * len(packed.layers))(*map(_layer, packed.layers))
        model = EncoderModelStruct(
            layers=layers,
            words=packed.words.data_ptr(),
            positions=packed.positions.data_ptr(),
            embedding_norm=_norm(packed.embedding_norm),
            num_layers=len(packed.layers),
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            mlp=config.intermediate_size,
            eps=config.layer_norm_eps,
        )
        self._kernels = NativeTextKernels(model, threads=threads, path=path)
        self._embeddings = (packed.words, packed.positions)  # the kernels read them where they are
        self._vocabulary = config.vocab_size
        self.hidden_size = config.hidden_size
        self.longest = config.max_position_embeddings
        self.kernels = f"{path}-int8"
        self.batch_tokens = 4096

    def vectors(self, rows: Sequence[Sequence[int]]) -> Float32[np.ndarray, "n c"]:
        """Return the mean of each text's token states, as a unit row."""
        vectors, _ = self._kernels.encode(*self._packed(rows))
        return vectors

    def states(self, rows: Sequence[Sequence[int]]) -> list[Float32[np.ndarray, "t c"]]:
        """Return the last layer's states of each text's tokens."""
        token_ids, starts = self._packed(rows)
        _, states = self._kernels.encode(token_ids, starts, with_states=True)
        assert states is not None
        return np.split(states, starts[1:-1])

    def close(self) -> None:
        """Stop the threads."""
        self._kernels.close()

    def _packed(
        self, rows: Sequence[Sequence[int]]
    ) -> tuple[Int32[np.ndarray, " t"], Int32[np.ndarray, " m"]]:
        # The kernels trust what they are given.
        starts = np.zeros(len(rows) + 1, np.int32)
        np.cumsum([len(row) for row in rows], out=starts[1:])
        token_ids = np.fromiter(chain.from_iterable(rows), np.int32, int(starts[-1]))
        assert all(1 <= len(row) <= self.longest for row in rows)
        assert token_ids.size == 0 or 0 <= token_ids.min() <= token_ids.max() < self._vocabulary
        return token_ids, starts


def _linear(linear: PackedLinear) -> EncoderLinearStruct:
    outputs, inputs = linear.codes.shape
    return EncoderLinearStruct(
        linear.codes.data_ptr(),
        linear.scales.data_ptr(),
        linear.bias.data_ptr(),
        linear.spread.data_ptr(),
        inputs,
        outputs,
    )


def _norm(norm: PackedNorm) -> EncoderNormStruct:
    return EncoderNormStruct(norm.gain.data_ptr(), norm.bias.data_ptr())


def _layer(layer: PackedEncoderLayer) -> EncoderLayerStruct:
    return EncoderLayerStruct(
        _linear(layer.qkv),
        _linear(layer.out),
        _norm(layer.attention_norm),
        _linear(layer.up),
        _linear(layer.down),
        _norm(layer.output_norm),
    )
