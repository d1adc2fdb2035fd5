"""Libraries that some kinds of files need and an installation may lack."""

import contextlib
import importlib
from typing import Any

from rag.errors import FailureCode, ParseError

_PACKAGES = {"openpyxl": "openpyxl", "pptx": "python-pptx"}


def library(name: str, what: str) -> Any:
    """Return the module `name`, which reads files of the format `what`.

    Raises:
        ParseError: it is not installed; the reason says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ParseError(
            f"reading {what} needs {_PACKAGES[name]}, which is not installed:"
            f' pip install {_PACKAGES[name]}, or causerie with its extra "docs"',
            FailureCode.MISSING_LIBRARY,
        ) from error


def warm_up(name: str) -> None:
    """Load a library before the process forks, if it is there: half a second a file saved."""
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
