"""Values behind the canonical forms: durations with months, amounts with a currency, ISO texts."""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from dialog.slot_types.base import JsonValue

_ISO_DURATION = re.compile(
    r"(?P<sign>-)?P(?=[\dT])(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?"
    r"(?:(?P<days>\d+)D)?(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """Months, which have no fixed length, and a length."""

    months: int
    length: timedelta

    @classmethod
    def read(cls, text: str) -> "Duration":
        """Read "P1Y2M", "P2D" or "PT30M".

        Raises:
            ValueError: it is no ISO 8601 duration.
        """
        found = _ISO_DURATION.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no duration; write it as P2D or PT30M")
        part = {name: int(found[name] or 0) for name in found.groupdict() if name != "sign"}
        sign = -1 if found["sign"] else 1
        length = timedelta(
            weeks=part["weeks"],
            days=part["days"],
            hours=part["hours"],
            minutes=part["minutes"],
            seconds=part["seconds"],
        )
        return cls(sign * (part["years"] * _MONTHS_A_YEAR + part["months"]), sign * length)

    def __str__(self) -> str:
        total = int(self.length.total_seconds())
        if self.months < 0 or total < 0:
            return f"-{Duration(-self.months, -self.length)}"
        years, months = divmod(self.months, _MONTHS_A_YEAR)
        days, rest = divmod(total, 86_400)
        hours, rest = divmod(rest, 3_600)
        minutes, seconds = divmod(rest, 60)
        day = "".join(f"{n}{u}" for n, u in ((years, "Y"), (months, "M"), (days, "D")) if n)
        clock = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
        if not day and not clock:
            return "P0D"
        return f"P{day}{'T' + clock if clock else ''}"

    def __neg__(self) -> "Duration":
        return Duration(-self.months, -self.length)

    def __add__(self, other: "Duration") -> "Duration":
        return Duration(self.months + other.months, self.length + other.length)

    def after(self, start: date) -> date:
        """Return the day this long after `start`; the 31st becomes the month's last day."""
        return add_months(start, self.months) + self.length

    def after_moment(self, start: datetime) -> datetime:
        """Return the moment this long after `start`."""
        day = add_months(start.date(), self.months)
        return datetime.combine(day, start.timetz()) + self.length


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    years, month = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 + months, _MONTHS_A_YEAR)
    return date(years, month + 1, min(day.day, monthrange(years, month + 1)[1]))


@dataclass(frozen=True, slots=True)
class Money:
    """An amount and the ISO 4217 code of its currency."""

    amount: Decimal
    currency: str

    @classmethod
    def read(cls, value: JsonValue) -> "Money":
        """Read {"amount": "12.50", "currency": "EUR"}.

        Raises:
            ValueError: it has not this form.
        """
        if isinstance(value, Mapping):
            amount, currency = value.get("amount"), value.get("currency")
            if isinstance(amount, str | int) and isinstance(currency, str):
                try:
                    return cls(Decimal(amount), currency)
                except InvalidOperation:
                    pass
        raise ValueError(
            f'{value!r} is no money; write it as {{"amount": "5.00", "currency": "EUR"}}'
        )

    def to_json(self) -> dict[str, JsonValue]:
        """Return the canonical form; the amount keeps at least two digits behind the point."""
        return {"amount": plain(self.amount, least_places=2), "currency": self.currency}


def plain(number: Decimal, *, least_places: int = 0) -> str:
    """Return a decimal without exponent and without needless zeros."""
    text = format(number, "f")
    whole, _, places = text.partition(".")
    places = places.rstrip("0").ljust(least_places, "0")
    return f"{whole}.{places}" if places else whole


def number_to_json(number: Decimal) -> int | float:
    """Return an int where the number is whole, else the float whose shortest form it is."""
    return int(number) if number == number.to_integral_value() else float(number)


def read_date(value: JsonValue) -> date:
    """Read "2025-03-07".

    Raises:
        ValueError: it is no such date.
    """
    if isinstance(value, str):
        return date.fromisoformat(value)
    raise ValueError(f"{value!r} is no date; write it as 2025-03-07")


def read_time(value: JsonValue) -> time:
    """Read "18:30".

    Raises:
        ValueError: it is no such time.
    """
    if isinstance(value, str):
        return time.fromisoformat(value).replace(tzinfo=None)
    raise ValueError(f"{value!r} is no time; write it as 18:30")


def write_time(value: time) -> str:
    """Return "18:30", with seconds only where there are some."""
    return value.isoformat("seconds" if value.second else "minutes")


def read_datetime(value: JsonValue) -> datetime:
    """Read "2025-03-07T18:30+01:00".

    Raises:
        ValueError: it is no such moment, or has no offset.
    """
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found
    raise ValueError(f"{value!r} is no moment; write it as 2025-03-07T18:30+01:00")


def write_datetime(value: datetime) -> str:
    """Return "2025-03-07T18:30+01:00"."""
    return value.isoformat(timespec="seconds" if value.second else "minutes")
