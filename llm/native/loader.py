"""Finds the compiled kernels and says what they can do here.

They are compiled when causerie is installed, where there is a compiler; without one everything
runs on the torch twins, slower. Knows nothing of models.
"""

import ctypes
import importlib.machinery
from functools import cache
from pathlib import Path

ABI = 2
_NAME = "_kernels"


@cache
def load_library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where they were not built, or from another version."""
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(_NAME + suffix)
        if path.is_file():
            return _checked(path)
    return None


def _checked(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        abi = int(library.causerie_abi())
    except (OSError, AttributeError):
        return None
    library.causerie_path.restype = ctypes.c_char_p
    library.causerie_path.argtypes = [ctypes.c_int32]
    return library if abi == ABI else None


def kernel_paths() -> tuple[str, ...]:
    """Return the names of the builds that this processor can run, fastest first."""
    library = load_library()
    names: list[str] = []
    if library is not None:
        while (name := library.causerie_path(len(names))) is not None:
            names.append(name.decode())
    return tuple(names)
