"""Sentences of a passage, as byte-exact spans of its document.

Reference texts are prose wrapped over lines, mixed with headings, lists, grammar rules and code.
Only prose is cut into sentences. A chunk that holds none (rows of a table, a list without full
stops, a script without them) gives its items and lines instead, or at the least its head.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rag.document import Chunk

# Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, Japanese, Chinese.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
)
# Signs that are no `\w` but stand within words: accents, Hebrew, Arabic, the scripts of India.
_SIGNS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0970-\u0dff"
_LETTER = rf"[^\W\d_{_UNSPACED}]"
_BULLETED = re.compile(r"(?<!\S)[-*•+][ \t]+$")
_BULLET_CHARS = 6
_WORD = re.compile(rf"[{_UNSPACED}]{{2}}|{_LETTER}(?:{_LETTER}|[{_SIGNS}\u2019'-])+")
_OPENING = "[\"'\u201c\u2018\u201e\u201a\u00ab\u00bb\u00bf\u00a1(\\[*_`]"
_CLOSING = "[\"'\u201d\u2019\u201c\u00bb\u00ab\u300d\u300f\u300b\u3011\uff09)\\]*_`]"
# The full stops of India and Urdu and the question mark of Arabic have a space behind them. An
# ellipsis with a space before it stands for words left out.
_SPACED_END = r"(?:[.!?\u0964\u06d4\u061f]|(?<!\s)\u2026)"
_UNSPACED_END = "\u3002\uff01\uff1f"
_COLONS = (":", "\uff1a")
_END = re.compile(
    rf"{_SPACED_END}{_CLOSING}*"
    rf"(?:(?=\s*\Z)|(?=\s+{_OPENING}*[_@0-9\"\u201c])|(?=\s+{_OPENING}*(?P<next>[^\W\d_])))"
    rf"|[{_UNSPACED_END}]+{_CLOSING}*"
)
_TERMINAL = re.compile(
    rf"(?<!\.\.)(?:{_SPACED_END}|[{_UNSPACED_END}{''.join(_COLONS)}]){_CLOSING}*$"
)
_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|resp|approx|fig|sec|no|mr|mrs|ms|dr|prof|st|jr|sr|bzw|ca|nr|vgl)"
    r"|\b[^\W\d_])\.$",
    re.IGNORECASE,
)
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_BULLET = re.compile(r"(?:[*+\-\u2022\u2023\u25e6]|\d{1,2}[.)]|[a-z][.)])\s+(?=\S)")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]")
_FENCE = re.compile(r"^[ \t]*`{3,}(?P<info>[^`\n]*)$", re.MULTILINE)
_RULE = re.compile(r"([=*\-~^#\"+])\1{2,}")
_UNDERLINE = re.compile(r"[=*\-~^#\"+]{3,}\s*$")
_CODE = re.compile(r"^\s*(?:>>>|\.\.\.\s|[\w.]+\s*=\s|def |class |import |from \w+ import|@\w)|::=")
_NUMBER = re.compile(r"\d+")
_FIELD = re.compile(r"[^\s:][^:\n]*:\s")  # `header: value`, as the rows of tables are written
_MIN_WORDS = 4
_MIN_FIELD_WORDS = 2  # `Phone: 555` or `Closed today` in a list
_MAX_LEAD = 120
_MIN_WORD_SHARE = 0.45
_MAX_UNIT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence: byte span in the document, and its text with white space folded.

    `lead` is the line that it explains, such as the signature above a description.
    """

    start: int
    end: int
    text: str
    lead: str = ""


class _Block(NamedTuple):
    start: int
    end: int
    is_code: bool


