"""What a saved index says of itself: method, parameters, rows, and the hash of each file.

`header.json` is read before anything else of a folder, so that no library parses a file that is
damaged or was made of other vectors. Knows nothing of any method.

Letters: `n` vectors, `d` their width.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from index.errors import IndexFileError
from index.protocol import AnnBuilder, Metric
from index.vector_rows import VectorRows

_MAGIC = "causerie-index"
_VERSION = 1
_HEADER = "header.json"
_BLOCK = 1 << 20
_SAMPLED_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHeader:
    """The header as read: what the backend noted for itself, for instance the library's name."""

    notes: Mapping[str, Any]

    @classmethod
    def write(
        cls,
        folder: Path,
        builder: AnnBuilder,
        rows: VectorRows,
        notes: Mapping[str, str | int] | None = None,
    ) -> None:
        """Describe the files that lie in `folder` by now; raises `OSError`."""
        header = {
            "magic": _MAGIC,
            "version": _VERSION,
            "method": builder.name,
            "parameters": parameters_of(builder),
            "metric": rows.metric.value,
            "rows": list(rows.x.shape),
            "rows_digest": _rows_digest(rows.x),
            "notes": dict(notes or {}),
            "files": {
                path.name: {"bytes": path.stat().st_size, "blake2b": _file_digest(path)}
                for path in sorted(folder.iterdir())
                if path.name != _HEADER
            },
        }
        (folder / _HEADER).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(
        cls, folder: Path, builder: AnnBuilder, rows: Float32[np.ndarray, "n d"], metric: Metric
    ) -> "IndexHeader":
        """Check that the folder holds, whole, what `builder` saved for these rows.

        Raises:
            IndexFileError: it does not, or not in this format.
        """
        header = _parsed(folder)
        expected = {
            "magic": _MAGIC,
            "version": _VERSION,
            "method": builder.name,
            "parameters": parameters_of(builder),
            "metric": metric.value,
            "rows": list(rows.shape),
            "rows_digest": _rows_digest(rows),
        }
        for key, value in expected.items():
            if header.get(key) != value:
                raise _unusable(folder, f"its {key} is {header.get(key)!r}, not {value!r}")
        notes, files = header.get("notes"), header.get("files")
        if not isinstance(notes, dict) or not isinstance(files, dict):
            raise _unusable(folder, "its header is incomplete")
        for name, stated in files.items():
            path = folder / name
            if path.parent != folder or not path.is_file():
                raise _unusable(folder, f"{name} is missing")
            found = {"bytes": path.stat().st_size, "blake2b": _file_digest(path)}
            if found != stated:
                raise _unusable(folder, f"{name} is not the file that was written")
        return cls(notes=notes)


def save_array(folder: Path, name: str, array: Shaped[np.ndarray, "..."]) -> None:
    """Write an array under `name`.npy; raises `OSError`."""
    np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_array(folder: Path, name: str, *, mmap: bool) -> Any:
    """Return an array of a folder whose header was read; mapped, where asked and not empty."""
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _unusable(folder, f"{path.name} cannot be read: {error}") from error
    return np.asarray(array)  # a view without the slow ways of np.memmap


def parameters_of(builder: AnnBuilder) -> dict[str, Any]:
    """Return the parameters of a builder, which is a dataclass, by name."""
    return asdict(builder)  # type: ignore[call-overload]  # the port cannot say "a dataclass"


def _parsed(folder: Path) -> dict[str, Any]:
    try:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(folder, f"{_HEADER} cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise _unusable(folder, f"{_HEADER} is no header")
    return header


def _unusable(folder: Path, why: str) -> IndexFileError:
    return IndexFileError(
        f"the index in {folder} cannot be used: {why}; build it again from the vectors"
    )


def _rows_digest(x: Float32[np.ndarray, "n d"]) -> str:
    """Name the rows by a sample that is spread over all of them."""
    sample = np.linspace(0, len(x) - 1, _SAMPLED_ROWS).astype(np.int64)
    return hashlib.blake2b(np.ascontiguousarray(x[sample]).tobytes(), digest_size=16).hexdigest()


def _file_digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
