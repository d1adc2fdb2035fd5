"""From a function to what a model is told of it: signature and docstring → JSON Schema.

    def book(guests: Annotated[int, Range(least=1)], day: date, note: str = "") -> str:
        '''Books a table, with a section "Args:" as google's style has it.'''

An argument of the type `CallContext` is no part of the schema: the executor fills it in.
"""

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.argument_types import ArgumentType, argument_type, with_default
from tools.call_context import CallContext
from tools.errors import ToolDeclarationError
from tools.json_check import complaints

_UNTYPED = object()
_ANYTHING = ArgumentType(schema={}, read=lambda value, _: value, is_nullable=True)
_ARGS = ("Args:", "Arguments:")
_SECTION = re.compile(r"[A-Z][A-Za-z ]*:\s*$")
_ENTRY = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSchema:
    """What a function takes: the schema of its arguments, and how to read them.

    `context` is the name of the argument that takes the `CallContext`, "" without one. `untyped`
    arguments take any JSON value, as nobody has said which.
    """

    description: str
    arguments: Mapping[str, ArgumentType]
    schema: Mapping[str, Any]
    context: str = ""
    untyped: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The schema as text, in the order of the signature."""
        return json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return checked JSON arguments as the typed ones that the function takes.

        Raises:
            InvalidArgumentError: a value that the schema allows and the type does not.
        """
        return {name: self.arguments[name].read(value, name) for name, value in arguments.items()}


def function_schema(
    function: Callable[..., object],
    types: Mapping[str, Any] | None = None,
    *,
    takes_untyped: bool = False,
) -> FunctionSchema:
    """Return what a function takes; `types` are annotations of arguments that have none.

    Raises:
        ToolDeclarationError: an argument has no annotation, or one that JSON cannot express; the
            docstring describes an argument that does not exist.
    """
    title = getattr(function, "__qualname__", repr(function))
    told, told_of = _docstring(inspect.getdoc(function) or "")
    arguments: dict[str, ArgumentType] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    context = ""
    untyped: set[str] = set()
    for parameter, annotation in _parameters(function, title, types or {}):
        name, where = parameter.name, f"{title}({parameter.name})"
        if annotation is CallContext:
            context = name
            continue
        if annotation is _UNTYPED and not takes_untyped:
            raise ToolDeclarationError(
                f"{title}: {name} has no annotation; say what it takes, as in {name}: str"
            )
        if annotation is _UNTYPED:
            untyped.add(name)
            kind = _ANYTHING
        else:
            kind = argument_type(annotation, where=where)
        schema = kind.schema
        if name in told_of:
            schema = {**schema, "description": told_of.pop(name)}
        properties[name] = _with_default(schema, parameter.default, kind, where)
        arguments[name] = kind
        if parameter.default is parameter.empty:
            required.append(name)
    told_of.pop(context, None)
    if told_of:
        raise ToolDeclarationError(
            f"{title}: the docstring describes {sorted(told_of)}, no arguments"
        )
    whole = {"type": "object", "properties": properties, "required": required}
    return FunctionSchema(
        description=told,
        arguments=arguments,
        schema={**whole, "additionalProperties": False},
        context=context,
        untyped=frozenset(untyped),
    )


def _parameters(
    function: Callable[..., object], title: str, types: Mapping[str, Any]
) -> list[tuple[inspect.Parameter, Any]]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
    except (NameError, TypeError, ValueError) as error:
        raise ToolDeclarationError(f"{title}: its annotations cannot be read: {error}") from error
    found = []
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolDeclarationError(
                f"{title}: {parameter} cannot be described; arguments are given by their names"
            )
        given = types.get(parameter.name, _UNTYPED)
        found.append((parameter, hints.get(parameter.name, given)))
    return found


def _with_default(
    schema: dict[str, Any], default: Any, kind: ArgumentType, where: str
) -> dict[str, Any]:
    if default is None and not kind.is_nullable:
        raise ToolDeclarationError(f"{where}: the default is None; annotate it as T | None")
    whole = with_default(schema, default, inspect.Parameter.empty)
    if "default" in whole:
        _check_default(kind, whole["default"], where)
    return whole


def _check_default(kind: ArgumentType, default: Any, where: str) -> None:
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ToolDeclarationError(f"{where}: the default has no JSON form: {error}") from error
    problems = complaints(default, kind.schema, where=where)
    if problems:
        raise ToolDeclarationError(f"the default of {problems[0]}")


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what a google docstring says of the function, and of each of its arguments."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() in _ARGS), len(lines))
    before = next((i for i, line in enumerate(lines) if _is_section(line)), len(lines))
    told = " ".join(" ".join(lines[: min(start, before)]).split())
    entries: dict[str, str] = {}
    name, indent = "", -1
    for line in lines[start + 1 :]:
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth == 0:
            break
        indent = depth if indent < 0 and line.strip() else indent
        found = _ENTRY.match(line.strip())
        if found and depth == indent:
            name = found[1]
            entries[name] = found[2].strip()
        elif line.strip() and name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return told, entries


def _is_section(line: str) -> bool:
    return bool(_SECTION.fullmatch(line)) and line.strip() in {
        *_ARGS,
        *("Returns:", "Raises:", "Yields:", "Example:", "Examples:", "Note:", "Attributes:"),
    }
