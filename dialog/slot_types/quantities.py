"""Numbers: digits in the writing of a locale, or words; ranges are asked, not guessed.

`1.000,5` is German, `1,000.5` English and `1 000,5` French. Where only the locale can tell, as of
"1.000", the other reading is kept beside the likelier one.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.bounds import size_violation
from dialog.slot_types.moments import number_to_json, plain
from dialog.slot_types.number_words import ARTICLES, VAGUE, read_words
from dialog.slot_types.words import Word, is_negated, language_of, words_of

_DIGITS = re.compile(
    r"(?<![\w:/.,\u2019-])(?P<sign>[-\u2212](?=\d))?"
    r"(?P<digits>\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*)"
    r"(?![\w:/]|-\d|[.,]\d)"
)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:([.,])\d{3})+")
_RANGE_JOINTS = {
    "en": ("or", "to", "-", "\u2013", "or maybe", "maybe", "and"),
    "de": ("oder", "bis", "-", "\u2013", "oder vielleicht", "und"),
    "fr": ("ou", "\u00e0", "-", "\u2013", "ou peut-\u00eatre", "et"),
}
_BETWEEN = {"en": "between", "de": "zwischen", "fr": "entre"}
_MINUS = frozenset({"minus", "moins", "negative"})
_UNSURE = 0.35  # of a word that is mostly an article
_MAX_DIGITS = 15  # beyond them a float would round

DECIMAL_SIGN = {"en": ".", "de": ",", "fr": ","}
GROUP_SIGN = {"en": ",", "de": ".", "fr": "\u202f"}


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number in a text; `other` is the reading of another locale."""

    start: int
    end: int
    value: Decimal
    other: Decimal | None = None
    p: float = 1.0
    is_word: bool = False


def read_digits(text: str, language: str) -> tuple[Decimal, Decimal | None]:
    """Return the number that digits mean in a language, and what they would mean elsewhere."""
    bare = re.sub(r"[ \u00a0\u202f'\u2019]", "", text)
    signs = [sign for sign in bare if sign in ".,"]
    if not signs:
        return Decimal(bare), None
    point = DECIMAL_SIGN.get(language, ".")
    if len(set(signs)) > 1:
        last = signs[-1]
        other = "," if last == "." else "."
        return Decimal(bare.replace(other, "").replace(last, ".")), None
    sign = signs[0]
    grouped = bool(_GROUPED.fullmatch(bare))
    as_groups = Decimal(bare.replace(sign, "")) if grouped else None
    as_places = Decimal(bare.replace(sign, ".")) if len(signs) == 1 else None
    if sign == point:
        return (as_places, as_groups) if as_places is not None else (as_groups or Decimal(0), None)
    return (as_groups if as_groups is not None else as_places or Decimal(0)), None


def find_numbers(text: str, locale: str, *, is_asked: bool = False) -> list[FoundNumber]:
    """Return the numbers of a text in their order."""
    language = language_of(locale)
    found = []
    for match in _DIGITS.finditer(text):
        if sum(c.isdigit() for c in match["digits"]) > _MAX_DIGITS:
            continue
        value, other = read_digits(match["digits"], language)
        sign = -1 if match["sign"] else 1
        found.append(
            FoundNumber(
                match.start(), match.end(), sign * value, None if other is None else sign * other
            )
        )
    found += _in_words(text, language, is_asked=is_asked)
    return sorted(_with_minus(text, found), key=lambda number: number.start)


_POINTING = frozenset({"the", "this", "that", "which", "last", "other", "another", "no"})
_NO_UNITS = frozenset({"of", "please", "is", "with", "near", "in", "at", "for", "and", "or", "by"})


def _counts(words: list[Word], at: int, after: int) -> bool:
    """Tell whether "one" is a number of what follows it ("one night"), and not "that one"."""
    if words[at].text.lower() != "one" or after >= len(words):
        return False
    before, unit = words[at - 1].text.lower() if at else "", words[after].text.lower()
    return before not in _POINTING and unit.isalpha() and unit not in _NO_UNITS


def _in_words(text: str, language: str, *, is_asked: bool) -> list[FoundNumber]:
    words, found, at = words_of(text), [], 0
    while at < len(words):
        read = read_words(words, at, language)
        if read is None:
            at += 1
            continue
        value, after = read
        span = " ".join(word.text for word in words[at:after])
        is_article = span in ARTICLES.get(language, frozenset()) and not (
            is_asked and _is_alone(words, at, after)
        )
        if is_article and _counts(words, at, after):
            is_article = False
        p = _UNSURE if is_article else 0.7 if span in VAGUE else 1.0
        found.append(
            FoundNumber(words[at].start, words[after - 1].end, Decimal(value), p=p, is_word=True)
        )
        at = after
    return found


def _is_alone(words: list[Word], first: int, after: int) -> bool:
    """Return whether hardly anything else is said: "just one", "one please", "for one"."""
    return len(words) - (after - first) <= 2


