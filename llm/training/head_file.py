"""A trained head on the disk: NAME.safetensors and its card NAME.json, both whole or not at all."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from llm.head_store import probe_of
from llm.unembedding import Unembedding


def check_name(name: str) -> None:
    """Refuse a name of a head that is no plain file name.

    Raises:
        ValueError: it is none.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"a head's name is a plain file name without a folder, got {name!r}")


def write_head(
    folder: Path,
    name: str,
    tensors: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    card: Mapping[str, Any],
    unembedding: Unembedding,
) -> Path:
    """Write a head, reals in half precision, with the probe of its model; returns its path.

    The card is written last: a head without one is not listed.

    Raises:
        ValueError: a name that is no plain file name.
        OSError: the folder cannot be written.
    """
    check_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {key: _halved(value) for key, value in tensors.items()}
    halves["probe"] = probe_of(unembedding).astype(np.float32)
    path = folder / f"{name}.safetensors"
    about = {
        "name": name,
        **card,
        "hidden_size": unembedding.hidden_size,
        "vocab_size": unembedding.size,
    }
    _replace(path, save(halves))
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    _replace(folder / f"{name}.json", text.encode())
    return path


def _halved(value: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    is_real = np.issubdtype(value.dtype, np.floating)
    return np.ascontiguousarray(value, np.float16 if is_real else value.dtype)


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