def split_sentences(chunk: Chunk) -> list[Sentence]:
    """Return the sentences of a chunk in order; headings, rules and code are left out.

    An item of a bulleted list counts as one. Where there are none, or only ones that introduce
    something, return rows and lines as well; where there are none either, the head of the chunk.
    """
    text = chunk.text
    blocks = list(_blocks(text))
    sentences: list[Sentence] = []
    all_found: list[Sentence] = []
    lead, lead_indent = "", 0
    for start, end, is_code in blocks:
        if is_code:
            continue
        indent = start - text.rfind("\n", 0, start) - 1
        if indent <= lead_indent:
            lead = ""
        if _is_lead(text[start:end]):
            lead, lead_indent = " ".join(text[start:end].split()), indent
            for left, right in _items(text, start, end):
                all_found += _units(chunk, left, right)
            continue
        for left, right in _items(text, start, end):
            found = _sentences(chunk, left, right, lead) if _is_prose(text[left:right]) else []
            units = found or _units(chunk, left, right)
            sentences += (
                units if _BULLETED.search(text, max(0, left - _BULLET_CHARS), left) else found
            )
            all_found += units
    if any(not sentence.text.endswith(_COLONS) for sentence in sentences):
        return sentences
    return all_found or _head(chunk, blocks)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield paragraphs, and fenced code as a whole; headings and rules only part them."""
    lines = [(match.start(), match[0].rstrip()) for match in _LINE.finditer(text)]
    is_code = _begins_in_code(text)
    first = last = -1
    for i, (start, line) in enumerate(lines):
        is_fence = _FENCE.fullmatch(line) is not None
        below = lines[i + 1][1].strip() if i + 1 < len(lines) else ""
        if is_fence or (not is_code and _parts_blocks(line, below)):
            if first >= 0:
                yield _Block(first, last, is_code)
            first = -1
            is_code ^= is_fence
        elif line:
            if first < 0:
                first = start + len(line) - len(line.lstrip())
            last = start + len(line)
    if first >= 0:
        yield _Block(first, last, is_code)


def _begins_in_code(text: str) -> bool:
    """Tell whether the first fence closes code that began in the chunk before."""
    fences = list(_FENCE.finditer(text))
    if not fences or fences[0]["info"].strip():
        return False
    is_open = False
    for fence in fences:
        if fence["info"].strip() and is_open:  # only an opening fence names a language
            return True
        is_open = not is_open
    return is_open and _CODE.search(text[: fences[0].start()]) is not None


def _parts_blocks(line: str, below: str) -> bool:
    bare = line.strip()
    if not bare or _HEADING.match(line) or _RULE.fullmatch(bare):
        return True
    if not _RULE.fullmatch(below) or _BULLET.match(bare):
        return False
    # What ends as a sentence and is longer than the rule stands above a rule, and is no title.
    return len(bare) <= len(below) or _TERMINAL.search(bare) is None


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
        if (match["next"] or "").islower() or _ABBREVIATIONS.search(text[at : match.start() + 1]):
            continue
        found.append(_sentence(chunk, at, stop, lead))
        at = stop + len(text[stop:end]) - len(text[stop:end].lstrip())
    if at < end and text[at:end].strip():
        found.append(_sentence(chunk, at, end, lead))
    return [sentence for sentence in found if _is_statement(sentence.text)]


def _is_statement(text: str) -> bool:
    if len(_WORD.findall(text)) < _MIN_WORDS or not _TERMINAL.search(text):
        return False
    return not (text.endswith(_COLONS) and text[0].islower())


def _units(chunk: Chunk, start: int, end: int) -> list[Sentence]:
    """Return an item, a row or a run of lines in pieces that are short enough to be quoted."""
    text = chunk.text
    if _CODE.search(text[start:end]):
        return []
    runs: list[tuple[int, int]] = []
    is_broken = True
    for line in _LINE.finditer(text, start, end):
        if not line[0].strip():
            continue
        if not _num_words(line[0]):  # the rule of a table
            is_broken = True
        elif is_broken or line.end() - runs[-1][0] > _MAX_UNIT:
            runs.append(line.span())
            is_broken = False
        else:
            runs[-1] = runs[-1][0], line.end()
    is_item = _BULLET.search(text, text.rfind("\n", 0, start) + 1, start + 1) is not None
    # The first field of a row names it: "name: Kettle" is needed to understand "price: 30".
    name = text[start:end].split("\n", 1)[0].strip()
    if len(name) > _MAX_LEAD or not _FIELD.match(name):
        name = ""
    return [
        _sentence(chunk, left, right, name if left > start else "")
        for run in runs
        for left, right in _pieces(text, *run)
        if _is_unit(text[left:right], is_item=is_item)
    ]


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a span at white space into pieces of up to `_MAX_UNIT` characters."""
    while piece := text[start:end].strip():
        start += len(text[start:end]) - len(text[start:end].lstrip())
        size = len(piece)
        if size > _MAX_UNIT:
            border = re.search(r"\s\S*\Z", piece[: _MAX_UNIT + 1])
            size = border.start() if border else _MAX_UNIT
        yield start, start + size
        start += size


def _is_unit(text: str, *, is_item: bool) -> bool:
    """Tell what says something by itself from a single word or a title."""
    is_field = is_item or _NUMBER.search(text) or _FIELD.match(text)
    return _num_words(text) >= (_MIN_FIELD_WORDS if is_field else _MIN_WORDS)


def _num_words(text: str) -> int:
    return len(_WORD.findall(text)) + len(_NUMBER.findall(text))


def _head(chunk: Chunk, blocks: list[_Block]) -> list[Sentence]:
    """Return the beginning of the first text below a heading, be it code; [] if there is none."""
    text = chunk.text
    worded = [block for block in blocks if _num_words(text[block.start : block.end])]
    if not worded:
        return []
    start, end, _ = worded[0]
    for block in worded[1:]:
        if not text[end : block.start].isspace():
            break
        end = block.end
    bullet = _BULLET.match(text, start, end)
    left, right = next(_pieces(text, bullet.end() if bullet else start, end))
    return [_sentence(chunk, left, right, "")]


def _sentence(chunk: Chunk, start: int, end: int, lead: str) -> Sentence:
    piece = chunk.text[start:end].rstrip()
    first = chunk.start + len(chunk.text[:start].encode())
    return Sentence(
        start=first, end=first + len(piece.encode()), text=" ".join(piece.split()), lead=lead
    )
