"""Spans of a text that mean a day: written dates, days of the week, "in two weeks", "the 15th".

Each span has its readings, the likelier first. What no reading can decide is left to who asks:
3/4 without a region, "next Friday" early in a week, "Friday" on a Friday.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from dialog.slot_types.base import TextContext
from dialog.slot_types.calendar_words import (
    WORDS,
    index_of,
    known_language,
    number_pattern,
    read_number,
    read_unit,
    unit_pattern,
)
from dialog.slot_types.moments import Duration, add_months, read_date
from dialog.slot_types.ordinals import find_ordinals

_MONTH_FIRST = frozenset({"en-US", "en-PH"})
_MAX_YEAR = 2200
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A span that means a day."""

    start: int
    end: int
    readings: tuple[date, ...]
    p: float = 1.0
    is_relative: bool = False  # to the slot's present value


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], TextContext, str], FoundDate | None]]


def find_dates(text: str, context: TextContext) -> list[FoundDate]:
    """Return the days of a text in their order; a longer span hides those inside of it."""
    language = known_language(context.locale)
    lowered = text.replace("\u2019", "'")
    found: list[FoundDate] = []
    for pattern, read in _rules(language):
        for match in pattern.finditer(lowered):
            one = read(match, context, language)
            if one is not None and one.readings:
                found.append(one)
    found += _days_of_month(lowered, context, language)
    return _longest(found)


def _longest(found: Iterable[FoundDate]) -> list[FoundDate]:
    kept: list[FoundDate] = []
    for one in sorted(found, key=lambda f: (f.start - f.end, f.start, -f.p)):
        if all(one.end <= k.start or k.end <= one.start for k in kept):
            kept.append(one)
    return sorted(kept, key=lambda f: f.start)


@lru_cache(maxsize=4)
def _rules(language: str) -> tuple[_Rule, ...]:
    words = WORDS[language]
    day = "|".join(f"(?:{form})" for form in words.weekday_forms)
    month = "|".join(f"(?:{form})" for form in words.month_forms)
    number, unit = number_pattern(language), unit_pattern(language)
    article = f"(?:(?:{words.article})\\s+)?"
    ordinal = f"(?:{words.ordinal})?"
    weekday = rf"(?:(?P<weekday>{day})\.?,?\s+)?"
    year = r"(?:,?\s+(?P<year>(?:19|20|21)\d\d))?"
    of = rf"(?:\s+(?:{words.of}))?" if words.of else ""
    days = "|".join(sorted((re.escape(d) for d in words.days), key=len, reverse=True))
    names = rf"(?P<this>{words.this})|(?P<next>{words.next})|(?P<last>{words.last})"
    after = {
        "en": "",
        "de": "",
        "fr": rf"(?:\s+(?:(?P<next2>{words.next})|(?P<last2>{words.last})))?",
    }
    week = {
        "en": r"(?:\s+(?P<week>week|in a week|in one week))?",
        "de": r"(?:\s+(?P<week>in einer woche|in acht tagen))?",
        "fr": r"(?:\s+(?P<week>en huit))?",
    }[language]
    rules: list[tuple[str, Callable[[re.Match[str], TextContext, str], FoundDate | None]]] = [
        (r"(?<![\d-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])", _written),
        (
            rf"(?<![\d/.:]){weekday}(?P<a>\d{{1,2}})(?P<sep>[/.-])(?P<b>\d{{1,2}})"
            r"(?:(?P=sep)(?P<year>\d{4}|\d\d)|\.(?=\s|$))?(?![\d/:]|\.\d)",
            _numeric,
        ),
        (
            rf"\b{weekday}{article}(?P<day>\d{{1,2}})\s?{ordinal}{of}\s+(?P<month>{month})\b\.?{year}(?!\d)",
            _written,
        ),
        (
            rf"\b{weekday}(?P<month>{month})\b\.?\s+{article}(?P<day>\d{{1,2}}){ordinal}\b(?!:){year}",
            _written,
        ),
        (rf"(?<![\w'])(?:the\s+)?(?P<name>{days})(?![\w'])", _named_day),
        (rf"\b(?:(?:{names})\s+)?(?P<weekday>{day})\b{after[language]}{week}", _weekday),
        (rf"\b(?:{words.inside})\s+(?P<n>{number})[\s-]?(?P<unit>{unit})\b", _ahead),
        (rf"\b(?P<n>{number})[\s-]?(?P<unit>{unit})\s+(?:{words.from_now})\b", _ahead),
        (rf"\b(?:(?P<n>{number})[\s-]?(?P<unit>{unit}))\s+(?P<later>{words.later})\b", _relative),
        (
            rf"\b(?:(?P<n>{number})[\s-]?(?P<unit>{unit}))\s+(?P<earlier>{words.earlier})\b",
            _relative,
        ),
        *_of_language(language),
    ]
    return tuple((re.compile(text, re.IGNORECASE), read) for text, read in rules)


