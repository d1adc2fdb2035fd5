"""Days: the type `date`."""

from dataclasses import dataclass
from datetime import date

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation
from dialog.slot_types.bounds import time_violation
from dialog.slot_types.calendar_words import calendar_words, known_language
from dialog.slot_types.date_finder import FoundDate, find_dates
from dialog.slot_types.moments import read_date
from dialog.slot_types.words import is_negated, role_before


@dataclass(frozen=True, slots=True, kw_only=True)
class DateType:
    """A day as "2025-03-07"."""

    name: str = "date"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the days; one that a bound forbids stays, with its violation."""
        return [_candidate(text, found, context) for found in find_dates(text, context)]

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "Friday, 7 March 2025" in the writing of the locale."""
        return say_date(read_date(value), locale)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the ISO form and how it breaks its bounds.

        Raises:
            ValueError: it is no date.
        """
        text = value[:10] if isinstance(value, str) and value[10:11] == "T" else value
        day = read_date(text)
        return day.isoformat(), date_violation(day, context)


def _candidate(text: str, found: FoundDate, context: TextContext) -> Candidate:
    readings = allowed_first(list(found.readings), context)
    best, others = readings[0], readings[1:]
    return Candidate(
        start=found.start,
        end=found.end,
        value=best.isoformat(),
        p=found.p * (0.6 if others else 1.0),
        ambiguous_with=tuple(day.isoformat() for day in others),
        violation=date_violation(best, context),
        is_negated=is_negated(text, found.start),
        role="relative" if found.is_relative else role_before(text, found.start),
    )


def allowed_first(readings: list[date], context: TextContext) -> list[date]:
    """Return the readings that the bounds allow; all of them where none is."""
    allowed = [day for day in readings if date_violation(day, context) is None]
    return allowed or readings[:1]


def date_violation(day: date, context: TextContext) -> Violation | None:
    """Return how a day breaks `after` and `before`."""

    def read(bound: JsonValue) -> date:
        return read_date(bound[:10] if isinstance(bound, str) else bound)

    return time_violation(day, context.bounds, read)


def say_date(day: date, locale: str) -> str:
    """Return a day in words, with its day of the week."""
    words, language = calendar_words(locale), known_language(locale)
    weekday, month = words.weekdays[day.weekday()], words.months[day.month - 1]
    year = f"{day.year:04d}"
    if locale == "en-US":
        return f"{weekday}, {month} {day.day}, {year}"
    if language == "de":
        return f"{weekday}, {day.day}. {month} {year}"
    if language == "fr":
        return f"{weekday} {'1er' if day.day == 1 else day.day} {month} {year}"
    return f"{weekday}, {day.day} {month} {year}"
