"""Dates in a text, in the forms that English texts and machines write: `12 May 2019`, `2019-05-12`.

A date may lack its day or its year. `05/06/2019` is left alone, since it means two days.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_NAMES = "|".join(f"{name[:3]}(?:{name[3:]})?\\.?" if name != "may" else "may" for name in MONTHS)
_DAY = r"(?P<d>[12]?\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<y>1\d{3}|20\d{2})"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?P<y>\d{4})-(?P<n>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?=\b|T)",
        rf"\b{_DAY}(?: of)? (?P<m>{_NAMES})(?![a-z])(?:,? {_YEAR}\b)?",
        rf"\b(?P<m>{_NAMES}) {_DAY}\b(?!\s?(?:%|per))(?:,? {_YEAR}\b)?",
        rf"\b(?P<m>{_NAMES}),? {_YEAR}\b",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """What is said of a date; what is not said is None. `text` is how it is written."""

    year: int | None
    month: int
    day: int | None
    text: str
    start: int
    end: int

    def is_in(self, other: "Date") -> bool:
        """Tell whether another date says all that this one says."""
        return (
            self.month == other.month
            and self.year in (None, other.year)
            and self.day in (None, other.day)
        )


def dates(text: str) -> Iterator[Date]:
    """Yield the dates of a text in order, with their character spans."""
    found: list[re.Match[str]] = []
    for form in _FORMS:
        found += (
            match
            for match in form.finditer(text)
            if _is_capital(match)
            and not any(match.start() < one.end() and one.start() < match.end() for one in found)
        )
    for match in sorted(found, key=lambda match: match.start()):
        parts = match.groupdict()
        month = parts.get("n")
        yield Date(
            year=int(parts["y"]) if parts.get("y") else None,
            month=int(month) if month else _month(parts["m"]),
            day=int(parts["d"]) if parts.get("d") else None,
            text=match[0],
            start=match.start(),
            end=match.end(),
        )


def _month(name: str) -> int:
    return next(i for i, full in enumerate(MONTHS, 1) if full.startswith(name.lower()[:3]))


def _is_capital(match: re.Match[str]) -> bool:
    name = match.groupdict().get("m")
    return name is None or name[0].isupper()  # it may be 5 o'clock
