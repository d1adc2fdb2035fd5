"""Whether a text says a value: the same characters, number, date or time, written in another way.

Case, width, white space and invisible characters do not count; where a text can be read in two ways
(3/5 as March or May, 1.234 as a thousand or as one) it says both.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

_SPACES = re.compile(r"\s+")
_JOINERS = "@._-/\\+%$#&=:"  # part of a word where a letter or a digit follows, or comes before
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-+]?)(?P<digits>\d+(?:[.,' ]\d+)*)(?P<power>e[-+]?\d{1,3})?"
    r"(?P<unit>\s?%|k\b|m\b)?",
)
_IDENTIFIER = re.compile(r"(?=(?:[a-z]*\d){6})[a-z0-9]{8,40}")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d{1,3})?")
_GROUPED = re.compile(r"\d{1,3}(?:[,.' ]\d{3})+")
_NUMBER_WORDS = [
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
    "twenty",
]
_TENS = ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: Decimal(i) for i, word in enumerate(_NUMBER_WORDS)}
_WORDS |= {word: Decimal(10 * i) for i, word in enumerate(_TENS, start=3)}
_WORDS |= {"a dozen": Decimal(12), "hundred": Decimal(100), "thousand": Decimal(1000)}
_UNITS = {"%": Decimal("0.01"), "k": Decimal(1000), "m": Decimal(1_000_000)}

_MONTHS = "january february march april may june july august september october november december"
_MONTH = {name[:3]: i for i, name in enumerate(_MONTHS.split(), start=1)}
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTH_NAME = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = (  # how the parts of a date are said: a pattern, and which group is which part
    (re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), "ymd"),
    (re.compile(r"\b(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})\b"), "dmy"),
    (re.compile(r"\b(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})\b"), "mdy"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?(?: of)? {_MONTH_NAME},? (\d{{4}})\b"), "dmy"),
    (re.compile(rf"\b{_MONTH_NAME} (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})\b"), "mdy"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?(?: of)? {_MONTH_NAME}(?!\w|,? \d{{4}})"), "dm"),
    (re.compile(rf"\b{_MONTH_NAME} (\d{{1,2}})(?:st|nd|rd|th)?(?!\w|,? \d{{4}})"), "md"),
)
_TIME = re.compile(r"\b(\d{1,2})(?:[:.h](\d{2}))?(?::(\d{2}))?\s?([ap]\.?m\b)?")


def normalised(text: str) -> str:
    """Return the text without what does not count: case, width, invisible signs, spaces."""
    shown = text
    if not text.isascii():
        shown = unicodedata.normalize("NFKC", text)
        shown = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    return _SPACES.sub(" ", shown.casefold().replace("\u2212", "-").replace("\u2019", "'")).strip()


@dataclass(frozen=True, slots=True)
class SaidValues:
    """All that one text says, found once; `today` is what its "tomorrow" is counted from."""

    text: str
    numbers: frozenset[Decimal]
    dates: frozenset[date]
    days: frozenset[tuple[int, int]]  # month and day of dates without a year
    times: frozenset[time]
    today: date | None

    @classmethod
    def of(cls, text: str, *, today: date | None = None) -> "SaidValues":
        """Return what a text says."""
        plain = normalised(text)
        dates, days = _dates(plain)
        if today is not None:
            dates |= _relative_dates(plain, today)
        return cls(plain, _numbers(plain), frozenset(dates), frozenset(days), _times(plain), today)

    def says(self, value: Any) -> bool:
        """Tell whether a JSON value, a number or a text, is said."""
        if isinstance(value, str):
            return self._says_text(value)
        return Decimal(str(value)) in self.numbers

    def _says_in_groups(self, identifier: str) -> bool:
        """Tell whether an account's or a card's number is said with spaces or hyphens in it."""
        spaced = "[ -]?".join(identifier)
        return re.search(rf"(?<![a-z0-9]){spaced}(?![a-z0-9])", self.text) is not None

    def _says_text(self, value: str) -> bool:
        wanted = normalised(value)
        if not wanted:
            return False
        if self._has(wanted):
            return True
        if _PLAIN_NUMBER.fullmatch(wanted) and Decimal(wanted) in self.numbers:
            return True
        if _IDENTIFIER.fullmatch(wanted) and self._says_in_groups(wanted):
            return True
        return self._says_moment(_moment(value.strip()))

    def _says_moment(self, moment: date | time | None) -> bool:
        match moment:
            case datetime():
                return self._says_day(moment.date()) and moment.time() in self.times
            case date():
                return self._says_day(moment)
            case time():
                return moment in self.times
        return False

    def _says_day(self, day: date) -> bool:
        if day in self.dates:
            return True
        is_near = self.today is None or abs((day - self.today).days) <= 366
        return is_near and (day.month, day.day) in self.days

    def _has(self, wanted: str) -> bool:
        """Tell whether the text has these characters as whole words."""
        at = self.text.find(wanted)
        while at >= 0:
            if self._is_whole(at, at + len(wanted)):
                return True
            at = self.text.find(wanted, at + 1)
        return False

    def _is_whole(self, start: int, end: int) -> bool:
        before, first = self.text[max(0, start - 1) : start], self.text[start]
        if first.isalnum() and (before.isalnum() or (before and before in _JOINERS)):
            return False
        after, last = self.text[end : end + 2], self.text[end - 1]
        if not last.isalnum() or not after:
            return True
        if after[0].isalnum():
            return False
        return not (after[0] in _JOINERS and len(after) > 1 and not after[1].isspace())


def _numbers(text: str) -> frozenset[Decimal]:
    found = {number for word, number in _WORDS.items() if re.search(rf"\b{word}\b", text)}
    for match in _NUMBER.finditer(text):
        readings = _readings(match["digits"])
        unit = (match["unit"] or "").strip()
        for reading in readings:
            number = _decimal(f"{match['sign']}{reading}{match['power'] or ''}")
            if number is not None:
                found.add(number)
                if unit:
                    found.add(number * _UNITS[unit])
    return frozenset(found)


def _readings(digits: str) -> set[str]:
    """Return the numbers that digits with points, commas and spaces may mean, Python's way."""
    readings = set()
    whole, mark, part = digits, "", ""
    for sign in ".,":
        head, found, tail = digits.rpartition(sign)
        if found and len(tail) and tail.isdigit() and sign not in head:
            whole, mark, part = head, ".", tail
            if whole.isdigit() or _GROUPED.fullmatch(whole):
                readings.add(re.sub(r"\D", "", whole) + mark + part)
    if digits.isdigit() or _GROUPED.fullmatch(digits):
        readings.add(re.sub(r"\D", "", digits))
    if not readings or " " in digits:  # a list, as in "3, 4": each of its numbers
        readings |= set(re.split(r"[,' ]+", digits)) - {""}
    return readings


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _dates(text: str) -> tuple[set[date], set[tuple[int, int]]]:
    dates: set[date] = set()
    days: set[tuple[int, int]] = set()
    for pattern, order in _DATES:
        for match in pattern.finditer(text):
            part = dict(zip(order, match.groups(), strict=True))
            month = part["m"]
            m = int(month) if month.isdigit() else _MONTH[month]
            if "y" not in part:
                days.add((m, int(part["d"])))
            elif (day := _date(int(part["y"]), m, int(part["d"]))) is not None:
                dates.add(day)
    return dates, days


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _relative_dates(text: str, today: date) -> set[date]:
    said = {"today": 0, "tonight": 0, "yesterday": -1, "tomorrow": 1, "day after tomorrow": 2}
    found = {today + timedelta(days=n) for word, n in said.items() if word in text}
    for i, name in enumerate(_WEEKDAYS):
        if re.search(rf"\b{name}\b", text):
            ahead = (i - today.weekday()) % 7
            found |= {today + timedelta(days=ahead + 7 * week) for week in (0, 1)}
    return found


def _times(text: str) -> frozenset[time]:
    found = {time(12)} if re.search(r"\bnoon\b", text) else set()
    for match in _TIME.finditer(text):
        hour, minute, second, half = match.groups()
        if not minute and not half:
            continue
        hours = int(hour)
        if half:
            hours = hours % 12 + (12 if half[0] == "p" else 0)
        if hours < 24 and int(minute or 0) < 60 and int(second or 0) < 60:
            found.add(time(hours, int(minute or 0), int(second or 0)))
    return frozenset(found)


def _moment(text: str) -> date | time | None:
    if not re.match(r"\d{4}-\d\d-\d\d|\d\d:\d\d", text):
        return None
    for read in (date.fromisoformat, datetime.fromisoformat, time.fromisoformat):
        try:
            moment = read(text)
        except ValueError:
            continue
        is_clock = isinstance(moment, datetime | time)
        return moment.replace(tzinfo=None) if is_clock else moment  # type: ignore[call-arg]
    return None
