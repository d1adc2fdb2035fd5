"""Times of day and moments: the types `time` and `datetime`."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from dialog.slot_types.base import Candidate, JsonValue, TextContext, Violation, ViolationKind
from dialog.slot_types.bounds import time_violation
from dialog.slot_types.calendar_words import (
    known_language,
    number_pattern,
    read_number,
    read_unit,
    unit_pattern,
)
from dialog.slot_types.date_finder import FoundDate, find_dates
from dialog.slot_types.dates import say_date
from dialog.slot_types.moments import (
    read_date,
    read_datetime,
    read_time,
    write_datetime,
    write_time,
)
from dialog.slot_types.time_finder import FoundTime, find_times
from dialog.slot_types.words import is_negated, role_before

_JOINT = re.compile(r"[\s,]*(?:at|on|um|gegen|ab|am|à|vers|around|,|le)?[\s,]*", re.IGNORECASE)
_NOW = {"en": r"\b(?:right )?now\b", "de": r"\b(?:jetzt|sofort)\b", "fr": r"\bmaintenant\b"}
_INSIDE = {"en": "in|within", "de": "in", "fr": "dans"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeType:
    """A time of day as "18:30"."""

    name: str = "time"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the times; morning or evening is decided by words and bounds, else asked."""
        found = find_times(text, context) or self._bare(text, context)
        return [self._candidate(text, one, context) for one in found]

    def _bare(self, text: str, context: TextContext) -> list[FoundTime]:
        """Take "7" or "seven" for a time where a time is asked for."""
        if not context.is_asked:
            return []
        language = known_language(context.locale)
        match = re.search(
            rf"(?<![\w.,:/-])(?:{number_pattern(language)})(?![\w:/.-]\w)", text, re.IGNORECASE
        )
        if match is None:
            return []
        hour = read_number(match[0], language)
        if hour != int(hour) or not 0 <= hour <= 24:
            return []
        readings = [time(int(hour) % 24)]
        if 1 <= hour <= 12:
            readings.append(time((int(hour) + 12) % 24))
        return [FoundTime(match.start(), match.end(), tuple(readings), p=0.7)]

    def _candidate(self, text: str, found: FoundTime, context: TextContext) -> Candidate:
        allowed = [t for t in found.readings if _time_violation(t, context) is None]
        readings = allowed or list(found.readings[:1])
        return Candidate(
            start=found.start,
            end=found.end,
            value=write_time(readings[0]),
            p=found.p * (0.6 if len(readings) > 1 else 1.0),
            ambiguous_with=tuple(write_time(other) for other in readings[1:]),
            violation=_time_violation(readings[0], context),
            is_negated=is_negated(text, found.start),
            role="relative" if found.is_relative else role_before(text, found.start),
        )

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "6:30 pm", "18:30 Uhr" or "18 h 30"."""
        return say_time(read_time(value), locale)

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the ISO form and how it breaks its bounds.

        Raises:
            ValueError: it is no time.
        """
        found = read_time(value)
        return write_time(found), _time_violation(found, context)


def _time_violation(value: time, context: TextContext) -> Violation | None:
    def read(bound: JsonValue) -> time:
        text = str(bound)
        return datetime.fromisoformat(text).time() if "T" in text else read_time(text)

    return time_violation(value, context.bounds, read)


def say_time(value: time, locale: str) -> str:
    """Return a time of day in the writing of the locale."""
    language = known_language(locale)
    if language == "de":
        return f"{value.hour}:{value.minute:02d} Uhr"
    if language == "fr":
        return f"{value.hour:02d}:{value.minute:02d}"
    half = "am" if value.hour < 12 else "pm"
    return f"{value.hour % 12 or 12}:{value.minute:02d} {half}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateTimeType:
    """A moment as "2025-03-07T18:30+01:00", in the user's zone."""

    name: str = "datetime"

    def parse(self, text: str, context: TextContext) -> list[Candidate]:
        """Return the moments: a day with a time, the next such time of day, "in an hour"."""
        days, times = find_dates(text, context), find_times(text, context)
        found: list[Candidate] = self._from_now(text, context)
        free = list(times)
        for day in days:
            beside = [(t, _gap(text, day, t)) for t in free]
            near = [t for t, gap in beside if gap]
            if near:
                free.remove(near[0])
                found.append(_moment(text, day, near[0], context))
        for one in free:
            if not any(c.start < one.end and one.start < c.end for c in found):
                found.append(_moment(text, None, one, context))
        return sorted(found, key=lambda candidate: candidate.start)

    def _from_now(self, text: str, context: TextContext) -> list[Candidate]:
        language = known_language(context.locale)
        unit, number = unit_pattern(language), number_pattern(language)
        found = [
            Candidate(
                start=m.start(),
                end=m.end(),
                value=write_datetime(context.now.replace(second=0, microsecond=0)),
            )
            for m in re.finditer(_NOW[language], text, re.IGNORECASE)
        ]
        pattern = rf"\b(?:{_INSIDE[language]})\s+(?P<n>{number})\s?(?P<unit>{unit})\b"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            months, seconds = read_unit(match["unit"], language)
            if months or seconds >= 86_400:
                continue
            moment = _later(
                context.now, timedelta(seconds=seconds * read_number(match["n"], language))
            )
            found.append(
                _checked(
                    match.start(), match.end(), [moment.replace(second=0, microsecond=0)], context
                )
            )
        return found

    def say(self, value: JsonValue, locale: str) -> str:
        """Return "Friday, 7 March 2025 at 6:30 pm"."""
        moment = read_datetime(value)
        joint = {"de": "um", "fr": "à"}.get(known_language(locale), "at")
        return f"{say_date(moment.date(), locale)} {joint} {say_time(moment.time(), locale)}"

    def canonical(
        self, value: JsonValue, context: TextContext
    ) -> tuple[JsonValue, Violation | None]:
        """Return the ISO form; a moment without an offset is taken in the user's zone.

        Raises:
            ValueError: it is no moment.
        """
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no moment; write it as 2025-03-07T18:30+01:00")  # noqa: TRY004
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            found, wrong, _ = _in_zone(found.date(), found.time(), context)
            if wrong:
                return write_datetime(found), wrong
        return write_datetime(found), _moment_violation(found, context)