def _of_language(
    language: str,
) -> list[tuple[str, Callable[[re.Match[str], TextContext, str], FoundDate | None]]]:
    next_day = {
        "en": r"\bthe (?:(?P<later>next day|following day|day after(?! tomorrow))"
        r"|(?P<earlier>previous day|day before(?! yesterday)))\b",
        "de": r"\b(?:(?P<later>am (?:nächsten|folgenden) tag|tags darauf)|(?P<earlier>am"
        r" (?:vorherigen )?vortag|am tag davor))\b",
        "fr": r"\b(?:(?P<later>le lendemain|le jour (?:suivant|d'après))|(?P<earlier>la veille"
        r"|le jour d'avant))\b",
    }[language]
    feasts = {
        "en": r"\b(?:(?P<eve>christmas eve)|(?P<christmas>christmas(?: day)?)"
        r"|(?P<sylvester>new year'?s eve)|(?P<new>new year'?s(?: day)?))\b",
        "de": r"\b(?:(?P<eve>heiligabend|weihnachtsabend)|(?P<christmas>weihnachten)"
        r"|(?P<sylvester>silvester)|(?P<new>neujahr))\b",
        "fr": r"\b(?:(?P<eve>réveillon de noël)|(?P<christmas>noël)"
        r"|(?P<sylvester>saint-sylvestre)|(?P<new>jour de l'an|nouvel an))\b",
    }[language]
    return [(next_day, _relative), (feasts, _feast)]


