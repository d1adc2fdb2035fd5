"""YAML as text: every scalar is a string, every node knows its line and column.

YAML 1.1 would read `yes:` as a boolean key, 18:30 as 1110 and 2025-03-07 as a date object. Here
nothing is typed; who reads a node says what it must be. Tags and merge keys are errors, duplicate
keys are errors that name both lines, anchors are allowed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from dialog.bot.problems import Problems
from dialog.bot.source import SourceLine

MAX_NODES = 50_000
MAX_NESTING = 60

_QUOTES = 'put quotes round this text: "…"'


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlScalar:
    """A text; `is_null` for an empty plain one and for `~`, which are not the text ""."""

    text: str
    source: SourceLine
    is_quoted: bool = False

    @property
    def is_null(self) -> bool:
        """Whether nothing was written."""
        return not self.is_quoted and self.text in {"", "~"}


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlSequence:
    """A list."""

    items: tuple["YamlNode", ...]
    source: SourceLine
    is_flow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlMapping:
    """Keys in their order, each once."""

    entries: Mapping[str, "YamlNode"]
    keys: Mapping[str, YamlScalar]
    source: SourceLine
    is_flow: bool = False

    def get(self, key: str) -> "YamlNode | None":
        """Return the node of a key."""
        return self.entries.get(key)

    def at(self, key: str) -> SourceLine:
        """Return where a key stands."""
        return self.keys[key].source


YamlNode: TypeAlias = YamlScalar | YamlSequence | YamlMapping


def parse_yaml(text: str, file: str, problems: Problems) -> YamlNode | None:
    """Return the one document of a text; None where it is empty or `problems` tells why not."""
    try:
        return _Composer(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        source = SourceLine(file=file, line=line + 1, column=(mark.column if mark else 0) + 1)
        offending = text.splitlines()[line].strip() if line < len(text.splitlines()) else ""
        remedy, example = _hint(error, text, line)
        what = error.problem or "this is no YAML"
        problems.add(source, f"not YAML: {what}", text=offending, remedy=remedy, example=example)
    except yaml.reader.ReaderError as error:
        source = SourceLine(file=file, line=text.count("\n", 0, error.position) + 1, column=1)
        problems.add(
            source,
            f"the character {error.character!r} is not allowed in YAML",
            remedy="save the file as UTF-8 text without control characters",
        )
    return None


def _hint(error: yaml.MarkedYAMLError, text: str, line: int) -> tuple[str, str]:
    """Return what was probably meant, for the mistakes that people make."""
    context = error.context_mark
    lines = text.splitlines()
    first = min(context.line, line) if context else line
    around = "\n".join(lines[first : line + 1])
    if "\t" in around:
        return "indent with blanks, YAML allows no tabs", "  slots:"
    if re.search(r"\w\[\w+\]", around):
        return (
            "a list of values is written with many: true",
            "extras: {type: choice, many: true, values: [parking, wifi]}",
        )
    if re.search(r":\s+\{[^}]*\}\s*\S", around) and "flow" not in (error.context or ""):
        return (
            f"a text that begins with a brace needs quotes; {_QUOTES}",
            'done: "{name} is booked"',
        )
    if "flow" in (error.context or "") or "?" in around:
        return (
            f"inside of {{…}} or […] a text with ?, a comma, a colon or braces needs quotes;"
            f" {_QUOTES}",
            'ask: {en: "Which day do you arrive?"}',
        )
    if "mapping values are not allowed" in (error.problem or ""):
        return f"a text with a colon and a blank needs quotes; {_QUOTES}", 'done: "Booked: {code}"'
    return "check indentation, quotes and brackets on this line", ""


class _Composer:
    """Events → nodes. PyYAML's own composer would resolve tags first."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._file = file
        self._problems = problems
        self._anchors: dict[str, YamlNode | None] = {}
        self._num_nodes = 0

    def document(self) -> YamlNode | None:
        node: YamlNode | None = None
        num_documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                num_documents += 1
                if num_documents > 1:
                    self._problems.add(
                        self._source(event), "a bot file is one document", text="---",
                        remedy="remove the line '---'; split a file with include:",
                    )  # fmt: skip
                    return node
                node = self._node(next(self._events), 0)
        return node

    def _source(self, event: yaml.Event) -> SourceLine:
        mark = event.start_mark
        assert mark is not None  # events of a text have their marks
        return SourceLine(file=self._file, line=mark.line + 1, column=mark.column + 1)

    def _node(self, event: yaml.Event, depth: int) -> YamlNode:
        source = self._source(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", source)
        self._num_nodes += 1
        if depth > MAX_NESTING or self._num_nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {MAX_NESTING} levels or {MAX_NODES} nodes",
                problem_mark=event.start_mark,  # type: ignore[arg-type] # of either parser
            )
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if tag not in {None, "!"}:
            self._problems.add(
                source, "tags are not allowed", text=f"!{tag.rsplit(':', 1)[-1].lstrip('!')}",
                remedy="remove the tag; the type follows from the key",
            )  # fmt: skip
        if anchor:
            self._anchors[anchor] = None
        node = self._inner(event, source, depth)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _inner(self, event: yaml.Event, source: SourceLine, depth: int) -> YamlNode:
        match event:
            case yaml.ScalarEvent():
                return YamlScalar(text=event.value, source=source, is_quoted=bool(event.style))
            case yaml.SequenceStartEvent():
                items = []
                while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                    items.append(self._node(inner, depth + 1))
                return YamlSequence(
                    items=tuple(items), source=source, is_flow=bool(event.flow_style)
                )
            case _:
                return self._mapping(event, source, depth)

    def _mapping(self, start: yaml.Event, source: SourceLine, depth: int) -> YamlMapping:
        entries: dict[str, YamlNode] = {}
        keys: dict[str, YamlScalar] = {}
        is_flow = bool(getattr(start, "flow_style", False))
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, value = self._node(event, depth + 1), self._node(next(self._events), depth + 1)
            if not isinstance(key, YamlScalar):
                self._problems.add(
                    key.source, "a key is a word, not a list or a mapping",
                    remedy=f"a text that begins with a brace needs quotes; {_QUOTES}",
                )  # fmt: skip
            elif key.text == "<<" and not key.is_quoted:
                self._problems.add(
                    key.source, "merge keys are not allowed", text="<<",
                    remedy="write the keys out, or share a slot in the section slots:",
                )  # fmt: skip
            elif key.text in entries:
                self._problems.add(
                    key.source,
                    f"the key {key.text!r} stands here and already at {keys[key.text].source}",
                    text=key.text,
                    remedy="remove one of the two; YAML would keep only the last",
                )
            else:
                entries[key.text], keys[key.text] = value, key
        return YamlMapping(entries=entries, keys=keys, source=source, is_flow=is_flow)

    def _alias(self, anchor: str, source: SourceLine) -> YamlNode:
        node = self._anchors.get(anchor)
        if node is None:
            self._problems.add(
                source, f"*{anchor} refers to no finished anchor", text=f"*{anchor}",
                remedy=f"put &{anchor} before it, and not inside of itself",
            )  # fmt: skip
            return YamlScalar(text="", source=source)
        self._num_nodes += _size(node)
        return node


def _size(node: YamlNode) -> int:
    match node:
        case YamlScalar():
            return 1
        case YamlSequence():
            return 1 + sum(_size(item) for item in node.items)
        case _:
            return 1 + sum(_size(value) for value in node.entries.values())
