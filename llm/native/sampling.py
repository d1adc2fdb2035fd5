"""The C structure of `sampling.h`, and arrays of what rows ask of a sampler.

Knows arrays and their addresses, neither requests nor what the knobs mean.
"""

import ctypes
from collections.abc import Callable
from ctypes import Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt32, UInt64

MAX_VOCABULARY = 2**18  # so many probabilities, as integers of 45 bits, add up within 63


@dataclass(frozen=True, slots=True, kw_only=True)
class RowArrays:
    """What each row asks of the sampler, contiguous; the arrays may be longer than a batch.

    The values are changed in place, the arrays never replaced: their addresses are kept.
    """

    temperature: Float64[np.ndarray, " r"]
    top_k: Int32[np.ndarray, " r"]
    top_p: Float64[np.ndarray, " r"]
    min_p: Float64[np.ndarray, " r"]
    seed: UInt64[np.ndarray, " r"]
    position: Int64[np.ndarray, " r"]
    stream: UInt32[np.ndarray, " r"]

    @classmethod
    def zeros(cls, capacity: int) -> "RowArrays":
        """Return room for `capacity` rows."""
        return cls(
            temperature=np.zeros(capacity),
            top_k=np.zeros(capacity, np.int32),
            top_p=np.ones(capacity),
            min_p=np.zeros(capacity),
            seed=np.zeros(capacity, np.uint64),
            position=np.zeros(capacity, np.int64),
            stream=np.zeros(capacity, np.uint32),
        )


_KNOBS = tuple(field.name for field in fields(RowArrays))


class SamplingStruct(Structure):
    """`CauserieSampling`."""

    _fields_ = (
        ("loops", c_void_p),
        ("logits", c_void_p),
        ("stride", c_int64),
        ("vocabulary", c_int64),
        ("temperature", c_void_p),
        ("top_k", c_void_p),
        ("top_p", c_void_p),
        ("min_p", c_void_p),
        ("seed", c_void_p),
        ("position", c_void_p),
        ("stream", c_void_p),
        ("token", c_void_p),
        ("count", c_void_p),
        ("id", c_void_p),
        ("log_prob", c_void_p),
    )


class NativeSampler:
    """Draws whole batches in C++; the GIL is free meanwhile. For one thread at a time."""

    def __init__(
        self,
        library: ctypes.CDLL,
        *,
        path: str | None = None,
        run: Callable[[SamplingStruct, int], int] | None = None,
    ) -> None:
        """Take the compiled kernels; `path` is "portable", "avx2" or "avx512", None the best.

        `run(struct, count)` calls `causerie_sample` on ranges that cover `count` rows, in threads
        of its own, and returns the largest status; None: one call here.

        Raises:
            ValueError: this processor cannot run that path.
        """
        find = library.causerie_sampling_loops
        find.restype, find.argtypes = c_void_p, [c_char_p]
        loops = find(None if path is None else path.encode())
        if loops is None:
            raise ValueError(f"the sampler's loops {path!r} cannot run on this processor")
        # Without argtypes ctypes converts nothing: what is passed below is a C object already.
        self._run = run or self._run_here
        self._sample = library.causerie_sample
        self._survivors = library.causerie_survivors
        self._compact = library.causerie_compact_survivors
        self._compact.restype = None
        self._draw = library.causerie_draw
        for function in (self._sample, self._survivors, self._draw):
            function.restype = c_int
        self._struct = SamplingStruct(loops=loops)
        self._reference = ctypes.byref(self._struct)
        self._zero = c_int64(0)
        self._rows: RowArrays | None = None
        self._tokens = np.empty(0, np.int64)

    def _bind(self, logits: Float32[np.ndarray, "r v"], rows: RowArrays) -> None:
        count, v = logits.shape
        if logits.dtype != np.float32 or logits.strides[1] != logits.itemsize:
            raise ValueError(
                f"logits must be float32 with contiguous rows, got {logits.dtype} with strides"
                f" {logits.strides}; copy them"
            )
        if not 1 <= v <= MAX_VOCABULARY:
            raise ValueError(f"a vocabulary must have 1 to {MAX_VOCABULARY} tokens, got {v}")
        self._bind_rows(count, rows)
        self._struct.logits = logits.ctypes.data
        self._struct.stride = logits.strides[0] // logits.itemsize
        self._struct.vocabulary = v

    def _bind_rows(self, count: int, rows: RowArrays) -> None:
        if count > len(rows.position):
            raise ValueError(f"there are {count} rows of logits, but {len(rows.position)} of knobs")
        if rows is not self._rows:
            for name in _KNOBS:
                setattr(self._struct, name, getattr(rows, name).ctypes.data)
            self._rows = rows
        if count > len(self._tokens):
            self._tokens = np.empty(max(count, 2 * len(self._tokens)), np.int64)
            self._struct.token = self._tokens.ctypes.data

    def sample(
        self, logits: Float32[np.ndarray, "r v"], rows: RowArrays
    ) -> Int64[np.ndarray, " r"]:
        """Return a token per row, -1 where the logits are damaged.

        Raises:
            ValueError: the logits are not float32 with contiguous rows, more than `rows` has room
                for, or of more than `MAX_VOCABULARY` tokens.
        """
        self._bind(logits, rows)
        count = len(logits)
        _check(self._run(self._struct, count))
        return self._tokens[:count].copy()

    def _run_here(self, _: SamplingStruct, count: int) -> int:
        return self._sample(self._reference, self._zero, c_int64(count))

    def survivors(
        self, logits: Float32[np.ndarray, "r v"], rows: RowArrays
    ) -> tuple[Int64[np.ndarray, " offsets"], Int32[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Return row pointers, token ids and log-probabilities; damaged rows are left empty.

        Raises:
            ValueError: as `sample` does.
        """
        self._bind(logits, rows)
        r, v = logits.shape
        counts = np.empty(r, np.int64)
        row_ptr = np.empty(r + 1, np.int64)
        ids = np.empty(r * v, np.int32)  # pages that nobody writes cost nothing
        log_probs = np.empty(r * v)
        self._struct.count = counts.ctypes.data
        self._struct.id = ids.ctypes.data
        self._struct.log_prob = log_probs.ctypes.data
        _check(self._survivors(self._reference, self._zero, c_int64(r)))
        self._compact(self._reference, c_int64(r), c_void_p(row_ptr.ctypes.data))
        total = int(row_ptr[-1])
        return row_ptr, ids[:total].copy(), log_probs[:total].copy()

    def draw(
        self,
        row_ptr: Int64[np.ndarray, " offsets"],
        ids: Int32[np.ndarray, " n"],
        log_probs: Float64[np.ndarray, " n"],
        rows: RowArrays,
    ) -> Int64[np.ndarray, " r"]:
        """Draw from survivors, -1 for an empty row; all arrays contiguous."""
        count = len(row_ptr) - 1
        assert row_ptr.dtype == np.int64
        assert ids.dtype == np.int32
        assert log_probs.dtype == np.float64
        assert len(ids) == len(log_probs) == row_ptr[-1]
        self._bind_rows(count, rows)
        row_ptr, ids, log_probs = map(np.ascontiguousarray, (row_ptr, ids, log_probs))
        _check(
            self._draw(
                self._reference,
                c_void_p(row_ptr.ctypes.data),
                c_void_p(ids.ctypes.data),
                c_void_p(log_probs.ctypes.data),
                self._zero,
                c_int64(count),
            )
        )
        return self._tokens[:count].copy()


def _check(status: int) -> None:
    if status:
        raise MemoryError("no memory for the sampler's scratch")
