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

from dialog.bot.problems import Problems
from dialog.bot.source import SourceLine
from tools.argument_types import Json
from tools.base import Tool
from tools.errors import ToolDeclarationError

_JSON = "_json_value"  # the name that stands for `Json` in the module
_SCALARS = {
    "integer": "int", "number": "float", "percent": "float", "bool": "bool",
    **dict.fromkeys((
        "text", "address", "person", "email", "url", "phone", "choice", "regex", "card", "date",
        "time", "datetime", "duration", "entity",
    ), "str"),
}  # fmt: skip


class _TypedLoader(SourceFileLoader):
    """Fills in missing annotations before the module is compiled; leaves no cache behind."""

    def __init__(self, name: str, path: str, types: Mapping[str, str]) -> None:
        super().__init__(name, path)
        self._types = types

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), filename=path)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                _annotate(node, self._types)
        return compile(ast.fix_missing_locations(tree), path, "exec")


def _annotate(function: ast.FunctionDef, types: Mapping[str, str]) -> None:
    if function.name.startswith("_"):
        return
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = dict(zip([a.arg for a in positional][::-1], given.defaults[::-1], strict=False))
    defaults |= {a.arg: d for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d}
    for argument in (*positional, *given.kwonlyargs):
        if argument.annotation is None:
            kind = _SCALARS.get(types.get(argument.arg, "").partition(":")[0], _JSON)
            default = defaults.get(argument.arg)
            is_none = isinstance(default, ast.Constant) and default.value is None
            text = f"{kind} | None" if is_none else kind
            argument.annotation = ast.parse(text, mode="eval").body


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
) -> dict[str, Tool]:
    """Return the public functions of a module as tools, by name.

    `types` maps names of slots to their types, for arguments without annotations. A function
    without the decorator `tools.base.tool` is one that writes. What goes wrong is noted.
    """
    module = _module(path, file, types, problems)
    found: dict[str, Tool] = {}
    sources = tool_sources(path, file)
    nowhere = SourceLine(file=file, line=1, column=1)
    for name, value in vars(module).items() if module else ():
        is_own = inspect.isfunction(value) and value.__module__ == getattr(module, "__name__", "")
        if name.startswith("_") or not (is_own or isinstance(value, Tool)):
            continue
        try:
            found[name] = value if isinstance(value, Tool) else Tool.from_function(value)
        except ToolDeclarationError as error:
            problems.add(sources.get(name, nowhere), str(error), text=f"def {name}")
    return found


def _module(
    path: Path, file: str, types: Mapping[str, str], problems: Problems
) -> ModuleType | None:
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"_causerie_bot_{digest}"
    loader = _TypedLoader(name, str(path), types)
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)[_JSON] = Json
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
