"""What of JSON Schema generation can be held to: everything else is refused by its name.

llguidance refuses most keywords that it does not implement; `checked` adds those that it reads
wrongly, bounds size and depth before anything recursive touches a schema, and takes out what
means nothing. `refusal` turns llguidance's messages into errors of ours. Knows no tokens.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm.decoding.pattern_sample import FORMATS, sample
from llm.errors import (
    ConstraintError,
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsupportedSchemaError,
)

MAX_SCHEMA_BYTES = 400_000
MAX_SCHEMA_DEPTH = 100  # of brackets; llguidance's own reader gives up at 128
MAX_PROPERTIES = 1_000  # of one object: compiling takes time with their square

_MAX_HINTS = 32

_IN_ONE = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_IN_LIST = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_IN_MAP = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")

_MEANS_NOTHING_WITHOUT = (  # in this order: an `if` without branches takes none with it
    ("then", ("if",)),
    ("else", ("if",)),
    ("if", ("then", "else")),
    ("minContains", ("contains",)),
    ("maxContains", ("contains",)),
)
_COUNTS = ("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties")

_MESSAGES = (  # of llguidance, and the keyword to blame
    (re.compile(r'Unimplemented keys: \["([^"]+)"'), ""),
    (re.compile(r"oneOf constraints are not supported"), "oneOf"),
    (re.compile(r"Unknown format"), "format"),
    (re.compile(r"patternProperty"), "patternProperties"),
    (re.compile(r"min/maxProperties"), "minProperties"),
    (re.compile(r"regex parse error|Unable to determine if regex|invalid regex"), "pattern"),
    (re.compile(r"not present in a registry|Pointer |circular references|[Aa]nchor"), "$ref"),
    (re.compile(r"multipleOf"), "multipleOf"),
)
_TOO_LARGE = re.compile(r"too large|too complex|too many|limit|fuel|overflow", re.IGNORECASE)
_UNSATISFIABLE = re.compile(r"[Uu]nsatisfiable")


def checked(text: str) -> dict[str, Any]:
    """Return the parsed schema, free of what means nothing.

    Raises:
        GrammarTooLargeError: too many bytes, brackets too deep, too many properties.
        InvalidGrammarError: no JSON, or no schema.
        UnsupportedSchemaError: a keyword that the grammar engine is known to read wrongly.
    """
    size = len(text.encode())
    if size > MAX_SCHEMA_BYTES:
        raise GrammarTooLargeError(what="the schema (in bytes)", size=size, limit=MAX_SCHEMA_BYTES)
    depth = _depth(text)
    if depth > MAX_SCHEMA_DEPTH:
        raise GrammarTooLargeError(
            what="the nesting of the schema", size=depth, limit=MAX_SCHEMA_DEPTH
        )
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidGrammarError(f"the schema is no JSON: {error}") from error
    if schema is True:
        return {}
    if schema is False:
        raise InvalidGrammarError("the schema is false, which nothing satisfies")
    if not isinstance(schema, dict):
        raise InvalidGrammarError(
            f"a schema must be an object or a boolean, got {type(schema).__name__}"
        )
    if "x-guidance" in schema:
        raise UnsupportedSchemaError(
            keyword="x-guidance", path="#", why="would change how the schema is read"
        )
    for path, part in _parts(schema):
        _tidy(part)
        _check_part(path, part)
    return schema


def refusal(message: str, schema: Mapping[str, Any] | None = None) -> ConstraintError:
    """Return our error for what llguidance says about a grammar; `schema` if there is just one."""
    for pattern, keyword in _MESSAGES:
        found = pattern.search(message)
        if found and schema is not None:
            blamed = keyword or found[1]
            return UnsupportedSchemaError(keyword=blamed, path=_where(schema, blamed))
    first = _summary(message)
    if _UNSATISFIABLE.search(message):
        return InvalidGrammarError(f"nothing satisfies this: {first}")
    if _TOO_LARGE.search(message):
        return GrammarTooLargeError(what=f"the grammar ({first})")
    return InvalidGrammarError(f"this is no grammar: {first}")


def hints(schema: dict[str, Any]) -> list[str]:
    """Return strings that patterns and formats of a schema ask for."""
    found: list[str | None] = []
    for _, part in _parts(schema):
        pattern, form = part.get("pattern"), part.get("format")
        if isinstance(pattern, str):
            found.append(sample(pattern))
        if isinstance(form, str):
            found.append(FORMATS.get(form))
    return [hint for hint in dict.fromkeys(found) if hint][:_MAX_HINTS]


def _summary(message: str) -> str:
    """Return the lines of a message that say what is wrong."""
    lines = message.strip().splitlines() or ["unknown"]
    errors = [line.removeprefix("error: ") for line in lines[1:] if line.startswith("error: ")]
    return "; ".join([lines[0].rstrip(":"), *errors])


def _depth(text: str) -> int:
    """Return how deep brackets are nested, without recursion."""
    deepest = depth = 0
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    for bracket in re.findall(r"[\[\]{}]", outside):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all objects that are read as schemas, with their JSON pointers."""
    waiting: list[tuple[str, Any]] = [("#", schema)]
    while waiting:
        path, part = waiting.pop()
        if not isinstance(part, dict):
            continue
        yield path, part
        waiting += [(f"{path}/{key}", part[key]) for key in _IN_ONE if key in part]
        for key in _IN_LIST:
            listed = part.get(key)
            if isinstance(listed, list):
                waiting += [(f"{path}/{key}/{i}", inner) for i, inner in enumerate(listed)]
        for key in _IN_MAP:
            named = part.get(key)
            if isinstance(named, dict):
                waiting += [(f"{path}/{key}/{name}", inner) for name, inner in named.items()]


def _tidy(part: dict[str, Any]) -> None:
    """Take out what means nothing, and write counts as the grammar engine reads them."""
    if part.get("uniqueItems") is False:
        del part["uniqueItems"]
    for word, needed in _MEANS_NOTHING_WITHOUT:
        if word in part and not any(other in part for other in needed):
            del part[word]
    for word in _COUNTS:
        count = part.get(word)
        if isinstance(count, float) and count.is_integer():
            part[word] = int(count)


def _check_part(path: str, part: dict[str, Any]) -> None:
    properties = part.get("properties")
    if isinstance(properties, dict) and len(properties) > MAX_PROPERTIES:
        raise GrammarTooLargeError(
            what=f"the number of properties at {path}", size=len(properties), limit=MAX_PROPERTIES
        )
    if "$ref" in part and "$id" in part:
        raise UnsupportedSchemaError(
            keyword="$ref", path=path, why="is not supported beside '$id', which moves it"
        )
    step = part.get("multipleOf")
    if isinstance(step, float) and not (step * 2**20).is_integer():
        raise UnsupportedSchemaError(
            keyword="multipleOf",
            path=path,
            why=f"{step} is not supported, since validators divide in binary fractions",
        )
    least = part.get("minProperties")
    if isinstance(least, int | float) and least > max(1, len(part.get("required") or ())):
        raise UnsupportedSchemaError(
            keyword="minProperties",
            path=path,
            why="above 1 is not supported, since no grammar keeps keys from being repeated",
        )


def _where(schema: Mapping[str, Any], keyword: str) -> str:
    for path, part in _parts(dict(schema)):
        if keyword in part:
            return path
    return "#"
