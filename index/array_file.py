"""Arrays in files of their own format: 64 bytes that say what follows, then the values.

The head: `causerie`, the version of the format, the type of the values as numpy writes it, the
number of axes and their lengths; the rest is zero. Little-endian, and mapped when opened.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from index.errors import IndexFileError

_MAGIC = b"causerie"
_VERSION = 1
_HEAD = struct.Struct("<8sI4sIQQ28x")
_DTYPES = ("<f4", "<i8")


def write_array(
    path: Path, shape: tuple[int, ...], dtype: str, blocks: Iterable[Shaped[np.ndarray, "..."]]
) -> None:
    """Write the rows of one array, which come in blocks; raises `OSError`.

    Raises:
        ValueError: the shape or the type cannot be written, or the blocks do not add up to it.
    """
    if dtype not in _DTYPES or not 1 <= len(shape) <= 2:
        raise ValueError(f"cannot write an array of {dtype!r} and the shape {shape}")
    lengths = (*shape, 0)[:2]
    num_rows = 0
    with path.open("xb") as file:
        file.write(_HEAD.pack(_MAGIC, _VERSION, dtype.encode(), len(shape), *lengths))
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(f"a block of {block.shape} is no part of an array of {shape}")
            file.write(np.ascontiguousarray(block, dtype).tobytes())
            num_rows += len(block)
    if num_rows != shape[0]:
        raise ValueError(f"{num_rows} rows were given for an array of the shape {shape}")


def open_array(path: Path, dtype: str) -> Shaped[np.ndarray, "..."]:
    """Return the array, mapped and read only.

    Raises:
        IndexFileError: this is no array of ours of this type, or not a whole one.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise _unusable(path, "it ends within its head")
        magic, version, stated, num_axes, rows, width = _HEAD.unpack(head)
        shape = (rows, width)[:num_axes]
        if (magic, version, stated.decode("ascii", "replace").rstrip("\0")) != (
            _MAGIC,
            _VERSION,
            dtype.rstrip(),
        ):
            raise _unusable(path, f"it does not begin as an array of {dtype}")
        size = _HEAD.size + int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if num_axes not in {1, 2} or path.stat().st_size != size:
            raise _unusable(path, f"it is not as long as an array of {shape}")
        if not rows:
            return np.empty(shape, dtype)
        mapped = np.memmap(path, dtype=dtype, mode="r", offset=_HEAD.size, shape=shape)
    except OSError as error:
        raise _unusable(path, str(error)) from error
    return np.asarray(mapped)  # a view without the slow ways of np.memmap


def _unusable(path: Path, why: str) -> IndexFileError:
    return IndexFileError(
        f"{path} cannot be used: {why}; it is derived and is built again from the database"
    )
