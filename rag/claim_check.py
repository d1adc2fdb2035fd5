"""What a sentence says that the text it cites does not: hard checks, no model.

Numbers with their units, dates, names, quoted strings and code must occur in the source after
normalisation; a negation or a word's opposite on one side only is flagged. Names are told by their
capitals, as in English.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from index.analyser import analyse
from rag.dates import MONTHS, dates
from rag.polarity import is_negated, opposed
from rag.quantities import Number, numbers

ProblemKind = Literal["number", "date", "name", "quote", "negation", "opposite"]

_QUOTED = re.compile(
    r"[\"\u201c\u201e\u00ab]([^\"\u201c\u201d\u201e\u00ab\u00bb]{2,}?)[\"\u201d\u201c\u00bb]|`([^`]+)`"
)
_CODE = re.compile(r"\b\w*_\w*\b|\b[a-z]+[A-Z]\w*|\b\d+(?:\.\d+){2,}\b")
_CAPITAL = re.compile(r"\b[^\W\d_a-z][\w'\u2019.&-]*\w|\b[B-HJ-Z]\b")
_INNER = re.compile(r"(?<=[\w,;:)\]%\"\u201d'\u2019] )[\"\u201c(\[]?$|(?<=[(\u2013\u2014/-])$")
_SPACE = re.compile(r"\s+")
_FOLDED = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
)
_MIN_SHARED = 0.5
_NEAR_WORDS = 6
_BESIDE = 3  # words on each side of a name that tell which one is meant
_LONG = 4
_LETTERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something said that the source does not bear out; `text` is how the sentence puts it.

    `is_weak` of a word that only may be a name, since every sentence begins with a capital.
    """

    kind: ProblemKind
    text: str
    is_weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCheck:
    """What the hard checks found: the share of the sentence's terms in the source, and problems."""

    cover: float
    is_verbatim: bool
    problems: tuple[Problem, ...]


def check_claim(sentence: str, source: str) -> ClaimCheck:
    """Compare a sentence, without its marks, with the text that it cites."""
    said = fold_text(sentence).strip('"').rstrip(".!? ")  # a whole sentence may be a quotation
    if said in fold_text(source):
        return ClaimCheck(cover=1.0, is_verbatim=True, problems=())
    says_something = bool(analyse(sentence))
    return ClaimCheck(
        cover=says_something * cover(_without_numbers(sentence), source),
        is_verbatim=False,
        problems=tuple(_problems(sentence, source)),
    )


def fold_text(text: str) -> str:
    """Return a text with its white space and its typographic quotes and dashes made plain."""
    return _SPACE.sub(" ", text.translate(_FOLDED)).strip()


def cover(sentence: str, source: str) -> float:
    """Return the share of the sentence's terms that occur in the source; 1 where it has none."""
    terms = set(analyse(sentence))
    return len(terms & set(analyse(source))) / len(terms) if terms else 1.0


def _without_numbers(sentence: str) -> str:
    """Blank numbers and dates, which are compared by what they say and not as words."""
    spans = [(date.start, date.end) for date in dates(sentence)]
    spans += [(number.start, number.unit_end) for number in numbers(sentence)]
    for start, end in spans:
        sentence = sentence[:start] + " " * (end - start) + sentence[end:]
    return sentence


def nearest_part(sentence: str, source: str) -> str:
    """Return the sentence of a source that shares most terms, the whole of a short one."""
    parts = [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z\"(])", source) if part.strip()]
    return max(parts, key=lambda part: cover(sentence, part), default=source)


def _problems(sentence: str, source: str) -> Iterator[Problem]:
    said_dates = list(dates(sentence))
    source_dates = list(dates(source))
    for date in said_dates:
        if not any(date.is_in(other) for other in source_dates):
            yield Problem(kind="date", text=date.text)
    held = list(numbers(source))
    for number in numbers(sentence):
        in_date = any(date.start <= number.start < date.end for date in said_dates)
        if in_date or number.is_vague:
            continue
        same = [other for other in held if number.agrees(other)]
        if not same or not _counts_the_same(number, sentence, same, source):
            yield Problem(kind="number", text=sentence[number.start : number.end])
    plain = fold_text(source)
    for found in _QUOTED.finditer(sentence):
        quoted = found[1] or found[2]
        if fold_text(quoted).strip(".,").lower() not in plain.lower():
            yield Problem(kind="quote", text=quoted)
    yield from _absent_names(sentence, plain)
    yield from _turned(sentence, source)


def _counts_the_same(number: Number, sentence: str, same: list[Number], source: str) -> bool:
    """Tell whether what a number counts, the word behind it, stands near it in the source too.

    A word that the source has not got says nothing: it may be another one for the same.
    """
    counted = set(analyse(" ".join(sentence[number.end :].split()[:1])))
    if not counted or not counted <= set(analyse(source)):
        return True
    return any(counted <= set(analyse(_window(source, other.start, other.end))) for other in same)


def _absent_names(sentence: str, source: str) -> Iterator[Problem]:
    words = source.lower()
    terms = set(analyse(source))
    for code in _CODE.finditer(sentence):
        if not _stands_in(code[0], words):
            yield Problem(kind="name", text=code[0])
    for found in _CAPITAL.finditer(sentence):
        name = found[0].removesuffix("'s").removesuffix("\u2019s")
        if name.lower() in MONTHS or _CODE.fullmatch(name):
            continue
        is_inner = _INNER.search(sentence[: found.start()]) is not None
        if not (_stands_in(name, words) or set(analyse(name)) <= terms):
            yield Problem(kind="name", text=name, is_weak=not is_inner)
        elif not _in_the_same_place(found.start(), found[0], sentence, source):
            yield Problem(kind="name", text=name, is_weak=True)


def _in_the_same_place(at: int, name: str, sentence: str, source: str) -> bool:
    """Tell whether the words around a name stand near it in the source too.

    Words that the source has not got say nothing, and one alone too little.
    """
    around = sentence[:at].split()[-_BESIDE:] + sentence[at + len(name) :].split()[:_BESIDE]
    place = _beginnings(source)
    held = {word for word in _beginnings(" ".join(around)) if word in place} - _beginnings(name)
    if len(held) < 2:
        return True
    spots = [found.start() for found in re.finditer(re.escape(name), source, re.IGNORECASE)]
    near = [_beginnings(_window(source, spot, spot + len(name))) for spot in spots]
    return not near or any(held & words for words in near)


def _window(text: str, start: int, end: int) -> str:
    before, after = text[:start].split(), text[end:].split()
    return " ".join([*before[-_NEAR_WORDS:], *after[:_NEAR_WORDS]])


def _beginnings(text: str) -> frozenset[str]:
    """Return the longer words of a text by their first letters, which is as good as stems here."""
    return frozenset(
        word[:_LETTERS] for word in re.findall(r"\w+", text.lower()) if len(word) >= _LONG
    )


def _stands_in(name: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", words) is not None


def _turned(sentence: str, source: str) -> Iterator[Problem]:
    """Yield what turns the statement round; two turns make it what it was."""
    part = nearest_part(sentence, source)
    if cover(sentence, part) < _MIN_SHARED:
        return
    is_other = is_negated(sentence) != is_negated(part)
    pair = opposed(sentence, part)
    if is_other and pair is None:
        yield Problem(kind="negation", text="negated" if is_negated(sentence) else "not negated")
    elif pair is not None and not is_other:
        yield Problem(kind="opposite", text=f"{pair[0]} / {pair[1]}")
