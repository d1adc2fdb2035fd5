"""Lengths of time and ranges of days: the types `duration` and `daterange`."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.bounds import size_violation
from dialog.slot_types.calendar_words import (
    known_language,
    number_pattern,
    read_number,
    read_unit,
    unit_pattern,
)
from dialog.slot_types.date_finder import FoundDate, find_dates
from dialog.slot_types.dates import allowed_first, date_violation, say_date
from dialog.slot_types.moments import Duration, read_date
from dialog.slot_types.words import is_negated

_AND = {"en": "and", "de": "und", "fr": "et"}
_HALF = {"en": "a half", "de": "eine halbe", "fr": "demie?"}
_UNITS = {
    "en": (("year", "years"), ("month", "months"), ("day", "days"), ("hour", "hours"),
           ("minute", "minutes"), ("second", "seconds")),
    "de": (("Jahr", "Jahre"), ("Monat", "Monate"), ("Tag", "Tage"), ("Stunde", "Stunden"),
           ("Minute", "Minuten"), ("Sekunde", "Sekunden")),
    "fr": (("an", "ans"), ("mois", "mois"), ("jour", "jours"), ("heure", "heures"),
           ("minute", "minutes"), ("seconde", "secondes")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundDuration:
    """A span that means a length of time."""

    start: int
    end: int
    value: Duration


def find_durations(text: str, locale: str) -> list[FoundDuration]:
    """Return the lengths of a text; "an hour and 30 minutes" is one."""
    language = known_language(locale)
    number, unit = number_pattern(language), unit_pattern(language)
    part = re.compile(
        rf"(?<![\w.,:/])(?P<n>{number})[\s\u00a0-]?(?:(?:and|et)\s+(?P<half>a half"
        rf"|demi)\s+)?(?P<unit>{unit})\b"
        rf"(?:\s+(?:{_AND[language]})\s+(?P<tail>{_HALF[language]})\b(?!\s+(?:{unit})))?"
        r"|(?<![\w.,:/])(?P<h>\d{1,2})\s?h\s?(?P<m>[0-5]\d)\b",
        re.IGNORECASE,
    )
    found: list[FoundDuration] = []
    for match in part.finditer(text):
        value = _part(match, language)
        if value is None:
            continue
        joint = rf"\s*(?:,|{_AND[language]}|,\s*{_AND[language]})?\s*"
        last = found[-1] if found else None
        is_next = last is not None and re.fullmatch(
            joint, text[last.end : match.start()], re.IGNORECASE
        )
        if last and is_next and _size(value) < _size(last.value):
            found[-1] = FoundDuration(last.start, match.end(), last.value + value)
        else:
            found.append(FoundDuration(match.start(), match.end(), value))
    return found


def _size(value: Duration) -> timedelta:
    return timedelta(days=30 * value.months) + value.length


def _part(match: re.Match[str], language: str) -> Duration | None:
    if match["h"]:
        return Duration(0, timedelta(hours=int(match["h"]), minutes=int(match["m"])))
    n = read_number(match["n"], language)
    n += 0.5 if match["half"] or match["tail"] else 0
    months, seconds = read_unit(match["unit"], language)
    if months and n * months != int(n * months):
        return None
    return Duration(int(n * months), timedelta(seconds=n * seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationType:
    """A length of time as "P2D" or "PT1H30M"; nights count as days."""

    name: str = "duration"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the lengths of a text."""
        return [
            Candidate(
                start=found.start,
                end=found.end,
                value=str(found.value),
                violation=_size_violation(found.value, context),
                is_negated=is_negated(text, found.start),
            )
            for found in find_durations(text, context.locale)
        ]

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "2 days", "1 hour and 30 minutes"."""
        duration = Duration.read(str(value))
        language = known_language(locale)
        years, months = divmod(duration.months, 12)
        days, rest = divmod(int(duration.length.total_seconds()), 86_400)
        hours, rest = divmod(rest, 3_600)
        numbers = (years, months, days, hours, *divmod(rest, 60))
        parts = [
            f"{n} {units[0] if n == 1 else units[1]}"
            for n, units in zip(numbers, _UNITS[language], strict=True)
            if n
        ]
        if not parts:
            return f"0 {_UNITS[language][4][1]}"
        head = ", ".join(parts[:-1])
        return f"{head} {_AND[language]} {parts[-1]}" if head else parts[-1]

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the ISO form and how it breaks its bounds.

        Raises:
            ValueError: it is no duration.
        """
        duration = Duration.read(str(value))
        return str(duration), _size_violation(duration, context)


def _size_violation(value: Duration, context: TextContext) -> Violation | None:
    return size_violation(_size(value), context.bounds, lambda b: _size(Duration.read(str(b))))


