"""JSON Schemas with instances that they allow or forbid: MaskBench and the JSON-Schema-Test-Suite.

Knows the form of both data sets, and how an instance is written where properties have an order.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

MASK_BENCH = "maskbench"
TEST_SUITE = "json_schema_test_suite"
_DRAFTS = {"draft7": Draft7Validator, "draft2020-12": Draft202012Validator}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A value, and whether the schema allows it."""

    value: Any
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A schema with instances; `file` groups cases, `name` is unique."""

    file: str
    name: str
    schema: Any
    instances: tuple[Instance, ...]
    draft: type[Validator]

    def is_valid(self, value: Any) -> bool:
        """Judge a value by the `jsonschema` library."""
        return bool(self.draft(self.schema).is_valid(value))


def read_cases(data: Path) -> list[Case]:
    """Return all cases below a folder that holds one of the data sets, or both."""
    return [*_mask_bench(data / MASK_BENCH), *_test_suite(data / TEST_SUITE / "tests")]


def _mask_bench(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield Case(
                file=f"{MASK_BENCH}/{path.stem}",
                name=row["id"],
                schema=row["schema"],
                instances=tuple(
                    Instance(value=test["data"], valid=test["valid"]) for test in row["tests"]
                ),
                draft=validator_for(row["schema"], default=Draft202012Validator),
            )


def _test_suite(folder: Path) -> Iterator[Case]:
    for draft, validator in _DRAFTS.items():
        for path in sorted((folder / draft).glob("*.json")):
            for row in json.loads(path.read_text(encoding="utf-8")):
                yield Case(
                    file=f"{TEST_SUITE}/{draft}",
                    name=f"{draft}/{path.stem}: {row['description']}",
                    schema=row["schema"],
                    instances=tuple(
                        Instance(value=test["data"], valid=test["valid"]) for test in row["tests"]
                    ),
                    draft=validator,
                )


def compact(value: Any, schema: Any) -> str:
    """Write an instance without whitespace, its properties in the order of the schema."""
    return json.dumps(_ordered(value, [schema], schema), ensure_ascii=False, separators=(",", ":"))


def _ordered(value: Any, schemas: Sequence[Any], root: Any) -> Any:
    parts = list(_flat(schemas, root))
    if isinstance(value, list):
        return [
            _ordered(item, [inner for part in parts for inner in _of_item(part, i)], root)
            for i, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    named = [key for part in parts for key in _dict(part.get("properties"))]
    named += [key for part in parts for key in part.get("required") or ()]
    named += [key for part in parts for key in _dict(part.get("const"))]
    order = dict.fromkeys([*(key for key in named if key in value), *value])
    return {
        key: _ordered(value[key], [inner for part in parts for inner in _of_key(part, key)], root)
        for key in order
    }


def _flat(schemas: Sequence[Any], root: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas that speak of one place, in the order in which they are read there."""
    waiting = list(schemas)[::-1]
    seen: list[Any] = []
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or any(schema is other for other in seen):
            continue
        seen.append(schema)
        if not {"allOf", "anyOf", "oneOf", "$ref"} & schema.keys():
            yield schema
            continue
        before: dict[str, Any] = {}
        following: list[Any] = []
        for key, inner in schema.items():
            if key in ("allOf", "anyOf", "oneOf") and isinstance(inner, list):
                following += inner
            elif key == "$ref" and isinstance(inner, str):
                following.append(_resolved(inner, root))
            elif key == "properties" and following:
                following.append({key: inner})
            else:
                before[key] = inner
        yield before
        waiting += following[::-1]


def _resolved(reference: str, root: Any) -> Any:
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~").replace("%25", "%").replace("%22", '"')
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict):
            found = found.get(name)
        else:
            return None
    return found


def _of_item(part: dict[str, Any], i: int) -> list[Any]:
    prefix = part.get("prefixItems")
    items = part.get("items")
    listed = prefix if isinstance(prefix, list) else items if isinstance(items, list) else []
    if i < len(listed):
        return [listed[i]]
    rest = part.get("additionalItems") if isinstance(items, list) else items
    return [rest]


def _of_key(part: dict[str, Any], key: str) -> list[Any]:
    properties = _dict(part.get("properties"))
    if key in properties:
        return [properties[key]]
    return [part.get("additionalProperties"), *_dict(part.get("patternProperties")).values()]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
