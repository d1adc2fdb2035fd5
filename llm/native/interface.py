"""The C structures of `decoder.h`, and the threads that run them. Knows pointers, not tensors."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_void_p

from llm.native.loader import load_library

GROUP = 64
BLOCK = 16


class LinearStruct(Structure):
    """`CauserieLinear`."""

    _fields_ = (
        ("codes", c_void_p),
        ("scales", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    )


class LayerStruct(Structure):
    """`CauserieLayer`."""

    _fields_ = (
        ("input_norm", c_void_p),
        ("qkv", LinearStruct),
        ("out", LinearStruct),
        ("mlp_norm", c_void_p),
        ("gate_up", LinearStruct),
        ("down", LinearStruct),
        ("keys", c_void_p),
        ("values", c_void_p),
    )


class ModelStruct(Structure):
    """`CauserieModel`."""

    _fields_ = (
        ("layers", POINTER(LayerStruct)),
        ("embedding", c_void_p),
        ("final_norm", c_void_p),
        ("head", LinearStruct),
        ("num_layers", c_int32),
        ("hidden", c_int32),
        ("heads", c_int32),
        ("kv_heads", c_int32),
        ("head_dim", c_int32),
        ("mlp", c_int32),
        ("eps", c_float),
    )


class BatchStruct(Structure):
    """`CauserieBatch`."""

    _fields_ = (
        ("token_ids", c_void_p),
        ("positions", c_void_p),
        ("cosines", c_void_p),
        ("sines", c_void_p),
        ("sink_cosines", c_void_p),
        ("sink_sines", c_void_p),
        ("span_starts", c_void_p),
        ("block_tables", c_void_p),
        ("sinks", c_void_p),
        ("windows", c_void_p),
        ("output_rows", c_void_p),
        ("logits", c_void_p),
        ("hidden", c_void_p),
        ("exit_hidden", c_void_p),
        ("rows", c_int32),
        ("spans", c_int32),
        ("table_width", c_int32),
        ("outputs", c_int32),
        ("exit_layer", c_int32),
    )


class NativeTeam:
    """Threads of our own with the memory they work in; one job at a time."""

    def __init__(self, threads: int, path: str) -> None:
        """Start the threads; `path` is one of `kernel_paths()`.

        Raises:
            ValueError: the kernels were not built, or this processor cannot run that path.
        """
        library = load_library()
        if library is None:
            raise ValueError("the compiled kernels are not there; install with a C++ compiler")
        self.threads = threads
        self.path = path
        library.causerie_team_new.restype = c_void_p
        library.causerie_team_new.argtypes = [c_int32, c_char_p]
        library.causerie_team_delete.restype = None
        library.causerie_team_delete.argtypes = [c_void_p]
        self._forward = library.causerie_forward
        self._forward.restype = c_int32
        self._forward.argtypes = [c_void_p, POINTER(ModelStruct), POINTER(BatchStruct)]
        self._linear = library.causerie_linear
        self._linear.restype = None
        self._linear.argtypes = [
            c_void_p, POINTER(LinearStruct), c_void_p, c_int32, c_void_p, c_void_p, c_void_p,
            c_void_p,
        ]  # fmt: skip
        self._delete = library.causerie_team_delete
        self._team: int | None = library.causerie_team_new(threads, path.encode())
        if self._team is None:
            raise ValueError(f"the kernels {path!r} cannot run on this processor")

    def forward(self, model: ModelStruct, batch: BatchStruct) -> None:
        """Run one step; the GIL is free meanwhile.

        Raises:
            MemoryError: there was no memory for a step of so many rows.
        """
        if self._forward(self._team, ctypes.byref(model), ctypes.byref(batch)):
            raise MemoryError(f"no memory for a step of {batch.rows} rows")

    def linear(
        self, linear: LinearStruct, x: int, rows: int, scratch: tuple[int, int, int], y: int
    ) -> None:
        """Quantise rows and multiply; pointers to rows, (codes, scales, corrections), result."""
        self._linear(self._team, ctypes.byref(linear), x, rows, *scratch, y)

    def close(self) -> None:
        """Stop the threads; idempotent."""
        if self._team is not None:
            self._delete(self._team)
            self._team = None

    def __del__(self) -> None:
        self.close()
