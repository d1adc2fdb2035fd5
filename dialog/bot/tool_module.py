"""The functions of a bot: its `tools.py`, loaded by path under a private name.

The bot's folder never enters `sys.path`: a `tools.py` there would hide the package `tools`. An
argument without an annotation takes the type of the slot of its name.
"""

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from dialog.bot.problems import Problems
from dialog.bot.source import SourceLine
from tools.argument_types import Json
from tools.base import Tool
from tools.errors import ToolDeclarationError

_SCALARS: Mapping[str, type] = {
    "integer": int, "number": float, "percent": float, "bool": bool,
    **dict.fromkeys((
        "text", "address", "person", "email", "url", "phone", "choice", "regex", "card", "date",
        "time", "datetime", "duration", "entity",
    ), str),
}  # fmt: skip


class _SourceLoader(SourceFileLoader):
    """Compiles the file each time, and leaves no cache beside it."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return compile(self.get_data(path), path, "exec")


def tool_sources(path: Path, file: str) -> dict[str, SourceLine]:
    """Return where each function of a module is defined; nothing if it cannot be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    return {
        node.name: SourceLine(file=file, line=node.lineno, column=node.col_offset + 1)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def load_tools(
    path: Path, *, file: str, types: Mapping[str, str], problems: Problems
) -> dict[str, Tool] | None:
    """Return the public functions of a module as tools, by name.

    `types` maps names of slots to their types, for arguments without annotations. A function
    without the decorator `tools.base.tool` is one that writes. What goes wrong is noted; None
    if the module cannot be loaded at all.
    """
    module = _module(path, file, problems)
    if module is None:
        return None
    found: dict[str, Tool] = {}
    sources = tool_sources(path, file)
    nowhere = SourceLine(file=file, line=1, column=1)
    for name, value in vars(module).items():
        is_own = inspect.isfunction(value) and value.__module__ == module.__name__
        if name.startswith("_") or not (is_own or isinstance(value, Tool)):
            continue
        try:
            tool = (
                value if isinstance(value, Tool) else Tool.from_function(value, takes_untyped=True)
            )
            found[name] = tool.typed(_annotations(tool, types)) if tool.untyped else tool
        except ToolDeclarationError as error:
            problems.add(sources.get(name, nowhere), str(error), text=f"def {name}")
    return found


def _annotations(tool: Tool, types: Mapping[str, str]) -> dict[str, Any]:
    """Return what the untyped arguments take: what their slots hold, else any JSON value."""
    parameters = inspect.signature(tool.function).parameters
    found: dict[str, Any] = {}
    for name in tool.untyped:
        kind = _SCALARS.get(types.get(name, "").partition(":")[0])
        is_none = parameters[name].default is None
        found[name] = Json if kind is None else kind | None if is_none else kind
    return found


def _module(path: Path, file: str, problems: Problems) -> ModuleType | None:
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"_causerie_bot_{digest}"
    loader = _SourceLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        del sys.modules[name]
        source = SourceLine(file=file, line=error.lineno or 1, column=error.offset or 1)
        problems.add(source, f"not Python: {error.msg}", text=(error.text or "").strip())
        return None
    except Exception as error:  # noqa: BLE001 - whatever the author's code raises
        del sys.modules[name]
        problems.add(
            _line_of(error, path, file), f"it cannot be loaded: {type(error).__name__}: {error}",
            remedy="the module is run once when the bot is read; it must not fail then",
        )  # fmt: skip
        return None
    return module


def _line_of(error: Exception, path: Path, file: str) -> SourceLine:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return SourceLine(file=file, line=line, column=1)


def parameters_of(tool: Tool) -> dict[str, bool]:
    """Return the names of a tool's arguments, and whether each must be given."""
    schema = tool.schema
    required = set(schema.get("required", ()))
    return {name: name in required for name in schema.get("properties", {})}