def _with_minus(text: str, numbers: list[FoundNumber]) -> list[FoundNumber]:
    found = []
    for number in numbers:
        before = words_of(text[: number.start])
        is_minus = bool(before) and before[-1].text in _MINUS
        is_minus = is_minus and text[before[-1].end : number.start].isspace()
        found.append(
            replace(number, value=-number.value, start=before[-1].start) if is_minus else number
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberType:
    """A number, whole or not."""

    is_integer: bool = False

    @property
    def name(self) -> str:
        """Return "integer" or "number"."""
        return "integer" if self.is_integer else "number"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the numbers; "two or three" is one candidate with two readings."""
        numbers = find_numbers(text, context.locale, is_asked=context.is_asked)
        found, at = [], 0
        while at < len(numbers):
            number = numbers[at]
            following = numbers[at + 1] if at + 1 < len(numbers) else None
            if following and _is_range(text, number, following, context.locale):
                found.append(self._candidate(text, number, context, until=following))
                at += 2
            else:
                found.append(self._candidate(text, number, context))
                at += 1
        return found

    def _candidate(
        self,
        text: str,
        number: FoundNumber,
        context: TextContext,
        until: FoundNumber | None = None,
    ) -> Candidate:
        others = [until.value] if until else []
        others += [number.other] if number.other is not None else []
        value, violation = self.canonical(number_to_json(number.value), context)
        return Candidate(
            start=number.start,
            end=until.end if until else number.end,
            value=value,
            p=number.p * (0.5 if until else 0.9 if number.other is not None else 1.0),
            ambiguous_with=tuple(number_to_json(other) for other in others),
            violation=violation,
            is_negated=is_negated(text, number.start),
        )

    def say(self, value: JsonValue, locale: str) -> str:
        """Return the digits in the writing of the locale."""
        return say_number(_decimal(value), locale)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the number and how it breaks its bounds.

        Raises:
            ValueError: it is no number.
        """
        number = _decimal(value)
        whole = number_to_json(number)
        if self.is_integer and not isinstance(whole, int):
            return whole, Violation(kind=ViolationKind.WRONG_FORM)
        return whole, size_violation(number, context.bounds, _decimal)


def _decimal(value: JsonValue) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no number")  # noqa: TRY004 - a wrong value, not our mistake
    text = str(value).strip()
    if not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?(e-?\d{1,2})?", text):
        raise ValueError(f"{value!r} is no number; write digits with a point")
    return Decimal(text)


def say_number(number: Decimal, locale: str, *, least_places: int = 0) -> str:
    """Return digits with the locale's decimal sign, and groups from 10,000 on."""
    language = language_of(locale)
    whole, _, places = plain(abs(number), least_places=least_places).partition(".")
    if len(whole) > 4:
        sign = GROUP_SIGN.get(language, ",")
        head = len(whole) % 3
        groups = [whole[:head]] if head else []
        whole = sign.join([*groups, *(whole[i : i + 3] for i in range(head, len(whole), 3))])
    minus = "-" if number < 0 else ""
    return f"{minus}{whole}{DECIMAL_SIGN.get(language, '.') + places if places else ''}"


def _is_range(text: str, left: FoundNumber, right: FoundNumber, locale: str) -> bool:
    language = language_of(locale)
    between = text[left.end : right.start].strip().lower()
    if between not in _RANGE_JOINTS.get(language, _RANGE_JOINTS["en"]):
        return False
    if between in {"and", "und", "et"}:
        before = words_of(text[: left.start])
        return bool(before) and before[-1].text == _BETWEEN.get(language, "between")
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentType:
    """A share in hundredths: 12.5 for "12.5 %"."""

    name: str = "percent"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the numbers before a percent sign; without one only where it is asked for."""
        found = []
        for number in find_numbers(text, context.locale, is_asked=context.is_asked):
            sign = _PERCENT.match(text, number.end)
            if not sign and not context.is_asked:
                continue
            value, violation = self.canonical(number_to_json(number.value), context)
            found.append(
                Candidate(
                    start=number.start,
                    end=sign.end() if sign else number.end,
                    value=value,
                    p=1.0 if sign else 0.8 * number.p,
                    violation=violation,
                    is_negated=is_negated(text, number.start),
                )
            )
        return found

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "12.5%" or "12,5 %"."""
        gap = "" if language_of(locale) == "en" else "\u00a0"
        return f"{say_number(_decimal(value), locale)}{gap}%"

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the number and how it breaks its bounds.

        Raises:
            ValueError: it is no number.
        """
        number = _decimal(value.rstrip("% ") if isinstance(value, str) else value)
        return number_to_json(number), size_violation(number, context.bounds, _decimal)


_PERCENT = re.compile(r"[\s\u00a0]*(?:%|per\s?cent\b|prozent\b|pour\s?cent\b)", re.IGNORECASE)
