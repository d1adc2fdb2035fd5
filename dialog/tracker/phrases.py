"""What users say to steer a dialogue, by language: read from `languages/*.json`.

Phrases are compared word by word, without case and accents. A language that has no file falls back
to English.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialog.tracker.words import split

_FOLDER = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The phrases of one language.

    `yes` and `no` count at the beginning of a turn, `indirect_*` anywhere in it; `any` says that
    any value will do, unless it is part of an `any_not`, `any_alone` only where it is nearly all
    that is said. `commands` maps the head of a command to phrases that stand for it anywhere,
    `alone` to such that do only where they are all that is said. `polite` words say nothing in a
    turn, `idle` ones (apart by spaces) do not tell one task or slot from another. A question that
    begins with a word of `request` ("can you …") asks for a deed.
    """

    yes: tuple[str, ...]
    no: tuple[str, ...]
    indirect_yes: tuple[str, ...]
    indirect_no: tuple[str, ...]
    any: tuple[str, ...]
    any_not: tuple[str, ...]
    any_alone: tuple[str, ...]
    negation: tuple[str, ...]
    correction: tuple[str, ...]
    also: tuple[str, ...]
    without: tuple[str, ...]
    same: tuple[str, ...]
    polite: tuple[str, ...]
    idle: str
    question: tuple[str, ...]
    chitchat: tuple[str, ...]
    request: tuple[str, ...]
    ordinals: Mapping[str, int]
    directions: Mapping[str, str]
    languages: Mapping[str, str]
    roles: Mapping[str, tuple[str, ...]]
    commands: Mapping[str, tuple[str, ...]]
    alone: Mapping[str, tuple[str, ...]]


def phrases_of(locale: str) -> Phrases:
    """Return the phrases of a locale's language, English where there are none."""
    language = locale.split("-", maxsplit=1)[0].lower()
    return _read(language if (_FOLDER / f"{language}.json").is_file() else "en")


@lru_cache(maxsize=1)
def idle_words() -> frozenset[str]:
    """Return the words, of any language, that do not tell one task or slot from another."""
    files = sorted(_FOLDER.glob("*.json"))
    return frozenset(word for file in files for word in split(_read(file.stem).idle))


@lru_cache(maxsize=32)
def _read(language: str) -> Phrases:
    values = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return Phrases(**{field.name: _frozen(values[field.name]) for field in fields(Phrases)})


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return value
