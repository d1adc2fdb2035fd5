"""JSON and JSON-lines files of a corpus, told apart by what is in them and not by their names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dialog.errors import CorpusError

_MAX_BYTES = 400_000_000


def json_values(path: Path) -> list[Any]:
    """Return what a file holds: the items of a list or of its lines, or the one object.

    Raises:
        CorpusError: it cannot be read, or is not JSON.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CorpusError(f"{path} has more than {_MAX_BYTES} bytes; split it")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error.reason}; convert it") from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as whole:
        return _lines(path, text, whole)
    return value if isinstance(value, list) else [value]


def json_files(path: Path) -> Iterator[Path]:
    """Yield a file itself, or the JSON files under a folder, in the order of their names.

    Raises:
        CorpusError: there are none.
    """
    if path.is_file():
        yield path
        return
    found = sorted(p for p in path.rglob("*") if p.suffix in {".json", ".jsonl"} and p.is_file())
    if not found:
        raise CorpusError(f"{path} holds no .json or .jsonl file; give the corpus's file or folder")
    yield from found


def _lines(path: Path, text: str, whole: json.JSONDecodeError) -> list[Any]:
    values = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            shown = whole if number == 1 else error
            raise CorpusError(
                f"{path}:{number} is no JSON: {shown.msg}; the file must be JSON, or one JSON"
                " object a line"
            ) from error
    if not values:
        raise CorpusError(f"{path} is empty; give the corpus's file")
    return values
