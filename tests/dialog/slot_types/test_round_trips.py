"""What a type says it reads again, in each locale: `parse(say(v)) = v`."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog.slot_types.base import JsonValue, SlotType
from dialog.slot_types.catalogue import PLAIN_TYPES
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.currencies import CURRENCY_CODES, WITHOUT_CENTS
from dialog.slot_types.moments import (
    Duration,
    Money,
    number_to_json,
    write_datetime,
    write_time,
)
from dialog.slot_types.pattern import PatternType
from tests.dialog.slot_types.conftest import NOW, ZONE, context

LOCALES = ("en", "en-GB", "en-US", "de", "de-CH", "fr")

_days = st.dates(date(1950, 1, 1), date(2150, 12, 31))
_clock = st.builds(time, st.integers(0, 23), st.integers(0, 59))
_numbers = st.decimals(-(10**9), 10**9, places=2).map(number_to_json)
_cents = st.decimals(Decimal(0), Decimal(10**7), places=2)


def _money(amount: Decimal, currency: str) -> JsonValue:
    if currency in WITHOUT_CENTS:
        return {"amount": str(int(amount)), "currency": currency}
    return Money(amount, currency).to_json()


def _wall(day: date, clock: time) -> str:
    moment = datetime.combine(day, clock, ZONE).astimezone(ZONE)
    return write_datetime(moment.astimezone(NOW.tzinfo))


_VALUES: dict[str, st.SearchStrategy[JsonValue]] = {
    "integer": st.integers(-(10**9), 10**9),
    "number": _numbers,
    "percent": st.decimals(0, 1000, places=2).map(number_to_json),
    "money": st.builds(_money, _cents, st.sampled_from(sorted(CURRENCY_CODES))),
    "date": _days.map(date.isoformat),
    "time": _clock.map(write_time),
    "datetime": st.builds(_wall, st.dates(date(2025, 4, 2), date(2025, 10, 20)), _clock),
    "duration": st.builds(
        lambda months, minutes: str(Duration(months, timedelta(minutes=minutes))),
        st.integers(0, 40),
        st.integers(1, 50_000),
    ),
    "daterange": st.builds(
        lambda day, n: {"start": day.isoformat(), "end": (day + timedelta(days=n)).isoformat()},
        _days.filter(lambda d: d.year < 2150),
        st.integers(0, 60),
    ),
    "bool": st.booleans(),
    "card": st.integers(0, 9999).map(lambda n: f"⟨card:{n:04d}⟩"),
    "email": st.from_regex(
        r"[a-z]{1,8}([._-][a-z0-9]{1,5})?@[a-z]{1,8}\.[a-z]{2,3}", fullmatch=True
    ),
    "url": st.from_regex(r"https://[a-z]{1,8}\.[a-z]{2,3}(/[a-z0-9]{1,8})?", fullmatch=True),
    "phone": st.sampled_from(["1", "44", "49", "41", "33"]).flatmap(
        lambda code: st.from_regex(r"[1-9][0-9]{8,9}", fullmatch=True).map(
            lambda rest: f"+{code}{rest}"
        )
    ),
    "person": st.sampled_from(["Ana Lind", "José García", "John O'Neill", "Anna-Lena Weiß", "Li"]),
    "text": st.sampled_from(["a window seat", "12 red roses", "vegan, no nuts"]),
    "address": st.sampled_from(["12 High Street\nLeeds", "Bahnhofstrasse 1, 8001 Zürich"]),
}


def test_every_plain_type_has_its_round_trip() -> None:
    assert set(_VALUES) == set(PLAIN_TYPES)


def _reads_itself(kind: SlotType, value: JsonValue, locale: str) -> None:
    said = kind.say(value, locale)
    found = kind.parse(said, context(locale, is_asked=True))
    assert found, f"{kind.name} says {said!r} and does not read it ({locale})"
    readings = [candidate.value for candidate in found if not candidate.ambiguous_with]
    assert readings == [value], f"{kind.name} says {said!r} for {value!r}, reads {found} ({locale})"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", sorted(_VALUES))
def test_what_is_said_is_read_again(name: str, locale: str) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(_VALUES[name])
    def law(value: JsonValue) -> None:
        canonical, _ = PLAIN_TYPES[name].canonical(value, context(locale))
        assert canonical == value
        _reads_itself(PLAIN_TYPES[name], value, locale)

    law()


@pytest.mark.parametrize("locale", LOCALES)
def test_choices_and_patterns_read_what_they_say(locale: str) -> None:
    choice = ChoiceType(
        values={"cheap": {"": ("low cost",), "de": ("günstig",)}, "half_board": {}, "no": {}}
    )
    for key in choice.values:
        _reads_itself(choice, key, locale)
    pattern = PatternType(pattern="[A-Z]{2}[0-9]{4}", examples=("AB1234",))
    _reads_itself(pattern, "ZX0001", locale)
