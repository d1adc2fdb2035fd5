"""A bot's documents cut into sections: what stands under a heading, with its place in the file."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dialog.bot.data_folder import located
from dialog.bot.definition import KnowledgeDefinition
from dialog.errors import KnowledgeError

COLLECTION: Final = "collection:"
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?]+(?:[.!?](?!\s|$)[^.!?]*)*[.!?]*\s*")
_KINDS: Final = frozenset({".md", ".txt", ".markdown", ".jsonl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Text under a heading; `start` counts characters from the beginning of the file."""

    file: str
    heading: str
    text: str
    start: int

    @property
    def sentences(self) -> list[tuple[int, int]]:
        """The spans of the sentences in the text."""
        spans: list[tuple[int, int]] = []
        for match in _SENTENCE.finditer(self.text):
            words = match[0].strip()
            if words:
                begin = match.start() + match[0].index(words[0])
                spans.append((begin, begin + len(words)))
        return spans


def read_sections(folder: Path, source: KnowledgeDefinition) -> list[Section]:
    """Return the sections of the files that a knowledge source names, in order of file names.

    Raises:
        KnowledgeError: no file fits a pattern, or one is no text.
    """
    found: list[Section] = []
    for pattern in source.patterns:
        if pattern.startswith(COLLECTION):
            continue
        try:
            base, inner = located(folder, pattern)
        except ValueError as error:
            raise KnowledgeError(f"{source.source}: {error}") from None
        paths = [path for path in sorted(base.glob(inner)) if path.suffix.lower() in _KINDS]
        if not paths:
            raise KnowledgeError(
                f"{source.source}: no Markdown, text or JSON-lines file fits {pattern!r} in"
                f" {base.name}; the pattern is relative to the bot's folder, such as docs/*.md"
            )
        for path in paths:
            found += _sections_of(path, str(path.relative_to(base)))
    return found


def _sections_of(path: Path, name: str) -> Iterator[Section]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path.name} is no UTF-8 text: {error.reason}") from error
    if path.suffix.lower() != ".jsonl":
        yield from _cut(name, text)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield from _document(f"{name}:{number}", line)


def _document(name: str, line: str) -> Iterator[Section]:
    """Cut one document of a file of JSON lines; places are those in its text."""
    try:
        document = json.loads(line)
        title, text = document.get("title", name), document["text"]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise KnowledgeError(
            f"{name} is no document; each line is an object with a text and perhaps a title"
        ) from None
    if not isinstance(text, str) or not isinstance(title, str):
        raise KnowledgeError(f"{name}: text and title must be texts")
    yield from _cut(name, text, title=title)


def _cut(file: str, text: str, *, title: str = "") -> Iterator[Section]:
    headings = list(_HEADING.finditer(text))
    begin, heading = 0, title or Path(file).stem.replace("_", " ")
    for match in (*headings, None):
        end = match.start() if match is not None else len(text)
        body = text[begin:end].strip()
        if body:
            start = begin + text[begin:end].index(body[0])
            yield Section(file=file, heading=heading, text=body, start=start)
        if match is not None:
            begin, heading = match.end(), f"{title}: {match[2]}" if title else match[2]
