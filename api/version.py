"""The version of the program, from the metadata that the installer wrote."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed() -> str:
    try:
        return version("causerie")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0+unknown"


VERSION: Final = _installed()
"""What `--version` prints."""
