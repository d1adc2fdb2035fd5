"""Tools from a Python file: whatever `tools.base.tool` made at its top level, in its order.

The file is loaded by its path under a private name, and its folder never enters `sys.path`, where
it would shadow packages. It runs with all rights of the program: name only files that you trust.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

from tools.base import Tool
from tools.errors import ToolDeclarationError


def tools_of_file(path: Path) -> tuple[Tool, ...]:
    """Return the tools of a file.

    Raises:
        ToolDeclarationError: it cannot be read or run, or holds no tool; says why.
    """
    name = f"_causerie_tools_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ToolDeclarationError(f"{path} is no Python file; name one that declares tools")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ToolDeclarationError(f"{path} cannot be run: {type(error).__name__}: {error}") from (
            error
        )
    found = tuple(value for value in vars(module).values() if isinstance(value, Tool))
    if not found:
        raise ToolDeclarationError(f"{path} declares no tool; put @tool(effect=…) above a function")
    return found