_TO = {
    "en": r"\s*(?:to|until|till|through|and|-|\u2013)\s*(?:the\s+)?",
    "de": r"\s*(?:bis(?:\s+zum)?|und|-|\u2013)\s*(?:de[nmr]\s+)?",
    "fr": r"\s*(?:au|à|jusqu'au|et|-|\u2013)\s*(?:le\s+)?",
}
_SPOKEN = {"en": ("from", "to"), "de": ("von", "bis"), "fr": ("du", "au")}
_WEEKEND = {
    "en": r"\b(?:(?P<next>next)|this|the|over the)\s+weekend\b",
    "de": r"\b(?:(?P<next>nächstes)|dieses|am)\s+wochenende\b",
    "fr": r"\b(?:ce|le)\s+week-?end(?P<next>\s+prochain)?\b",
}
_WEEK = {
    "en": r"\b(?:(?P<next>next)|this)\s+week\b",
    "de": r"\b(?:(?P<next>nächste)|diese)\s+woche\b",
    "fr": r"\b(?:cette\s+semaine|la\s+semaine(?P<next>\s+prochaine))\b",
}
_FROM = {
    "en": r"[\s,]*(?:from|starting(?: on)?|beginning(?: on)?|as of|on|,)?\s*(?:on\s+)?",
    "de": r"[\s,]*(?:ab|von|vom|beginnend(?: am)?|am|,)?\s*(?:dem\s+)?",
    "fr": r"[\s,]*(?:à partir du|à partir de|dès|du|le|,)?\s*(?:le\s+)?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRangeType:
    """A range of days, {"start": …, "end": …}; the end is the day of leaving."""

    name: str = "daterange"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return "Friday to Sunday", "two nights from Friday", "this weekend", "next week"."""
        language = known_language(context.locale)
        days = find_dates(text, context)
        found = [*self._pairs(text, days, context, language)]
        found += self._with_length(text, days, context, language)
        found += self._weeks(text, context, language)
        kept: list[Candidate] = []
        for one in sorted(found, key=lambda c: (c.start - c.end, c.start)):
            if all(one.end <= k.start or k.end <= one.start for k in kept):
                kept.append(one)
        return sorted(kept, key=lambda candidate: candidate.start)

    def _pairs(
        self, text: str, days: list[FoundDate], context: TextContext, language: str
    ) -> list[Candidate]:
        found = []
        for first, second in itertools.pairwise(days):
            if not re.fullmatch(_TO[language], text[first.end : second.start], re.IGNORECASE):
                continue
            start = allowed_first(list(first.readings), context)[0]
            end = next((d for d in second.readings if d >= start), second.readings[0])
            is_weekday = re.search(r"\d", text[second.start : second.end]) is None
            if end < start and is_weekday:
                end += timedelta(days=7 * -(-(start - end).days // 7))
            found.append(_range(first.start, second.end, start, end, context))
        return found + self._same_month(text, days, context, language)

    def _same_month(
        self, text: str, days: list[FoundDate], context: TextContext, language: str
    ) -> list[Candidate]:
        """Return "3 to 5 March", "the 3rd to the 5th of March": the first day lacks its month."""
        found = []
        pattern = re.compile(
            rf"(?<![\w.,:/-])(\d{{1,2}})(?:st|nd|rd|th|\.|er)?{_TO[language]}$", re.IGNORECASE
        )
        for day in days:
            before = pattern.search(text[: day.start])
            end = day.readings[0]
            if before and text[day.start].isdigit() and 1 <= int(before[1]) < end.day:
                start = end.replace(day=int(before[1]))
                found.append(_range(before.start(1), day.end, start, end, context))
        return found

    def _with_length(
        self, text: str, days: list[FoundDate], context: TextContext, language: str
    ) -> list[Candidate]:
        found = []
        for length in find_durations(text, context.locale):
            if length.value.length % timedelta(days=1) or not _size(length.value):
                continue
            for day in days:
                first, second = (length, day) if length.end <= day.start else (day, length)
                between = text[first.end : max(first.end, second.start)]
                joint = (
                    _FROM[language] if first is length else r"[\s,]*(?:for|für|pour|pendant|,)?\s*"
                )
                if day.start < length.end and length.start < day.end:
                    continue
                if re.fullmatch(joint, between, re.IGNORECASE):
                    start = allowed_first(list(day.readings), context)[0]
                    end = length.value.after(start)
                    span = min(length.start, day.start), max(length.end, day.end)
                    found.append(_range(*span, start, end, context))
        return found

    def _weeks(self, text: str, context: TextContext, language: str) -> list[Candidate]:
        today = context.now.date()
        monday = today - timedelta(days=today.weekday())
        found = []
        for pattern, first, length in ((_WEEKEND, 5, 1), (_WEEK, 0, 6)):
            for match in re.finditer(pattern[language], text, re.IGNORECASE):
                start = monday + timedelta(days=first + (7 if match["next"] else 0))
                end = start + timedelta(days=length)
                start = max(start, today) if not match["next"] else start
                found.append(_range(match.start(), match.end(), start, end, context))
        return found

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "from Friday, 7 March 2025 to Sunday, 9 March 2025"."""
        start, end = read_range(value)
        before, between = _SPOKEN[known_language(locale)]
        return f"{before} {say_date(start, locale)} {between} {say_date(end, locale)}"

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the range and how it breaks its bounds.

        Raises:
            ValueError: it has no start and end.
        """
        start, end = read_range(value)
        candidate = _range(0, 1, start, end, context)
        return candidate.value, candidate.violation


def read_range(value: JsonValue) -> tuple[date, date]:
    """Return the days of a range.

    Raises:
        ValueError: it has no start and end.
    """
    if isinstance(value, Mapping) and {"start", "end"} <= set(value):
        return read_date(value["start"]), read_date(value["end"])
    raise ValueError(f'{value!r} is no range; write {{"start": "2025-03-07", "end": "2025-03-09"}}')


def _range(start: int, end: int, first: date, last: date, context: TextContext) -> Candidate:
    wrong = date_violation(first, context) or date_violation(last, context)
    if last < first:
        wrong = Violation(kind=ViolationKind.END_BEFORE_START, bound=first.isoformat())
    value = {"start": first.isoformat(), "end": last.isoformat()}
    return Candidate(start=start, end=end, value=value, violation=wrong)