def zone_of(context: TextContext) -> tzinfo:
    """Return the user's zone: by its name where it is one, else that of `now`."""
    zone = context.now.tzinfo
    if context.timezone not in {"", "UTC", "user"}:
        return ZoneInfo(context.timezone)
    return zone if zone is not None else timezone.utc  # noqa: UP017 - the type of the port


def _later(now: datetime, length: timedelta) -> datetime:
    """Add a length on the world's clock, not on the wall's."""
    return (now.astimezone(timezone.utc) + length).astimezone(now.tzinfo)  # noqa: UP017


def _gap(text: str, day: FoundDate, found: FoundTime) -> bool:
    first, second = (day, found) if day.end <= found.start else (found, day)
    return _JOINT.fullmatch(text, first.end, max(first.end, second.start)) is not None


def _in_zone(
    day: date, clock: time, context: TextContext
) -> tuple[datetime, Violation | None, list[datetime]]:
    """Return a wall time in the user's zone: a gap is a violation, an overlap a further reading."""
    zone = zone_of(context)
    first = datetime.combine(day, clock, zone)
    again = first.astimezone(timezone.utc).astimezone(zone)  # noqa: UP017
    if again.replace(tzinfo=None) != first.replace(tzinfo=None):
        return again, Violation(kind=ViolationKind.NO_SUCH_TIME, bound=write_datetime(again)), []
    second = first.replace(fold=1)
    others = [second] if second.utcoffset() != first.utcoffset() else []
    return first, None, others


def _moment(text: str, day: FoundDate | None, found: FoundTime, context: TextContext) -> Candidate:
    start = min(found.start, day.start) if day else found.start
    end = max(found.end, day.end) if day else found.end
    days = list(day.readings) if day else []
    moments: list[datetime] = []
    wrong: Violation | None = None
    for clock in found.readings:
        own = days or [_next_day(clock, context)]
        for one in own:
            moment, violation, others = _in_zone(one, clock, context)
            wrong = wrong or violation
            moments += [moment, *others]
    candidate = _checked(start, end, moments, context, wrong)
    negated = is_negated(text, start)
    return Candidate(
        start=start, end=end, value=candidate.value, p=candidate.p, is_negated=negated,
        ambiguous_with=candidate.ambiguous_with, violation=candidate.violation,
        role=role_before(text, start),
    )  # fmt: skip


def _next_day(clock: time, context: TextContext) -> date:
    today = context.now.date()
    is_past = clock <= context.now.time()
    return today + timedelta(days=1) if is_past else today


def _checked(
    start: int,
    end: int,
    moments: list[datetime],
    context: TextContext,
    wrong: Violation | None = None,
) -> Candidate:
    allowed = [m for m in moments if _moment_violation(m, context) is None] or moments[:1]
    return Candidate(
        start=start,
        end=end,
        value=write_datetime(allowed[0]),
        p=0.6 if len(allowed) > 1 else 1.0,
        ambiguous_with=tuple(write_datetime(m) for m in allowed[1:]),
        violation=wrong or _moment_violation(allowed[0], context),
    )


def _moment_violation(moment: datetime, context: TextContext) -> Violation | None:
    def read(bound: JsonValue) -> datetime:
        text = str(bound)
        if "T" in text:
            return read_datetime(text)
        return datetime.combine(read_date(text), time(0), moment.tzinfo)

    bounds = context.bounds
    if isinstance(bounds.before, str) and "T" not in bounds.before:
        last = datetime.combine(read_date(bounds.before), time(23, 59, 59), moment.tzinfo)
        if moment > last:
            return Violation(kind=ViolationKind.TOO_LATE, bound=bounds.before)
        if bounds.after is not None and moment < read(bounds.after):
            return Violation(kind=ViolationKind.TOO_EARLY, bound=bounds.after)
        return None
    return time_violation(moment, bounds, read)
