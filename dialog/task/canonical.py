"""Canonical JSON: the same text for the same value, whatever the order of its making."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from dialog.task.commands import JSON


def plain(value: Any) -> JSON:
    """Return a dataclass, and all that it holds, as JSON values."""
    match value:
        case Enum():
            return value.value
        case dict():
            return {str(key): plain(part) for key, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {spec.name: plain(getattr(value, spec.name)) for spec in fields(value)}
    return value


def canonical_json(value: Any) -> str:
    """Return a value as JSON text with sorted keys and no spaces."""
    return json.dumps(
        plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def digest(value: Any, *, length: int = 16) -> str:
    """Return the first `length` hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
