"""The sampler of a batch: rows of logits in, tokens out.

What a row asks for is written into arrays once, when it joins; from step to step only positions
change. Compiled code draws all rows in one call; without it the twin does, row by row, the same
tokens. Knows nothing of requests, schedules or what a token means.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int32, Int64, Shaped

from llm.decoding.draw import draw
from llm.decoding.logit_rows import LogitRows
from llm.decoding.phases import Survivors
from llm.decoding.truncate import truncate
from llm.native.sampling import MAX_VOCABULARY, NativeSampler, RowArrays, SamplingStruct
from llm.sampling_params import SamplingParams

DAMAGED = -1  # stands for the token of a row whose logits hold NaN or +inf, or nothing finite

_LARGEST_K = 2**31 - 1
_FIELDS = tuple(field.name for field in fields(RowArrays))


class SamplingRows:
    """What the rows of a batch ask for, in the order of its logits.

    Rows join at the end and leave anywhere; those behind move up.
    """

    def __init__(self, capacity: int = 16) -> None:
        """Make an empty batch with room for `capacity` rows; it grows on demand."""
        self._params: list[SamplingParams] = []
        self._arrays = RowArrays.zeros(max(capacity, 1))

    def __len__(self) -> int:
        return len(self._params)

    @property
    def arrays(self) -> RowArrays:
        """The arrays behind the rows; what lies after the last row has no meaning."""
        return self._arrays

    @property
    def params(self) -> Sequence[SamplingParams]:
        """What each row was given when it joined."""
        return self._params

    @property
    def positions(self) -> Int64[np.ndarray, " r"]:
        """The absolute position of the token that each row draws next; write into it freely."""
        return self._arrays.position[: len(self._params)]

    def join(self, params: SamplingParams, *, seed: int, position: int, stream: int = 0) -> int:
        """Append a row and return its index; `stream` tells samples of one request apart.

        Raises:
            ValueError: the seed does not fit in 64 bits, or the stream in 32.
        """
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"seed must fit in 64 bits, got {seed}")
        if not 0 <= stream < 2**32:
            raise ValueError(f"stream must fit in 32 bits, got {stream}")
        row = len(self._params)
        if row == len(self._arrays.position):
            self._move(np.arange(row), capacity=2 * row)
        arrays = self._arrays
        arrays.temperature[row] = params.temperature
        arrays.top_k[row] = min(params.top_k, _LARGEST_K)
        arrays.top_p[row] = params.top_p
        arrays.min_p[row] = params.min_p
        arrays.seed[row] = seed & (2**64 - 1)
        arrays.position[row] = position
        arrays.stream[row] = stream
        self._params.append(params)
        return row

    def set_noise(self, row: int, seed: int, position: int, stream: int) -> None:
        """Set where the noise of a row's next draw comes from; see `draw`."""
        self._arrays.seed[row] = seed
        self._arrays.position[row] = position
        self._arrays.stream[row] = stream

    def leave(self, row: int) -> None:
        """Take a row out."""
        end = len(self._params)
        del self._params[row]
        row %= end
        for name in _FIELDS:
            array = getattr(self._arrays, name)
            array[row : end - 1] = array[row + 1 : end]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows alone, in this order."""
        self._params = [self._params[row] for row in rows]
        index = np.asarray(rows, np.int64)
        for name in _FIELDS:
            array = getattr(self._arrays, name)
            array[: len(index)] = array[index]

    def at(self, rows: Sequence[int]) -> "SamplingRows":
        """Return a copy of these rows; one may occur several times, as for drafted tokens."""
        chosen = SamplingRows(len(rows))
        chosen._params = [self._params[row] for row in rows]
        index = np.asarray(rows, np.int64)
        for name in _FIELDS:
            getattr(chosen._arrays, name)[: len(index)] = getattr(self._arrays, name)[index]
        return chosen

    def _move(self, rows: Int64[np.ndarray, " r"], *, capacity: int) -> None:
        grown = RowArrays.zeros(capacity)
        for name in _FIELDS:
            getattr(grown, name)[: len(rows)] = getattr(self._arrays, name)[rows]
        self._arrays = grown


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivorRows:
    """The survivors of a batch, those of row i at `row_ptr[i] : row_ptr[i + 1]`.

    Within a row the most probable stands first. A damaged row is empty.
    """

    row_ptr: Int64[np.ndarray, " offsets"]
    token_ids: Int32[np.ndarray, " n"]
    log_probs: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.row_ptr) - 1

    def row(self, i: int) -> Survivors:
        """Return one row; its log-probabilities are a view."""
        part = slice(self.row_ptr[i], self.row_ptr[i + 1])
        return Survivors(
            token_ids=self.token_ids[part].astype(np.int64), log_probs=self.log_probs[part]
        )


class BatchSampler:
    """Draws a token for each row of a batch. For one thread at a time."""

    def __init__(
        self,
        library: ctypes.CDLL | None,
        *,
        path: str | None = None,
        run: Callable[[SamplingStruct, int], int] | None = None,
    ) -> None:
        """Take the compiled kernels; None: the numpy twin. See `NativeSampler` for the rest."""
        self._native = None if library is None else NativeSampler(library, path=path, run=run)
        self._lone = None if library is None else NativeSampler(library, path=path)
        self._lone_arrays = RowArrays.zeros(1)
        self.logit_rows = LogitRows(library, path=path)

    def draw(
        self, logits: Shaped[np.ndarray, "r v"], rows: SamplingRows
    ) -> Int64[np.ndarray, " r"]:
        """Return the drawn tokens, `DAMAGED` for rows that nothing can be drawn from.

        The positions of `rows` stay as they are.

        Raises:
            ValueError: there are not as many rows of logits as of `rows`, or more than 2^18
                tokens in the vocabulary.
        """
        z = _matching(logits, rows)
        if self._native is not None:
            return self._native.sample(z, rows.arrays)
        return self.draw_from(self.survivors(z, rows), rows)

    def survivors(self, logits: Shaped[np.ndarray, "r v"], rows: SamplingRows) -> SurvivorRows:
        """Return what may be drawn; see `draw` for errors."""
        z = _matching(logits, rows)
        if self._native is None:
            return _joined([_survivors_or_none(*pair) for pair in zip(z, rows.params, strict=True)])
        row_ptr, token_ids, log_probs = self._native.survivors(z, rows.arrays)
        return SurvivorRows(row_ptr=row_ptr, token_ids=token_ids, log_probs=log_probs)

    def draw_from(self, survivors: SurvivorRows, rows: SamplingRows) -> Int64[np.ndarray, " r"]:
        """Draw from survivors, whose log-probabilities a mark may have changed meanwhile.

        Raises:
            ValueError: there are not as many rows of survivors as of `rows`.
        """
        if len(survivors) != len(rows):
            raise ValueError(f"there are {len(survivors)} rows of survivors for {len(rows)} rows")
        if self._native is not None:
            return self._native.draw(
                survivors.row_ptr, survivors.token_ids, survivors.log_probs, rows.arrays
            )
        return np.array([_drawn(survivors.row(i), rows.arrays, i) for i in range(len(rows))], int)

    def draw_one(self, survivors: Survivors, *, seed: int, position: int, stream: int) -> int:
        """Draw from what one row may say, which is not empty; see `draw.draw`."""
        if self._lone is None:
            return draw(
                survivors.token_ids,
                survivors.log_probs,
                seed=seed,
                position=position,
                stream=stream,
            )
        arrays = self._lone_arrays
        arrays.seed[0] = seed & (2**64 - 1)
        arrays.position[0] = position
        arrays.stream[0] = stream
        row_ptr = np.array([0, len(survivors.token_ids)], np.int64)
        ids = survivors.token_ids.astype(np.int32)
        return int(self._lone.draw(row_ptr, ids, survivors.log_probs, arrays)[0])


def _matching(logits: Shaped[np.ndarray, "r v"], rows: SamplingRows) -> Shaped[np.ndarray, "r v"]:
    if logits.ndim != 2 or len(logits) != len(rows):
        raise ValueError(f"logits of shape {logits.shape} do not fit {len(rows)} rows")
    if logits.shape[1] > MAX_VOCABULARY:
        raise ValueError(
            f"at most {MAX_VOCABULARY} tokens can be told apart, got {logits.shape[1]}"
        )
    if logits.dtype == np.float32 and logits.strides[1] == logits.itemsize:
        return logits
    return np.ascontiguousarray(logits, np.float32)


def _survivors_or_none(
    logits: Shaped[np.ndarray, " v"], params: SamplingParams
) -> Survivors | None:
    try:
        return truncate(logits, params)
    except ValueError:
        return None


def _joined(rows: Sequence[Survivors | None]) -> SurvivorRows:
    row_ptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([0 if row is None else len(row.token_ids) for row in rows], out=row_ptr[1:])
    ids = np.empty(row_ptr[-1], np.int32)
    log_probs = np.empty(row_ptr[-1])
    for i, row in enumerate(rows):
        if row is not None:
            ids[row_ptr[i] : row_ptr[i + 1]] = row.token_ids
            log_probs[row_ptr[i] : row_ptr[i + 1]] = row.log_probs
    return SurvivorRows(row_ptr=row_ptr, token_ids=ids, log_probs=log_probs)


def _drawn(survivors: Survivors, arrays: RowArrays, row: int) -> int:
    if not len(survivors.token_ids):
        return DAMAGED
    return draw(
        survivors.token_ids,
        survivors.log_probs,
        seed=int(arrays.seed[row]),
        position=int(arrays.position[row]),
        stream=int(arrays.stream[row]),
    )
