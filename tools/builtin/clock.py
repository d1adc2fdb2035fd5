"""The clock and the calendar as tools: what the time is, and which day comes how long after."""

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tools.argument_types import Range, Size
from tools.base import Effect, Tool
from tools.errors import InvalidArgumentError

MAX_BUSINESS_DAYS = 10_000

Amount = Annotated[int, Range(least=-1_000_000, most=1_000_000)]


def system_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def clock(*, now: Callable[[], datetime] = system_now, zone: str = "UTC") -> tuple[Tool, ...]:
    """Return the tools `current_time`, `add_to_date` and `days_between`.

    `now` returns an aware time; `zone` is that of the user, like Europe/Berlin.

    Raises:
        ValueError: no time zone has this name.
    """
    try:
        own = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone is called {zone!r}; write it like Europe/Berlin") from error

    def current_time(zone: Annotated[str, Size(most=60)] = "") -> dict[str, Any]:
        """Tell date and time now.

        Args:
            zone: a time zone like Asia/Tokyo; empty for the user's own.
        """
        moment = now().astimezone(_zone(zone) if zone else own)
        return {**_day(moment.date()), "time": f"{moment:%H:%M:%S}", "zone": str(moment.tzinfo)}

    tools = (current_time, add_to_date, days_between)
    return tuple(Tool.from_function(f, effect=Effect.READ, timeout_s=2.0) for f in tools)


def add_to_date(
    start: date,
    years: Amount = 0,
    months: Amount = 0,
    weeks: Amount = 0,
    days: Amount = 0,
    business_days: Annotated[int, Range(least=-MAX_BUSINESS_DAYS, most=MAX_BUSINESS_DAYS)] = 0,
) -> dict[str, Any]:
    """Tell which day comes so long after a date, or before it with negative numbers.

    Years and months come first; a day that the month has not becomes its last. Business days are
    Monday to Friday.

    Args:
        start: the date to count from.
        years: how many years later.
        months: how many months later.
        weeks: how many weeks later.
        days: how many days later.
        business_days: how many days later, Saturdays and Sundays not counted.
    """
    try:
        moved = _months_later(start, 12 * years + months) + timedelta(weeks=weeks, days=days)
        return _day(_business_days_later(moved, business_days))
    except (OverflowError, ValueError) as error:
        raise InvalidArgumentError(
            "start", "the result is outside of the years 1 to 9999"
        ) from error


def days_between(start: date, end: date) -> dict[str, Any]:
    """Tell how many days lie between two dates, negative if the second is earlier.

    Args:
        start: the first date.
        end: the second date.
    """
    days = (end - start).days
    first, last = min(start, end), max(start, end)
    weeks, rest = divmod((last - first).days, 7)
    weekdays = 5 * weeks + sum((first + timedelta(days=i)).weekday() < 5 for i in range(rest))
    return {"days": days, "weeks": f"{weeks} weeks and {rest} days", "business_days": weekdays}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidArgumentError("zone", f"no time zone is called {name!r}") from error


def _months_later(start: date, months: int) -> date:
    year, month = divmod(12 * start.year + start.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise ValueError(f"the year {year} is not in the calendar")
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last))


def _business_days_later(start: date, days: int) -> date:
    step = timedelta(days=1 if days > 0 else -1)
    day = start
    for _ in range(abs(days)):
        day += step
        while day.weekday() >= 5:
            day += step
    return day


def _day(day: date) -> dict[str, Any]:
    return {
        "date": day.isoformat(),
        "weekday": calendar.day_name[day.weekday()],
        "week": day.isocalendar().week,
    }