def _written(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    groups = match.groupdict()
    month_text = match["month"]
    forms = WORDS[language].month_forms
    month = int(month_text) if month_text.isdigit() else index_of(month_text, forms) + 1
    year = groups.get("year")
    readings = _days(int(year) if year else None, month, int(match["day"]), context)
    return FoundDate(match.start(), match.end(), readings)


def _numeric(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    del language
    a, b, separator, year_text = int(match["a"]), int(match["b"]), match["sep"], match["year"]
    if separator == "." and year_text is None and not match[0].endswith("."):
        return None  # 7.30 is a time or a number
    if separator == "-" and year_text is None:
        return None
    year = None if year_text is None else int(year_text) + (2000 if len(year_text) == 2 else 0)
    day_first, month_first = _days(year, b, a, context), _days(year, a, b, context)
    if separator == "." or language_orders_days_first(context.locale):
        readings = day_first or month_first
    elif context.locale in _MONTH_FIRST:
        readings = month_first or day_first
    else:
        readings = tuple(dict.fromkeys((*day_first, *month_first)))
    return FoundDate(match.start(), match.end(), readings)


def language_orders_days_first(locale: str) -> bool:
    """Return whether 3/4 is the third of April; plain "en" does not tell."""
    return locale not in _MONTH_FIRST and locale != "en"


def _days(year: int | None, month: int, day: int, context: TextContext) -> tuple[date, ...]:
    """Return the day in a year, or its next occurrence where none is given."""
    today = context.now.date()
    years = range(today.year, today.year + 9) if year is None else (year,)  # leap days
    for one in years:
        try:
            found = date(one, month, day)
        except ValueError:
            continue
        if found >= today or year is not None:
            return (found,) if found.year <= _MAX_YEAR else ()
    return ()


def _named_day(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    name = match["name"].lower()
    if name == "morgen" and re.search(
        r"\b(?:am|guten|jeden|diesen|den|frühen)\s+$", match.string[: match.start()], re.IGNORECASE
    ):
        return None  # the morning
    day = context.now.date() + timedelta(days=WORDS[language].days[name])
    return FoundDate(match.start(), match.end(), (day,))


def _weekday(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    groups = match.groupdict()
    text = match["weekday"]
    if len(text) <= 2 and not text[0].isupper():
        return None  # "so", "do", "mi" are words as well
    if language == "en" and text.lower() in {"sun", "sat", "mon", "wed"} and not text[0].isupper():
        return None
    today = context.now.date()
    ahead = (index_of(text, WORDS[language].weekday_forms) - today.weekday()) % 7
    coming = today + timedelta(days=ahead)
    week = timedelta(days=7)
    readings: tuple[date, ...] = (coming,)
    if groups.get("last") or groups.get("last2"):
        readings = (coming - week,)
    elif groups.get("week"):
        readings = (coming + week,)
    elif groups.get("next") or groups.get("next2"):
        is_this_week = 0 < ahead < 7 - today.weekday()
        readings = (coming + week, coming) if is_this_week else (coming + week * (not ahead),)
    elif not ahead and not groups.get("this"):
        readings = (coming + week, coming)
    return FoundDate(match.start(), match.end(), readings)


def _duration(match: re.Match[str], language: str) -> Duration | None:
    n = read_number(match["n"], language)
    months, seconds = read_unit(match["unit"], language)
    if months and n != int(n):
        return None
    return Duration(int(n) * months, timedelta(seconds=n * seconds))


def _ahead(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    duration = _duration(match, language)
    if duration is None or (not duration.months and duration.length < timedelta(days=1)):
        return None
    return FoundDate(match.start(), match.end(), (duration.after(context.now.date()),))


def _relative(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    """Move the slot's present value: "a day earlier", "the day after"."""
    current = _current_day(context)
    groups = match.groupdict()
    duration = _duration(match, language) if groups.get("n") else Duration(0, timedelta(days=1))
    if current is None or duration is None:
        return None
    if not duration.months and duration.length.total_seconds() % _DAY_S:
        return None
    moved = (duration if groups.get("later") else -duration).after(current)
    return FoundDate(match.start(), match.end(), (moved,), is_relative=True)


def _current_day(context: TextContext) -> date | None:
    try:
        return read_date(str(context.current)[:10]) if context.current else None
    except ValueError:
        return None


def _feast(match: re.Match[str], context: TextContext, language: str) -> FoundDate | None:
    del language
    month, day = next(
        day
        for name, day in (
            ("eve", (12, 24)), ("christmas", (12, 25)), ("sylvester", (12, 31)), ("new", (1, 1)),
        )
        if match[name]
    )  # fmt: skip
    return FoundDate(match.start(), match.end(), _days(None, month, day, context))


def _days_of_month(text: str, context: TextContext, language: str) -> list[FoundDate]:
    """Return "the 15th", "am 15.", "le 15": the next day of this number; with months in words."""
    found = []
    today = context.now.date()
    months = "|".join(WORDS[language].month_forms)
    for start, end, day in find_ordinals(text, language, 0):
        month = re.compile(
            rf"\s+(?:of\s+)?({months})\b(?:,?\s+((?:19|20|21)\d\d))?", re.IGNORECASE
        ).match(text, end)
        if month:
            number = index_of(month[1], WORDS[language].month_forms) + 1
            year = int(month[2]) if month[2] else None
            found.append(FoundDate(start, month.end(), _days(year, number, day, context)))
        elif _has_article(text, start, language) or (context.is_asked and text[start].isdigit()):
            found.append(FoundDate(start, end, _next_of(day, today), p=0.9))
    if language == "fr":
        alone = r"\ble (\d{1,2})(?![\d/:h.,%]|\s*(?:h|heures))\b"
        found += [
            FoundDate(match.start(), match.end(), _next_of(int(match[1]), today), p=0.8)
            for match in re.finditer(alone, text, re.IGNORECASE)
        ]
    return [one for one in found if one.readings]


def _has_article(text: str, start: int, language: str) -> bool:
    article = WORDS[language].article
    before = re.search(rf"\b(?:{article}|on|for)\s+$", text[:start], re.IGNORECASE)
    return before is not None and (text[start].isdigit() or language != "en")


def _next_of(day: int, today: date) -> tuple[date, ...]:
    for months in range(13):
        first = add_months(today.replace(day=1), months)
        try:
            found = first.replace(day=day)
        except ValueError:
            continue
        if found >= today:
            return (found,)
    return ()
