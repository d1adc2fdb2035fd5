"""GGUF files: metadata and tensors, dequantised to float32.

Written from the published description of the format (versions 2 and 3, little endian). Knows
nothing of architectures: names and arrays go out as they stand in the file.

Block formats (32 weights a block; `d` scale, `m` minimum, `q` codes):

    Q8_0   d f16, 32 x i8                   w = d * q
    Q4_0   d f16, 16 bytes of nibbles       w = d * (q - 8)
    Q4_1   d f16, m f16, 16 bytes           w = d * q + m
    Q5_0   d f16, 4 bytes high bits, 16     w = d * (q - 16)
    Q5_1   d f16, m f16, 4 bytes, 16        w = d * q + m

Low nibbles are weights 0..15 of the block, high nibbles 16..31.
"""

import mmap
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from llm.errors import CheckpointError, UnsupportedModelError

MAGIC = b"GGUF"
_DEFAULT_ALIGNMENT = 32
_MAX_STRING_BYTES = 1 << 26
_MAX_ITEMS = 1 << 26
_MAX_DIMENSIONS = 8

# GGUF value types: id -> struct code
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING = 8
_ARRAY = 9

# ggml tensor types: id -> name, for error messages as well
_TYPE_NAMES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    28: "F64",
    30: "BF16",
}

Blocks = UInt8[np.ndarray, "blocks bytes"]
Weights = Float32[np.ndarray, "blocks block_size"]


def _half(blocks: Blocks, at: int) -> Float32[np.ndarray, "blocks 1"]:
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def _nibbles(codes: Blocks) -> UInt8[np.ndarray, "blocks 32"]:
    return np.concatenate([codes & 0x0F, codes >> 4], axis=1)


def _high_bits(packed: Blocks) -> UInt8[np.ndarray, "blocks 32"]:
    return np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little")


def _f32(blocks: Blocks) -> Weights:
    return blocks.view(np.float32)


def _f16(blocks: Blocks) -> Weights:
    return blocks.view(np.float16).astype(np.float32)


def _bf16(blocks: Blocks) -> Weights:
    return (blocks.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _q8_0(blocks: Blocks) -> Weights:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q4_0(blocks: Blocks) -> Weights:
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def _q4_1(blocks: Blocks) -> Weights:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]).astype(np.float32) + _half(blocks, 2)


def _q5_0(blocks: Blocks) -> Weights:
    codes = _nibbles(blocks[:, 6:]) | (_high_bits(blocks[:, 2:6]) << 4)
    return _half(blocks, 0) * (codes.astype(np.float32) - 16)


