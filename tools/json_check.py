"""Reads the arguments of a call, and checks them against a JSON Schema.

Strict where `json` is not: no key twice, no NaN, no number that overflows, no deep nesting. Of JSON
Schema, the keywords that `tools.schema` writes and those that other programs' tools commonly have;
a keyword not known here is refused when the tool is declared, never passed over.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.errors import ToolDeclarationError

MAX_ARGUMENT_CHARS = 200_000
MAX_DEPTH = 32
MAX_COMPLAINTS = 5

_ANNOTATIONS = frozenset({"description", "title", "default", "examples", "deprecated", "$schema"})
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_KNOWN = _ANNOTATIONS | {
    *("type", "enum", "const", "anyOf", "properties", "required", "additionalProperties"),
    *("items", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minProperties", "maxProperties"),
}


class UnreadableArgumentsError(ValueError):
    """The text is not one JSON object as it must be; the message says why."""


def read_arguments(text: str) -> dict[str, Any]:
    """Return the arguments that the text of a call holds; no text at all means none.

    Raises:
        UnreadableArgumentsError: not a JSON object, ambiguous, too long or too deep.
    """
    if len(text) > MAX_ARGUMENT_CHARS:
        raise UnreadableArgumentsError(
            f"the arguments have {len(text)} characters, more than {MAX_ARGUMENT_CHARS}"
        )
    if _depth(text) > MAX_DEPTH:
        raise UnreadableArgumentsError(f"the arguments nest deeper than {MAX_DEPTH}")
    try:
        value = json.loads(
            text or "{}",
            object_pairs_hook=_object,
            parse_constant=_refused_constant,
            parse_float=_float,
        )
    except UnreadableArgumentsError:
        raise
    except ValueError as error:  # also of integers with thousands of digits
        raise UnreadableArgumentsError(f"the arguments are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableArgumentsError("the arguments must be a JSON object, like {}")
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    is_string = is_escaped = False
    for char in text:
        if is_string:
            is_string = is_escaped or char != '"'
            is_escaped = char == "\\" and not is_escaped
            continue
        is_string = char == '"'
        depth += (char in "{[") - (char in "}]")
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableArgumentsError(f"the key {twice!r} is there twice")
    return found


def _refused_constant(name: str) -> float:
    raise UnreadableArgumentsError(f"{name} is no JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableArgumentsError(f"{text[:40]} is too large a number")
    return number


def check_schema(schema: Any, *, where: str) -> None:
    """Check that `complaints` understands every keyword of a schema.

    Raises:
        ToolDeclarationError: a keyword or a type that is not known here.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise ToolDeclarationError(f"{where}: a schema must be an object, got {schema!r}")
    if unknown := sorted(set(schema) - _KNOWN):
        raise ToolDeclarationError(f"{where}: the JSON-Schema keyword {unknown[0]!r} is not known")
    names = schema.get("type", [])
    for name in [names] if isinstance(names, str) else names:
        if name not in _TYPES:
            raise ToolDeclarationError(f"{where}: no JSON type is called {name!r}")
    _check_pattern(schema.get("pattern", ""), where)
    for name, part in schema.get("properties", {}).items():
        check_schema(part, where=f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            check_schema(schema[key], where=f"{where}.{key}")
    for part in schema.get("anyOf", ()):
        check_schema(part, where=where)


def _check_pattern(pattern: str, where: str) -> None:
    try:
        re.compile(_python_pattern(pattern))
    except re.error as error:
        raise ToolDeclarationError(f"{where}: the pattern {pattern!r} is wrong: {error}") from error


def complaints(value: Any, schema: Any, *, where: str = "") -> list[str]:
    """Return what is wrong with a JSON value, at most `MAX_COMPLAINTS` sentences; none if right."""
    found = []
    for complaint in _complaints(value, schema, where):
        found.append(complaint)
        if len(found) == MAX_COMPLAINTS:
            break
    return found


def _complaints(value: Any, schema: Any, where: str) -> Iterator[str]:
    if schema is True or schema == {}:
        return
    name = where or "the arguments"
    if schema is False:
        yield f"{name} must not be there"
        return
    if not _has_type(value, schema.get("type")):
        yield f"{name} must be {_said(schema['type'])}, got {_shown(value)}"
        return
    yield from _choices(value, schema, name)
    match value:
        case bool() | None:
            pass
        case str():
            yield from _of_text(value, schema, name)
        case int() | float():
            yield from _of_number(value, schema, name)
        case list():
            yield from _of_list(value, schema, where, name)
        case dict():
            yield from _of_object(value, schema, where, name)


def _has_type(value: Any, names: Any) -> bool:
    if names is None:
        return True
    for name in [names] if isinstance(names, str) else names:
        if isinstance(value, bool) and name != "boolean":
            continue
        if isinstance(value, _TYPES[name]) and (name != "integer" or _is_whole(value)):
            return True
    return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or bool(value.is_integer())


def _choices(value: Any, schema: Mapping[str, Any], name: str) -> Iterator[str]:
    if "enum" in schema and not any(_is_same(value, option) for option in schema["enum"]):
        yield f"{name} must be one of {_said_options(schema['enum'])}, got {_shown(value)}"
    if "const" in schema and not _is_same(value, schema["const"]):
        yield f"{name} must be {_shown(schema['const'])}, got {_shown(value)}"
    if "anyOf" in schema:
        attempts = [complaints(value, option, where=name) for option in schema["anyOf"]]
        if attempts and all(attempts):
            # The nearest option is the one whose type is right, since that complains inside.
            fitting = [
                attempt
                for attempt, option in zip(attempts, schema["anyOf"], strict=True)
                if isinstance(option, Mapping) and _has_type(value, option.get("type"))
            ]
            yield from (fitting or [[attempt[0] for attempt in attempts]])[0]


def _of_text(value: str, schema: Mapping[str, Any], name: str) -> Iterator[str]:
    yield from _of_size(len(value), schema, ("minLength", "maxLength"), f"{name} must have", "char")
    if "pattern" in schema and re.search(_python_pattern(schema["pattern"]), value) is None:
        yield f"{name} must match {schema['pattern']}, got {_shown(value)}"


def _python_pattern(pattern: str) -> str:
    # Python's `$` also matches before a line break at the end; that of JSON Schema does not.
    return f"{pattern[:-1]}\\Z" if pattern.endswith("$") and pattern[-2:] != "\\$" else pattern


def _of_number(value: float, schema: Mapping[str, Any], name: str) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{name} must be >= {schema['minimum']}, got {_shown(value)}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{name} must be <= {schema['maximum']}, got {_shown(value)}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{name} must be > {schema['exclusiveMinimum']}, got {_shown(value)}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{name} must be < {schema['exclusiveMaximum']}, got {_shown(value)}"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"{name} must be a multiple of {schema['multipleOf']}, got {_shown(value)}"


def _of_list(value: list[Any], schema: Mapping[str, Any], where: str, name: str) -> Iterator[str]:
    yield from _of_size(
        len(value), schema, ("minItems", "maxItems"), f"{name} must have", "element"
    )
    if schema.get("uniqueItems") and any(
        _is_same(value[i], value[j]) for i in range(len(value)) for j in range(i)
    ):
        yield f"{name} must not have an element twice"
    if "items" in schema:
        for i, part in enumerate(value):
            yield from _complaints(part, schema["items"], f"{where}[{i}]")


def _of_object(
    value: dict[str, Any], schema: Mapping[str, Any], where: str, name: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    before = f"{where}." if where else ""
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{before}{key} is missing"
    yield from _of_size(
        len(value), schema, ("minProperties", "maxProperties"), f"{name} must have", "key"
    )
    others = schema.get("additionalProperties", True)
    for key, part in value.items():
        if key in properties:
            yield from _complaints(part, properties[key], f"{before}{key}")
        elif others is False:
            known = ", ".join(properties) or "none"
            yield f"{before}{key[:80]} is not an argument; there are {known}"
        else:
            yield from _complaints(part, others, f"{before}{key[:80]}")


def _of_size(
    size: int, schema: Mapping[str, Any], keys: tuple[str, str], what: str, of: str
) -> Iterator[str]:
    least, most = keys
    if least in schema and size < schema[least]:
        yield f"{what} at least {schema[least]} {of}s, got {size}"
    if most in schema and size > schema[most]:
        yield f"{what} at most {schema[most]} {of}s, got {size}"


def _is_same(a: Any, b: Any) -> bool:
    """Tell whether two JSON values are equal; 1 is 1.0, and not true."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_same(a[key], b[key]) for key in a)
    return bool(a == b)


def _said(names: Any) -> str:
    return names if isinstance(names, str) else " or ".join(names)


def _said_options(options: list[Any]) -> str:
    shown = ", ".join(_shown(option) for option in options[:20])
    return shown + (", …" if len(options) > 20 else "")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"
