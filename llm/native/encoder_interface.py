"""The C structures of `encoder.h` on numpy arrays. Knows pointers, not tensors."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_void_p
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from llm.native.loader import load_library


class EncoderLinearStruct(Structure):
    """`CauserieEncoderLinear`."""

    _fields_ = (
        ("codes", c_void_p),
        ("scales", c_void_p),
        ("bias", c_void_p),
        ("spread", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    )


class EncoderNormStruct(Structure):
    """`CauserieEncoderNorm`."""

    _fields_ = (("gain", c_void_p), ("bias", c_void_p))


class EncoderLayerStruct(Structure):
    """`CauserieEncoderLayer`."""

    _fields_ = (
        ("qkv", EncoderLinearStruct),
        ("out", EncoderLinearStruct),
        ("attention_norm", EncoderNormStruct),
        ("up", EncoderLinearStruct),
        ("down", EncoderLinearStruct),
        ("output_norm", EncoderNormStruct),
    )


class EncoderModelStruct(Structure):
    """`CauserieEncoderModel`."""

    _fields_ = (
        ("layers", POINTER(EncoderLayerStruct)),
        ("words", c_void_p),
        ("positions", c_void_p),
        ("embedding_norm", EncoderNormStruct),
        ("num_layers", c_int32),
        ("hidden", c_int32),
        ("heads", c_int32),
        ("mlp", c_int32),
        ("eps", c_float),
    )


class TextsStruct(Structure):
    """`CauserieTexts`."""

    _fields_ = (
        ("token_ids", c_void_p),
        ("starts", c_void_p),
        ("vectors", c_void_p),
        ("states", c_void_p),
        ("texts", c_int32),
    )


def has_encoder() -> bool:
    """Tell whether the compiled kernels are there and know the encoder."""
    library = load_library()
    return library is not None and hasattr(library, "causerie_encode")


class NativeTextKernels:
    """One encoder's weights, packed for this processor, with threads of its own."""

    def __init__(self, model: EncoderModelStruct, *, threads: int, path: str) -> None:
        """Pack the weights and start the threads; `path` is one of `kernel_paths()`.

        Raises:
            ValueError: the kernels were not built, or this processor cannot run that path.
            MemoryError: there was no memory for the weights.
        """
        library = load_library()
        if library is None or not has_encoder():
            raise ValueError("the compiled encoder is not there; install with a C++ compiler")
        self._library: Any = library
        self.path = path
        self.threads = threads
        self._encoder: int | None = None
        library.causerie_team_new.restype = c_void_p
        library.causerie_team_new.argtypes = [c_int32, c_char_p]
        library.causerie_team_delete.restype = None
        library.causerie_team_delete.argtypes = [c_void_p]
        library.causerie_encoder_new.restype = c_void_p
        library.causerie_encoder_new.argtypes = [c_void_p, POINTER(EncoderModelStruct)]
        library.causerie_encoder_delete.restype = None
        library.causerie_encoder_delete.argtypes = [c_void_p]
        library.causerie_encode.restype = c_int32
        library.causerie_encode.argtypes = [c_void_p, POINTER(TextsStruct)]
        self._team: int | None = library.causerie_team_new(threads, path.encode())
        if self._team is None:
            raise ValueError(f"the kernels {path!r} cannot run on this processor")
        self._hidden = int(model.hidden)
        self._encoder = library.causerie_encoder_new(self._team, ctypes.byref(model))
        if self._encoder is None:
            raise MemoryError("no memory for the encoder's packed weights")

    def encode(
        self,
        token_ids: Int32[np.ndarray, " t"],
        starts: Int32[np.ndarray, " m"],
        *,
        with_states: bool = False,
    ) -> tuple[Float32[np.ndarray, "n c"], Float32[np.ndarray, "t c"] | None]:
        """Return a unit row for each text [starts[i], starts[i+1]), and each token's state.

        The GIL is free meanwhile. No text may be empty.

        Raises:
            MemoryError: there was no memory for so many tokens.
        """
        assert token_ids.flags.c_contiguous
        assert starts.flags.c_contiguous
        vectors = np.empty((len(starts) - 1, self._hidden), np.float32)
        states = np.empty((len(token_ids), self._hidden), np.float32) if with_states else None
        struct = TextsStruct(
            token_ids.ctypes.data,
            starts.ctypes.data,
            vectors.ctypes.data,
            None if states is None else states.ctypes.data,
            len(vectors),
        )
        if len(vectors) and self._library.causerie_encode(self._encoder, ctypes.byref(struct)):
            raise MemoryError(f"no memory to encode {len(token_ids)} tokens")
        return vectors, states

    def close(self) -> None:
        """Stop the threads; idempotent."""
        if self._encoder is not None:
            self._library.causerie_encoder_delete(self._encoder)
            self._encoder = None
        if self._team is not None:
            self._library.causerie_team_delete(self._team)
            self._team = None

    def __del__(self) -> None:
        if hasattr(self, "_team"):
            self.close()
