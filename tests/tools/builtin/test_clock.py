from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.builtin.clock import add_to_date, clock, days_between
from tools.errors import InvalidArgumentError

NOW = datetime(2025, 3, 7, 23, 30, tzinfo=UTC)


def current_time(**arguments: Any) -> Any:
    return clock(now=lambda: NOW, zone="Europe/Berlin")[0](**arguments)


def test_the_time_is_that_of_the_users_zone_or_of_the_one_asked_for() -> None:
    assert current_time() == {
        "date": "2025-03-08",
        "weekday": "Saturday",
        "week": 10,
        "time": "00:30:00",
        "zone": "Europe/Berlin",
    }
    assert current_time(zone="America/New_York")["date"] == "2025-03-07"


def test_unknown_zones_are_refused() -> None:
    for zone in ("Mars/Base", "../../etc/passwd", "/etc/localtime", "a\0b"):
        with pytest.raises(InvalidArgumentError, match="no time zone"):
            current_time(zone=zone)
    with pytest.raises(ValueError, match="no time zone"):
        clock(zone="Mars/Base")


@pytest.mark.parametrize(
    ("start", "more", "found"),
    [
        ("2025-01-31", {"months": 1}, "2025-02-28"),
        ("2024-02-29", {"years": 1}, "2025-02-28"),
        ("2025-03-07", {"weeks": 2, "days": -1}, "2025-03-20"),
        ("2025-03-07", {"business_days": 1}, "2025-03-10"),
        ("2025-03-10", {"business_days": -1}, "2025-03-07"),
        ("2025-12-31", {"months": -10}, "2025-02-28"),
    ],
)
def test_days_are_counted_by_the_calendar(start: str, more: dict[str, int], found: str) -> None:
    assert add_to_date(date.fromisoformat(start), **more)["date"] == found


@pytest.mark.parametrize("more", [{"years": 9_000}, {"days": -1_000_000}, {"months": -(10**6)}])
def test_what_is_outside_of_the_calendar_is_refused(more: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError, match="years 1 to 9999"):
        add_to_date(date(2025, 1, 1), **more)


@given(st.dates(), st.integers(-3_000, 3_000))
def test_adding_and_counting_agree(start: date, days: int) -> None:
    try:
        end = date.fromisoformat(add_to_date(start, days=days)["date"])
    except InvalidArgumentError:
        return
    assert days_between(start, end)["days"] == days


@given(st.dates(date(2000, 1, 3), date(2030, 1, 1)), st.integers(0, 400))
def test_business_days_are_counted_as_they_are_added(start: date, days: int) -> None:
    while start.weekday() >= 5:
        start = date.fromordinal(start.toordinal() + 1)
    end = date.fromisoformat(add_to_date(start, business_days=days)["date"])
    assert days_between(start, end)["business_days"] == days
