"""Reading calls: `reserve`, `has_room(hotel, check_in, nights=2)`, `hotels(city, budget)`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dialog.bot.bot_yaml import YamlNode, YamlScalar
from dialog.bot.definition import CallDefinition
from dialog.bot.expressions import Expression
from dialog.bot.file_keys import nearest_key
from dialog.bot.node_reader import NodeReader
from dialog.bot.tables import EntityTable
from dialog.bot.tool_module import parameters_of
from tools.base import Tool

_CALL = re.compile(r"\s*([^\W\d]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_KEYWORD = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callables:
    """What may be called: functions by name, tables by name."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    tables: Mapping[str, EntityTable] = field(default_factory=dict)


def split_arguments(text: str) -> list[str]:
    """Split at commas outside of parentheses, brackets and quotes."""
    parts, depth, quote, last = [], 0, "", 0
    for i, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and not depth:
            parts.append(text[last:i])
            last = i + 1
    return [part for part in (*parts, text[last:]) if part.strip()]


def read_call(reader: NodeReader, node: YamlNode, callables: Callables) -> CallDefinition | None:
    """Return a call of a function of the bot, its arguments checked against the signature."""
    found = _split(reader, node, "reserve(hotel, nights)")
    if found is None:
        return None
    name, inner = found
    tool = callables.tools.get(name)
    if tool is None:
        near = nearest_key(name, list(callables.tools))
        there = ", ".join(callables.tools) or "none"
        hint = f"did you mean {near!r}?" if near else f"there are {there}"
        reader.fail(
            node, f"tools.py has no function {name!r}; {hint}",
            remedy="write it, in the file tools.py beside the bot file",
            example=f'def {name}(name, date): return {{"code": "A1"}}',
        )  # fmt: skip
        return None
    parameters = parameters_of(tool)
    if inner is None:
        return _by_name(reader, node, name, parameters)
    arguments = _arguments(reader, node, inner, list(parameters), name)
    if arguments is None:
        return None
    missing = [p for p, needed in parameters.items() if needed and p not in dict(arguments)]
    if missing:
        reader.fail(
            node, f"{name} also needs {', '.join(missing)}",
            remedy="give all arguments, or leave the parentheses out to match them by name",
            example=f"call: {name}({', '.join(parameters)})",
        )  # fmt: skip
        return None
    return CallDefinition(function=name, arguments=tuple(arguments), source=node.source)


def read_find(reader: NodeReader, node: YamlNode, callables: Callables) -> CallDefinition | None:
    """Return a search: a table with its columns, or a function that reads."""
    found = _split(reader, node, "hotels(city, budget)")
    if found is None:
        return None
    name, inner = found
    table = callables.tables.get(name)
    if table is None:
        if name in callables.tools:
            return read_call(reader, node, callables)
        known = [*callables.tables, *callables.tools]
        _unknown(reader, node, f"no table and no function is called {name!r}", name, known)
        return None
    columns = [column for column in table.columns if column != table.key]
    if inner is None:
        matching = tuple(
            (c, reader.expression_of(c, node.source, reader.names))
            for c in columns
            if c in reader.names
        )
        arguments = [(c, e) for c, e in matching if e is not None]
    else:
        read = _search(reader, node, inner, table)
        if read is None:
            return None
        arguments = read
    return CallDefinition(function=name, arguments=tuple(arguments), source=node.source)


def _split(reader: NodeReader, node: YamlNode, example: str) -> tuple[str, str | None] | None:
    found = _CALL.fullmatch(node.text) if isinstance(node, YamlScalar) else None
    if found is None:
        reader.fail(
            node, "expected a call", example=example,
            remedy="inside of {…} put quotes round a call with commas",
        )  # fmt: skip
        return None
    return found[1], found[2]


def _unknown(
    reader: NodeReader, node: YamlNode, message: str, name: str, known: Sequence[str]
) -> None:
    near = nearest_key(name, list(known))
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}"
    reader.fail(node, f"{message}; {hint}")


def _by_name(
    reader: NodeReader, node: YamlNode, name: str, parameters: Mapping[str, bool]
) -> CallDefinition | None:
    """Check that each argument that must be given is a slot, a fact or the result.

    `release(hold_id)` may also take its argument from `result.hold_id`, if the task mentions that:
    fields of results are declared nowhere else.
    """
    missing = [p for p, needed in parameters.items() if needed and p not in reader.names]
    if missing and set(missing) <= reader.result_fields:
        found = [
            (
                p,
                reader.expression_of(
                    f"result.{p}" if p in missing else p, node.source, reader.names
                ),
            )
            for p in parameters
            if p in missing or p in reader.names
        ]
        return CallDefinition(
            function=name, arguments=tuple((p, e) for p, e in found if e), source=node.source
        )
    for parameter in missing:
        near = nearest_key(parameter, list(reader.names))
        hint = f"; did you mean {near!r}?" if near else ""
        reader.fail(
            node, f"{name} takes {parameter!r}, and no slot or fact has this name{hint}",
            remedy=f"add the slot {parameter}, or write the arguments: {name}(…)",
            example=f"call: {name}({', '.join(parameters)})",
        )  # fmt: skip
    if missing:
        return None
    return CallDefinition(function=name, arguments=None, source=node.source)


def _arguments(
    reader: NodeReader, node: YamlNode, inner: str, parameters: list[str], name: str
) -> list[tuple[str, Expression]] | None:
    read: list[tuple[str, Expression]] = []
    parts = split_arguments(inner)
    if len(parts) > len(parameters):
        reader.fail(
            node, f"{name} takes {len(parameters)} arguments, {len(parts)} are given",
            example=f"call: {name}({', '.join(parameters)})",
        )  # fmt: skip
        return None
    for i, part in enumerate(parts):
        keyword = _KEYWORD.fullmatch(part)
        parameter, text = (keyword[1], keyword[2]) if keyword else (parameters[i], part)
        if parameter not in parameters:
            _unknown(reader, node, f"{name} takes no {parameter!r}", parameter, parameters)
            return None
        if parameter in dict(read):
            reader.fail(node, f"{name} is given {parameter!r} twice")
            return None
        expression = reader.expression_of(text.strip(), node.source, reader.names)
        if expression is None:
            return None
        read.append((parameter, expression))
    return read


def _search(
    reader: NodeReader, node: YamlNode, inner: str, table: EntityTable
) -> list[tuple[str, Expression]] | None:
    read: list[tuple[str, Expression]] = []
    for part in split_arguments(inner):
        keyword = _KEYWORD.fullmatch(part)
        column, text = (keyword[1], keyword[2]) if keyword else (part.strip(), part)
        if column not in table.columns:
            _unknown(
                reader, node, f"table {table.name!r} has no column {column!r}", column,
                list(table.columns),
            )  # fmt: skip
            return None
        expression = reader.expression_of(text.strip(), node.source, reader.names)
        if expression is None:
            return None
        read.append((column, expression))
    return read
