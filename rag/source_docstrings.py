"""Docstrings of a Python module, from its source file alone: parsed by `ast`, never imported."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.docstring_entries import Entry

MAX_SIGNATURE = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Reexport:
    """A `from module import name as alias`; name `*` stands for all that the module offers."""

    module: str
    level: int
    name: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSource:
    """What a source file says about itself; `exports` is None where `__all__` is not plain data."""

    doc: str
    exports: frozenset[str] | None
    entries: dict[str, Entry]
    reexports: tuple[Reexport, ...]

    def offers(self, name: str) -> bool:
        """Say whether `name` is public here."""
        if self.exports is not None:
            return name in self.exports
        return not name.startswith("_")


def read_source(path: Path) -> ModuleSource:
    """Read the docstrings of one source file.

    Raises:
        OSError: the file cannot be read.
        SyntaxError: it is not Python.
        ValueError: it is not text.
        RecursionError: it is nested beyond what the parser takes.
    """
    tree = ast.parse(path.read_bytes(), filename=path.name)
    statements = list(_module_level(tree.body))
    exports = _exports(statements)
    entries: dict[str, Entry] = {}
    for node in statements:
        if isinstance(node, ast.ClassDef | Function) and node.name not in entries:
            listed = exports is not None and node.name in exports
            entry = _class(node) if isinstance(node, ast.ClassDef) else _function(node)
            if entry.doc or entry.members or listed:
                entries[node.name] = entry
    reexports = tuple(
        Reexport(
            module=node.module or "",
            level=node.level,
            name=alias.name,
            alias=alias.asname or alias.name,
        )
        for node in statements
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    return ModuleSource(
        doc=ast.get_docstring(tree) or "", exports=exports, entries=entries, reexports=reexports
    )


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those behind `if` and `try` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _module_level(node.body)
            yield from _module_level(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, *(handler.body for handler in node.handlers)):
                yield from _module_level(part)
            yield from _module_level(node.orelse)


def _exports(statements: Sequence[ast.stmt]) -> frozenset[str] | None:
    names: set[str] = set()
    found = False
    for node in statements:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                pass
            case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
                pass
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id="__all__"), attr="append" | "extend"),
                    args=[value],
                )
            ):
                pass
            case _:
                continue
        try:
            literal = ast.literal_eval(value)
        except ValueError:
            return None
        found = True
        names.update([literal] if isinstance(literal, str) else literal)
    return frozenset(names) if found else None


def _decorators(node: Function) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list}


def _signature(node: Function, *, is_method: bool) -> str:
    """Return the arguments in brackets, `self` or `cls` left out, and what is returned."""
    decorators = _decorators(node)
    if any(name.rpartition(".")[2].endswith("property") for name in decorators):
        return ""
    text = ast.unparse(node.args)
    if is_method and "staticmethod" not in decorators:
        first = [*node.args.posonlyargs, *node.args.args][:1]
        if first:
            text = text.removeprefix(first[0].arg).removeprefix(", ").removeprefix("/, ")
            text = "" if text == "/" else text
    returned = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    text = f"({text}){returned}"
    return text if len(text) <= MAX_SIGNATURE else "(…)"


def _function(node: Function, *, is_method: bool = False) -> Entry:
    return Entry(
        name=node.name,
        signature=_signature(node, is_method=is_method),
        doc=ast.get_docstring(node) or "",
    )


def _class(node: ast.ClassDef) -> Entry:
    signature = ""
    members: dict[str, Entry] = {}
    for item in _module_level(node.body):
        if not isinstance(item, Function):
            continue
        if item.name == "__init__":
            signature = _signature(item, is_method=True)
        elif not item.name.startswith("_") and ast.get_docstring(item):
            members.setdefault(item.name, _function(item, is_method=True))
    return Entry(
        name=node.name,
        signature=signature,
        doc=ast.get_docstring(node) or "",
        is_class=True,
        members=tuple(members.values()),
    )
