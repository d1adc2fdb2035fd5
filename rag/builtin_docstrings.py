r"""Docstrings of what has no Python source: built-in modules and types, and extension modules.

Built-in modules are part of the running interpreter, so looking at them starts nothing. Extension
modules are files, and importing one would run it: their docstrings are read out of the file's
bytes, where C code keeps each function's as `name($module, arguments)\n--\n\ntext\0`.
"""

import builtins
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from rag.docstring_entries import Entry

_C_FUNCTION = re.compile(
    rb"(?<=\0)([A-Za-z]\w*)\(\$module(?:, /)?(?:, )?([^\0]{0,400}?)\)\n--\n\n"
    rb"([^\0]{8,20000})(?=\0)"
)
_METHODS = (
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.BuiltinFunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    staticmethod,
)


def builtin_module(name: str) -> tuple[str, list[Entry]]:
    """Return the docstring and the entries of a module that is compiled into the interpreter.

    Raises:
        ValueError: `name` is not such a module; importing any other would run code.
    """
    if name not in sys.builtin_module_names:
        raise ValueError(f"{name!r} is not built into this interpreter, so it is not imported")
    module = importlib.import_module(name)
    found = []
    for key, current in sorted(vars(module).items()):
        # `sys.excepthook` and its kin are there to be replaced; `sys.__excepthook__` is not.
        value = vars(module).get(f"__{key}__", current)
        if _is_own(key, value):
            found.append(_entry(key, value))
    return _doc(module), found


def builtin_functions() -> list[Entry]:
    """Return the entries of the built-in functions: `abs`, `all` and so on."""
    return [
        _entry(key, value)
        for key, value in sorted(vars(builtins).items())
        if _is_own(key, value) and not inspect.isclass(value)
    ]


def builtin_types() -> Iterator[tuple[str, Entry]]:
    """Yield the name and the entry of each built-in type that is no exception."""
    for key, value in sorted(vars(builtins).items()):
        if _is_builtin_class(value, key) and not issubclass(value, BaseException):
            yield key, _entry(key, value)


def builtin_exceptions() -> list[Entry]:
    """Return the entries of the built-in exceptions and warnings, without their methods."""
    return [
        Entry(name=key, doc=_doc(value), is_class=True)
        for key, value in sorted(vars(builtins).items())
        if _is_builtin_class(value, key) and issubclass(value, BaseException)
    ]


def extension_module(path: Path) -> list[Entry]:
    """Return the entries of the functions of a compiled module, from the bytes of its file.

    Methods are left out: their docstrings do not say of which class they are.

    Raises:
        OSError: the file cannot be read.
    """
    entries: dict[str, Entry] = {}
    for match in _C_FUNCTION.finditer(path.read_bytes()):
        try:
            name, arguments, doc = (group.decode() for group in match.groups())
        except UnicodeDecodeError:
            continue
        arguments = " ".join(arguments.split())
        entries[name] = Entry(name=name, signature=f"({arguments})", doc=inspect.cleandoc(doc))
    return [entries[name] for name in sorted(entries)]


def _is_own(key: str, value: object) -> bool:
    """Leave out private names and what others (site, a shell, a test runner) put in."""
    return not key.startswith("_") and (inspect.isbuiltin(value) or inspect.isclass(value))


def _is_builtin_class(value: object, key: str) -> TypeGuard[type]:
    if not inspect.isclass(value) or not _is_own(key, value):
        return False
    return (value.__module__, value.__name__) == ("builtins", key)  # aliases are told once


def _doc(value: object) -> str:
    doc = inspect.getdoc(value)
    return doc if isinstance(doc, str) else ""


def _entry(name: str, value: object) -> Entry:
    is_class = inspect.isclass(value)
    members: list[Entry] = []
    if inspect.isclass(value) and not issubclass(value, BaseException):
        for key, member in sorted(vars(value).items()):
            if not key.startswith("_") and isinstance(member, _METHODS) and _doc(member):
                members.append(
                    Entry(name=key, signature=_signature(member), doc=_doc(member)),
                )
    return Entry(
        name=name,
        signature=_signature(value),
        doc=_doc(value),
        is_class=is_class,
        members=tuple(members),
    )


def _signature(value: object) -> str:
    """Return the arguments in brackets where C code tells them, without `self`."""
    text = getattr(value, "__text_signature__", None)
    if not isinstance(text, str):
        return ""
    return re.sub(r"\((?:\$?(?:self|type|module|cls)\b(?:, /)?(?:, )?)", "(", text)
