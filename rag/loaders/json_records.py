"""JSON and JSON Lines: each value on a line after the path of its keys, a record a paragraph.

`{"name": "Ann", "pets": [{"kind": "cat"}]}` becomes a heading `# Ann` and `pets[0].kind: cat`.
Numbers stay as they are written; null, empty strings and empty lists are left out.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rag.errors import FailureCode, ParseError
from rag.loaders.base import Extraction, one_line, tidy
from rag.loaders.charset import decode
from rag.loaders.plain_text import encoding_facts

MAX_DEPTH = 64  # a path says little beyond it, and would stand on every line
_TITLE_KEYS = ("title", "name", "headline", "heading", "subject")
_MAX_KEY_CHARS = 100
_MAX_TITLE_CHARS = 200
_MAX_LIST_CHARS = 200
_MAX_NAMED_LINES = 10
_PLAIN_KEY = re.compile(r"[^\s.:\[\]\"#`~-][^\s.:\[\]\"]*")
_BLANK_LINES = re.compile(r"\n\s*\n")


class _Object(NamedTuple):
    pairs: list[tuple[str, Any]]  # all of them, also where a key comes twice


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=str
)


def load_json(data: bytes) -> Extraction:
    """Return the values of a JSON file; one that holds a value a line is read as JSON Lines."""
    decoded = decode(data)
    text = tidy(decoded.text).strip()
    try:
        value = _DECODER.decode(text) if text else []
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return load_json_lines(data)
        where = f"line {error.lineno}, column {error.colno}"
        raise ParseError(f"the JSON is broken: {error.msg} at {where}") from error
    records = value if isinstance(value, list) else [value]
    title = _title(value)[1] if isinstance(value, _Object) else ""
    facts = {**encoding_facts(decoded), "num_records": len(records)}
    return Extraction(text=_text(records), title=title, metadata=facts)


def load_json_lines(data: bytes) -> Extraction:
    """Return the records of a JSON Lines file; lines that are broken are named in the warning."""
    decoded = decode(data)
    records, broken = [], []
    for number, line in enumerate(tidy(decoded.text).split("\n"), 1):
        if not line.strip():
            continue
        try:
            records.append(_DECODER.decode(line.strip()))
        except json.JSONDecodeError:
            broken.append(number)
    if broken and len(broken) > len(records):
        raise ParseError(f"{len(broken)} of its lines are no JSON, the first in line {broken[0]}")
    facts = {**encoding_facts(decoded), "num_records": len(records)}
    if broken:
        named = ", ".join(map(str, broken[:_MAX_NAMED_LINES]))
        more = len(broken) - _MAX_NAMED_LINES
        ending = f" and {more} more" if more > 0 else ""
        warning = f"line{'s' * (len(broken) > 1)} {named}{ending} could not be read as JSON"
        facts["warning"] = "; ".join(filter(None, (decoded.warning, warning)))
    return Extraction(text=_text(records), metadata=facts)


def _text(records: Sequence[Any]) -> str:
    """Return the records as paragraphs; those with a title get a heading."""
    return tidy("\n\n".join(part for record in records for part in _record(record, "", 1)))


def _record(value: Any, path: str, level: int) -> Iterator[str]:
    if not isinstance(value, _Object):
        yield from _paragraphs(value, path)
        return
    key, title = _title(value)
    if title:
        yield f"{'#' * level} {title}"
    pairs = [(name, item) for name, item in value.pairs if not title or name != key]
    lists = [(name, item) for name, item in pairs if level == 1 and _is_records(item)]
    yield from _paragraphs(_Object([pair for pair in pairs if pair not in lists]), path)
    for name, items in lists:  # last: what comes after their headings would seem to be theirs
        for i, item in enumerate(items):
            yield from _record(item, f"{_joined(path, name)}[{i}]", level + 1)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, _Object) for item in value)


def _title(value: _Object) -> tuple[str, str]:
    """Return key and content of the field that names a record, or two empty strings."""
    named = {
        key.casefold(): (key, item)
        for key, item in reversed(value.pairs)
        if isinstance(item, str) and item.strip()
    }
    for name in _TITLE_KEYS:
        key, item = named.get(name, ("", ""))
        if item and len(item) <= _MAX_TITLE_CHARS and "\n" not in item.strip():
            return key, one_line(item)
    return "", ""


def _paragraphs(value: Any, path: str) -> Iterator[str]:
    """Yield the lines below `path`, joined where they belong together."""
    lines: list[str] = []
    for line in _lines(value, path, 0):
        if line and "\n" not in line:
            lines.append(line)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        if line:
            yield line
    if lines:
        yield "\n".join(lines)


def _lines(value: Any, path: str, depth: int) -> Iterator[str]:
    """Yield `path: value` for every value; an empty line between the items of a list."""
    if depth > MAX_DEPTH:
        reason = f"the JSON is nested more than {MAX_DEPTH} levels deep"
        raise ParseError(reason, FailureCode.TOO_LARGE)
    if isinstance(value, _Object):
        for key, item in value.pairs:
            yield from _lines(item, _joined(path, key), depth + 1)
    elif isinstance(value, list):
        yield from _list_lines(value, path, depth)
    elif shown := _shown(value):
        yield _line(path, shown)


def _list_lines(items: list[Any], path: str, depth: int) -> Iterator[str]:
    if not any(isinstance(item, _Object | list) for item in items):
        shown = [text for item in items if (text := _shown(item))]
        if sum(map(len, shown)) <= _MAX_LIST_CHARS and not any("\n" in text for text in shown):
            if shown:
                yield _line(path, ", ".join(shown))
            return
    for i, item in enumerate(items):
        if i and isinstance(item, _Object):
            yield ""
        yield from _lines(item, f"{path}[{i}]", depth + 1)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _line(path: str, shown: str) -> str:
    if not path:
        return shown
    if "\n" not in shown:
        return f"{path}: {shown}"
    body = _BLANK_LINES.sub("\n\n", shown)
    return f"{path}:\n\n{body}"


def _joined(path: str, key: str) -> str:
    shown = one_line(key, max_chars=_MAX_KEY_CHARS)
    if _PLAIN_KEY.fullmatch(shown):
        return f"{path}.{shown}" if path else shown
    return f"{path}[{json.dumps(shown, ensure_ascii=False)}]"
