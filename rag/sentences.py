"""Sentences of a passage, as byte-exact spans of its document.

Reference texts are prose wrapped over lines, mixed with headings, lists, grammar rules and code.
Only prose is cut into sentences; the rest is no statement that could be quoted as one.
"""

import re
from dataclasses import dataclass

from rag.document import Chunk

_BLOCK = re.compile(r"\S(?:.|\n(?!\s*(?:\n|\Z)))*")
_BULLET = re.compile(r"(?:[*+\-•]|\d{1,2}[.)]|[a-z][.)])\s+(?=\S)")
_END = re.compile(
    r"[.!?][\"'\u201d\u2019)\]*_`]*(?=\s+[\"'\u201c\u2018(\[*_`]*[A-Z0-9_@\u201c\"]|\s*\Z)"
)
_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|resp|approx|fig|sec|no|mr|mrs|ms|dr|prof|st|jr|sr)|\b[A-Z])\.$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][A-Za-z\u2019'-]+")
_UNDERLINE = re.compile(r"[=*\-~^#\"+]{3,}\s*$")
_CODE = re.compile(r"^\s*(?:>>>|\.\.\.\s|[\w.]+\s*=\s|def |class |import |from \w+ import|@\w)|::=")
_TERMINAL = re.compile(r"(?<!\.\.)[.!?:][\"'\u201d\u2019)\]*_`]*$")
_MIN_WORDS = 4
_MAX_LEAD = 120
_MIN_WORD_SHARE = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence: byte span in the document, and its text with white space folded.

    `lead` is the line that it explains, such as the signature above a description.
    """

    start: int
    end: int
    text: str
    lead: str = ""


def split_sentences(chunk: Chunk) -> list[Sentence]:
    """Return the sentences of a chunk in order; headings, rules and code are left out."""
    found: list[Sentence] = []
    lead, lead_indent = "", 0
    for block in _BLOCK.finditer(chunk.text):
        indent = block.start() - chunk.text.rfind("\n", 0, block.start()) - 1
        if indent <= lead_indent:
            lead = ""
        if _is_lead(block.group()):
            lead, lead_indent = " ".join(block.group().split()), indent
            continue
        for start, end in _items(chunk.text, block.start(), block.end()):
            if _is_prose(chunk.text[start:end]):
                found += _sentences(chunk, start, end, lead)
    return found


def _is_lead(text: str) -> bool:
    """Tell a signature or a term, which the indented text below it explains, from a statement."""
    return (
        len(text) <= _MAX_LEAD
        and "(" in text
        and not _TERMINAL.search(text)
        and _UNDERLINE.search(text) is None
    )


def _items(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a block where a line begins with a bullet or a number."""
    borders = [start]
    at = text.find("\n", start, end)
    while at >= 0:
        line = at + 1
        first = line + len(text[line:end]) - len(text[line:end].lstrip(" \t"))
        if _BULLET.match(text, first, end):
            borders.append(first)
        at = text.find("\n", line, end)
    spans = []
    for left, right in zip(borders, [*borders[1:], end], strict=True):
        bullet = _BULLET.match(text, left, right)
        spans.append((bullet.end() if bullet else left, right))
    return spans


def _is_prose(text: str) -> bool:
    lines = text.splitlines()
    if any(_UNDERLINE.fullmatch(line.strip()) for line in lines) or _CODE.search(text):
        return False
    words = _WORD.findall(text)
    tokens = text.split()
    return len(words) >= _MIN_WORDS and len(words) >= _MIN_WORD_SHARE * len(tokens)


def _sentences(chunk: Chunk, start: int, end: int, lead: str) -> list[Sentence]:
    text = chunk.text
    found = []
    at = start
    for match in _END.finditer(text, start, end):
        stop = match.end()
        if _ABBREVIATIONS.search(text[at : match.start() + 1]):
            continue
        found.append(_sentence(chunk, at, stop, lead))
        at = stop + len(text[stop:end]) - len(text[stop:end].lstrip())
    if at < end and text[at:end].strip():
        found.append(_sentence(chunk, at, end, lead))
    return [sentence for sentence in found if _is_statement(sentence.text)]


def _is_statement(text: str) -> bool:
    if len(_WORD.findall(text)) < _MIN_WORDS or not _TERMINAL.search(text):
        return False
    return not (text.endswith(":") and text[0].islower())


def _sentence(chunk: Chunk, start: int, end: int, lead: str) -> Sentence:
    piece = chunk.text[start:end].rstrip()
    first = chunk.start + len(chunk.text[:start].encode())
    return Sentence(
        start=first, end=first + len(piece.encode()), text=" ".join(piece.split()), lead=lead
    )