def _q5_1(blocks: Blocks) -> Weights:
    codes = _nibbles(blocks[:, 8:]) | (_high_bits(blocks[:, 4:8]) << 4)
    return _half(blocks, 0) * codes.astype(np.float32) + _half(blocks, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    block_size: int
    block_bytes: int
    dequantise: Callable[[Blocks], Weights]


_FORMATS = {
    "F32": _Format(block_size=1, block_bytes=4, dequantise=_f32),
    "F16": _Format(block_size=1, block_bytes=2, dequantise=_f16),
    "BF16": _Format(block_size=1, block_bytes=2, dequantise=_bf16),
    "Q8_0": _Format(block_size=32, block_bytes=34, dequantise=_q8_0),
    "Q4_0": _Format(block_size=32, block_bytes=18, dequantise=_q4_0),
    "Q4_1": _Format(block_size=32, block_bytes=20, dequantise=_q4_1),
    "Q5_0": _Format(block_size=32, block_bytes=22, dequantise=_q5_0),
    "Q5_1": _Format(block_size=32, block_bytes=24, dequantise=_q5_1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """Where a tensor stands: `shape` in row-major order, `offset` in bytes of the file."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(np.prod(self.shape, dtype=np.int64))


class _Cursor:
    """Reads values one after another; running past the end is a `CheckpointError`."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise CheckpointError(f"{self.path.name} ends in the middle of its header")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def scalar(self, code: str) -> Any:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def count(self, limit: int) -> int:
        number = int(self.scalar("<Q"))
        if number > limit:
            raise CheckpointError(
                f"{self.path.name} states a length of {number}; at most {limit} is sensible"
            )
        return number

    def string(self) -> str:
        return self.take(self.count(_MAX_STRING_BYTES)).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner = int(self.scalar("<I"))
            number = self.count(_MAX_ITEMS)
            if inner in _SCALARS:
                code = _SCALARS[inner]
                raw = self.take(number * struct.calcsize(code))
                return list(struct.unpack(f"<{number}{code[1:]}", raw))
            if inner == _ARRAY:
                raise CheckpointError(f"{self.path.name} nests arrays in its metadata")
            return [self.value(inner) for _ in range(number)]
        if kind not in _SCALARS:
            raise CheckpointError(f"{self.path.name} holds a metadata value of unknown type {kind}")
        return self.scalar(_SCALARS[kind])


class GGUFFile:
    """An open GGUF file: `metadata` by key, `tensors` by name; `tensor(name)` gives float32."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            CheckpointError: not a GGUF file, cut short, or of a version that is not 2 or 3.
        """
        self.path = path
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise CheckpointError(f"{path.name} is not a GGUF file: it does not begin so")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        cursor = _Cursor(self._data, path)
        cursor.take(4)
        version = int(cursor.scalar("<I"))
        if version not in (2, 3):
            raise CheckpointError(
                f"{path.name} is GGUF version {version}; versions 2 and 3 are read"
            )
        num_tensors = cursor.count(_MAX_ITEMS)
        num_values = cursor.count(_MAX_ITEMS)
        self.metadata: Mapping[str, Any] = dict(self._read_values(cursor, num_values))
        alignment = int(self.metadata.get("general.alignment", _DEFAULT_ALIGNMENT))
        if alignment < 1:
            raise CheckpointError(f"{path.name} states an alignment of {alignment}")
        headers = [self._read_header(cursor) for _ in range(num_tensors)]
        start = -(-cursor.at // alignment) * alignment
        self.tensors = {
            name: TensorInfo(name=name, shape=shape, type_name=kind, offset=start + offset)
            for name, shape, kind, offset in headers
        }

    @staticmethod
    def _read_values(cursor: _Cursor, number: int) -> Iterator[tuple[str, Any]]:
        for _ in range(number):
            key = cursor.string()
            yield key, cursor.value(int(cursor.scalar("<I")))

    @staticmethod
    def _read_header(cursor: _Cursor) -> tuple[str, tuple[int, ...], str, int]:
        name = cursor.string()
        num_dims = int(cursor.scalar("<I"))
        if num_dims > _MAX_DIMENSIONS:
            raise CheckpointError(f"tensor {name!r} states {num_dims} dimensions")
        # the file lists the fastest axis first
        shape = tuple(int(cursor.scalar("<Q")) for _ in range(num_dims))[::-1]
        kind = int(cursor.scalar("<I"))
        return name, shape, _TYPE_NAMES.get(kind, f"type {kind}"), int(cursor.scalar("<Q"))

    def tensor(self, name: str) -> Float32[np.ndarray, "..."]:
        """Return a tensor in float32, as a copy.

        Raises:
            CheckpointError: no such tensor, or the file ends before it does.
            UnsupportedModelError: its type is not one of the formats above; the type is named.
        """
        info = self.tensors.get(name)
        if info is None:
            raise CheckpointError(f"{self.path.name} has no tensor {name!r}")
        layout = _FORMATS.get(info.type_name)
        if layout is None:
            raise UnsupportedModelError(
                f"tensor {name!r} is of type {info.type_name}, which is not implemented; readable"
                f" are {', '.join(_FORMATS)}"
            )
        if info.shape and info.shape[-1] % layout.block_size:
            raise CheckpointError(
                f"tensor {name!r} has rows of {info.shape[-1]} weights, no multiple of the"
                f" {layout.block_size} of a {info.type_name} block"
            )
        num_bytes = info.size // layout.block_size * layout.block_bytes
        if info.offset + num_bytes > len(self._data):
            raise CheckpointError(
                f"{self.path.name} ends before tensor {name!r}: the file is cut short"
            )
        raw = np.frombuffer(self._data, np.uint8, num_bytes, info.offset)
        weights = layout.dequantise(raw.reshape(-1, layout.block_bytes)).reshape(info.shape)
        return np.array(weights, dtype=np.float32)
