"""The functions of `logit_rows.h` on numpy rows. Knows arrays and their addresses, no requests."""

import ctypes
from ctypes import c_char_p, c_double, c_int, c_int64, c_void_p

import numpy as np
from jaxtyping import Float32, Int32, Int64


class NativeLogitRows:
    """Masks and best candidates of whole rows in C++; for one thread at a time."""

    def __init__(self, library: ctypes.CDLL, *, path: str | None = None) -> None:
        """Take the compiled kernels; `path` is "portable", "avx2" or "avx512", None the best.

        Raises:
            AttributeError: they were compiled before these functions were written.
            ValueError: this processor cannot run that path.
        """
        find = library.causerie_sampling_loops
        find.restype, find.argtypes = c_void_p, [c_char_p]
        loops = find(None if path is None else path.encode())
        if loops is None:
            raise ValueError(f"the sampler's loops {path!r} cannot run on this processor")
        self._loops = c_void_p(loops)
        # Without argtypes ctypes converts nothing: what is passed below is a C object already.
        self._forbid = library.causerie_forbid
        self._forbid.restype = c_int
        self._best = library.causerie_best
        self._best.restype = c_int64
        self._log_total = c_double(0.0)
        self._log_total_at = ctypes.byref(self._log_total)
        self._room(0)

    def _room(self, k: int) -> None:
        self._ids = np.empty(k, np.int64)
        self._values = np.empty(k, np.float32)
        self._ids_at = c_void_p(self._ids.ctypes.data)
        self._values_at = c_void_p(self._values.ctypes.data)

    def forbid(
        self, logits: Float32[np.ndarray, " v"], mask: Int32[np.ndarray, " words"] | None
    ) -> bool:
        """Forbid in place what has no bit; False if the row was damaged."""
        _check(logits)
        words = None
        if mask is not None:
            assert mask.dtype == np.int32
            assert mask.flags.c_contiguous
            assert len(mask) == (len(logits) + 31) // 32
            words = mask.ctypes.data
        row = c_void_p(logits.ctypes.data)
        status: int = self._forbid(self._loops, row, c_int64(len(logits)), c_void_p(words))
        if status == 2:
            raise MemoryError("no memory for the check of a row")
        return status == 0

    def best(
        self, logits: Float32[np.ndarray, " v"], k: int
    ) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"], float] | None:
        """Return ids and logits of the best, and the row's log-total; None if it is damaged."""
        assert k > 0
        _check(logits)
        if k > len(self._ids):
            self._room(k)
        found: int = self._best(
            self._loops,
            c_void_p(logits.ctypes.data),
            c_int64(len(logits)),
            c_int64(k),
            self._ids_at,
            self._values_at,
            self._log_total_at,
        )
        if found == -2:
            raise MemoryError("no memory for the best of a row")
        if found < 0:
            return None
        return self._ids[:found].copy(), self._values[:found].copy(), self._log_total.value


def _check(logits: Float32[np.ndarray, " v"]) -> None:
    assert logits.dtype == np.float32
    assert logits.flags.c_contiguous
