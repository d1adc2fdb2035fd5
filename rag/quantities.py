"""Numbers in a text, however they are written: `1,000`, `1 000`, `one thousand`, `6½`, `5 %`.

English number words and the marks of English texts; a number keeps the unit that follows it. Dates
are not numbers (`rag/dates.py`). Knows no sentences and no evidence.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = [
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "eleventh": 11,
    "twelfth": 12,
}
_SMALL: dict[str, int] = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
    **_ORDINALS,
}
_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_UNITS = {
    alias: unit
    for unit, aliases in {
        "%": "% percent percentage pct",
        "km": "km kilometre kilometer",
        "m": "m metre meter",
        "cm": "cm centimetre centimeter",
        "mm": "mm millimetre millimeter",
        "mi": "mi mile",
        "ft": "ft foot feet",
        "in": "inch",
        "kg": "kg kilogram kilogramme",
        "g": "g gram gramme",
        "mg": "mg milligram",
        "lb": "lb pound",
        "l": "l litre liter",
        "ml": "ml millilitre milliliter",
        "s": "s sec second",
        "min": "min minute",
        "h": "h hr hour",
        "day": "day",
        "week": "week",
        "month": "month",
        "year": "year yr",
        "k": "k kelvin",
        "c": "°c celsius",
        "f": "°f fahrenheit",
        "$": "$ dollar usd",
        "€": "€ euro eur",
        "£": "£ gbp",
        "kb": "kb kilobyte",
        "mb": "mb megabyte",
        "gb": "gb gigabyte",
    }.items()
    for alias in aliases.split()
}
_WORDS = "|".join(sorted({*_SMALL, *_SCALES}, key=len, reverse=True))
_DIGITS = r"\d{1,3}(?:[,\u00a0\u202f ]\d{3})+(?!\d)(?:\.\d+)?+(?!\.\d)|\d++(?:\.\d+)?+(?!\.\d)"
_NUMBER = re.compile(
    rf"(?P<currency>[$€£])?\s?(?<![\w.])(?P<sign>[-\u2212](?=\d))?"
    rf"(?:(?P<digits>{_DIGITS})(?P<fraction>[¼½¾⅓⅔⅛])?(?:st|nd|rd|th)?(?P<scale>\s?(?:{'|'.join(_SCALES)}))?"
    rf"|(?P<alone>[¼½¾⅓⅔⅛])"
    rf"|(?P<words>\b(?:{_WORDS})(?:(?:[\s-]+|\s+and\s+)(?:{_WORDS}))*\b))",
    re.IGNORECASE,
)
_UNIT = re.compile(r"[\s\u00a0\u202f-]?(per\s?cent|%|°[CF]|[A-Za-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A value and its unit ("" where none that is known follows); `text` is how it is written.

    `is_vague` of a word that is no number in most places, such as the one of "one of them".
    """

    value: Decimal
    unit: str
    text: str
    start: int
    end: int
    unit_end: int
    is_vague: bool = False

    def agrees(self, other: "Number") -> bool:
        """Tell whether it says the same; a unit that is missing on one side says nothing."""
        same_unit = not self.unit or not other.unit or self.unit == other.unit
        return self.value == other.value and same_unit


def numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of a text in order, with their character spans."""
    taken = 0  # a unit, such as that of "a 30-second film", is no number of its own
    for found in _NUMBER.finditer(text):
        for number in _read(found, text):
            if number.start >= taken:
                taken = number.unit_end
                yield number


def _read(found: re.Match[str], text: str) -> Iterator[Number]:
    words = found["words"]
    for value, first, last in _values(found):
        unit, unit_end = _unit_after(text, last)
        if found["currency"]:
            unit = _UNITS[found["currency"]]
        yield Number(
            value=-value if found["sign"] else value,
            unit=unit,
            text=text[first:last],
            start=found.start("sign") if found["sign"] else first,
            end=last,
            unit_end=unit_end,
            is_vague=words is not None and words.lower() in {"one", "first", "second"},
        )


def _first_of(found: re.Match[str]) -> int:
    return next(found.start(name) for name in ("digits", "alone", "words") if found[name])


def _values(found: re.Match[str]) -> Iterator[tuple[Decimal, int, int]]:
    if found["words"]:
        yield from _spelled(found["words"], found.start("words"))
        return
    value = Decimal(0)
    if found["digits"]:
        value = Decimal(re.sub(r"[,\u00a0\u202f ]", "", found["digits"]))
    fraction = found["fraction"] or found["alone"]
    if fraction:
        value += Decimal(str(unicodedata.numeric(fraction)))
    if found["scale"]:
        value *= _SCALES[found["scale"].strip().lower()]
    yield value.normalize(), _first_of(found), found.end()


def _spelled(words: str, offset: int) -> Iterator[tuple[Decimal, int, int]]:
    """Yield what a run of number words says: "two three" are two numbers, "twenty-three" is one."""
    total = group = 0
    first = last = -1
    before = ""
    for match in re.finditer(r"[a-z]+", words.lower()):
        word = match[0]
        if word == "and":
            continue
        if first >= 0 and not _goes_on(before, word):
            yield Decimal(total + group).normalize(), first, last
            total = group = 0
            first = -1
        if first < 0:
            first = offset + match.start()
        if word == "hundred":
            group = max(group, 1) * 100
        elif word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        else:
            group += _SMALL[word]
        last, before = offset + match.end(), word
    yield Decimal(total + group).normalize(), first, last


def _goes_on(before: str, word: str) -> bool:
    if word in _SCALES:
        return True
    if before in _SCALES:
        return True
    return before in _TENS and 0 < _SMALL[word] < 10  # twenty-one


def _unit_after(text: str, end: int) -> tuple[str, int]:
    found = _UNIT.match(text, end)
    if found is None:
        return "", end
    word = re.sub(r"\s", "", found[1].lower())
    if found[0] == "s":  # the 1990s
        return "", end
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in _UNITS:
            return _UNITS[form], found.end()
    return "", end
