"""Days, times of day, moments, lengths and ranges, said on Monday, 3 March 2025 at nine."""

from datetime import datetime

import pytest

from dialog.slot_types.base import Bounds, JsonValue, ViolationKind
from dialog.slot_types.catalogue import PLAIN_TYPES
from tests.dialog.slot_types.conftest import ZONE, Read, context

_DAYS = [
    ("en", "Friday", "2025-03-07"), ("en", "this Friday", "2025-03-07"),
    ("en", "Friday week", "2025-03-14"), ("en", "tomorrow", "2025-03-04"),
    ("en", "the day after tomorrow", "2025-03-05"), ("en", "in two weeks", "2025-03-17"),
    ("en", "a week from today", "2025-03-10"), ("en", "13/4/2025", "2025-04-13"),
    ("en-GB", "3/4", "2025-04-03"), ("en-US", "3/4", "2025-03-04"),
    ("en", "March 7th", "2025-03-07"),
    ("en", "Friday, 7 March 2025", "2025-03-07"), ("en", "the 15th", "2025-03-15"),
    ("en", "the third of May", "2025-05-03"), ("en", "Christmas eve", "2025-12-24"),
    ("en", "2 March", "2026-03-02"), ("en", "29 February", "2028-02-29"),
    ("de", "Freitag", "2025-03-07"), ("de", "übermorgen", "2025-03-05"),
    ("de", "am 7. März", "2025-03-07"), ("de", "7.3.2025", "2025-03-07"),
    ("de", "am 7.3.", "2025-03-07"),
    ("de", "in drei Tagen", "2025-03-06"), ("de", "Freitag in einer Woche", "2025-03-14"),
    ("de", "am dritten Mai", "2025-05-03"), ("de", "03/04/2025", "2025-04-03"),
    ("fr", "vendredi", "2025-03-07"), ("fr", "après-demain", "2025-03-05"),
    ("fr", "le 7 mars 2025", "2025-03-07"), ("fr", "le 1er mai", "2025-05-01"),
    ("fr", "dans trois jours", "2025-03-06"), ("fr", "vendredi en huit", "2025-03-14"),
]  # fmt: skip


@pytest.mark.parametrize(("locale", "text", "day"), _DAYS)
def test_a_day_is_read_as_people_say_it(read: Read, locale: str, text: str, day: str) -> None:
    (found,) = read("date", text, locale)
    assert (found.value, found.ambiguous_with) == (day, ())


@pytest.mark.parametrize(
    ("locale", "text", "readings"),
    [
        ("en", "3/4", ("2025-04-03", "2025-03-04")),
        ("en", "next Friday", ("2025-03-14", "2025-03-07")),
        ("en", "on Monday", ("2025-03-10", "2025-03-03")),
        ("de", "nächsten Freitag", ("2025-03-14", "2025-03-07")),
        ("fr", "vendredi prochain", ("2025-03-14", "2025-03-07")),
    ],
)
def test_an_ambiguous_day_has_all_its_readings(
    read: Read, locale: str, text: str, readings: tuple[str, ...]
) -> None:
    (found,) = read("date", text, locale)
    assert (found.value, *found.ambiguous_with) == readings
    assert found.p < 1


def test_bounds_decide_among_the_readings_before_anybody_asks(read: Read) -> None:
    (found,) = read("date", "next Friday", bounds=Bounds(before="2025-03-10"))
    assert (found.value, found.ambiguous_with) == ("2025-03-07", ())
    (found,) = read("date", "3/4", bounds=Bounds(after="2025-03-10"))
    assert (found.value, found.ambiguous_with) == ("2025-04-03", ())


def test_a_day_that_has_passed_stays_a_candidate_with_its_violation(read: Read) -> None:
    (found,) = read("date", "yesterday", bounds=Bounds(after="2025-03-03"))
    assert found.value == "2025-03-02"
    assert found.violation is not None
    assert found.violation.kind is ViolationKind.TOO_EARLY
    assert found.violation.bound == "2025-03-03"


def test_several_days_of_one_text_have_their_roles(read: Read) -> None:
    first, second = read("date", "from Friday to Sunday")
    assert [(first.value, first.role), (second.value, second.role)] == [
        ("2025-03-07", "from"),
        ("2025-03-09", "until"),
    ]


@pytest.mark.parametrize(
    ("locale", "text", "day"),
    [
        ("en", "a day earlier", "2025-03-09"), ("en", "two days later", "2025-03-12"),
        ("en", "the next day", "2025-03-11"), ("de", "einen Tag später", "2025-03-11"),
        ("fr", "un jour plus tard", "2025-03-11"), ("fr", "le lendemain", "2025-03-11"),
    ],
)  # fmt: skip
def test_a_day_relative_to_the_present_value(read: Read, locale: str, text: str, day: str) -> None:
    (found,) = read("date", text, locale, current="2025-03-10")
    assert (found.value, found.role) == (day, "relative")
    assert read("date", text, locale) == []


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "may I have a table"), ("en", "he sat in the sun"), ("en", "at 7.30"), ("en", "2.5"),
        ("de", "so geht das"), ("de", "guten Morgen"), ("de", "um 18.30 Uhr"),
        ("fr", "il est 18h30"),
        ("en", "31/2/2025"), ("en", "call 044 668 18 00"),
    ],
)  # fmt: skip
def test_words_that_look_like_days_are_none(read: Read, locale: str, text: str) -> None:
    assert read("date", text, locale) == []


def test_days_are_those_of_the_users_zone_near_midnight() -> None:
    late = datetime(2025, 3, 3, 23, 30, tzinfo=ZONE)
    (found,) = PLAIN_TYPES["date"].parse("tomorrow", context(now=late))
    assert found.value == "2025-03-04"
    in_tokyo = datetime.fromisoformat("2025-03-04T07:30+09:00")
    (found,) = PLAIN_TYPES["date"].parse("tomorrow", context(now=in_tokyo))
    assert found.value == "2025-03-05"


_TIMES = [
    ("en", "18:30", "18:30"), ("en", "6:30 pm", "18:30"), ("en", "6pm", "18:00"),
    ("en", "7 p.m.", "19:00"), ("en", "7.30 pm", "19:30"), ("en", "noon", "12:00"),
    ("en", "midnight", "00:00"), ("en", "12 am", "00:00"), ("en", "12 pm", "12:00"),
    ("en", "8 in the evening", "20:00"), ("en", "at 7 tonight", "19:00"), ("en", "07:30", "07:30"),
    ("de", "18 Uhr", "18:00"), ("de", "18:30 Uhr", "18:30"), ("de", "18 Uhr 15", "18:15"),
    ("de", "acht Uhr abends", "20:00"), ("de", "um 8 Uhr morgens", "08:00"),
    ("de", "mittags", "12:00"),
    ("fr", "18h30", "18:30"), ("fr", "18 heures 30", "18:30"), ("fr", "midi et demi", "12:30"),
    ("fr", "7 heures du soir", "19:00"), ("fr", "à 8 heures du matin", "08:00"),
    ("fr", "à 19h", "19:00"),
]  # fmt: skip


@pytest.mark.parametrize(("locale", "text", "clock"), _TIMES)
def test_a_time_is_read_as_people_say_it(read: Read, locale: str, text: str, clock: str) -> None:
    (found,) = read("time", text, locale)
    assert (found.value, found.ambiguous_with) == (clock, ())


@pytest.mark.parametrize(
    ("locale", "text", "clocks"),
    [
        ("en", "half eight", {"08:30", "20:30"}), ("de", "halb acht", {"07:30", "19:30"}),
        ("en", "quarter to seven", {"06:45", "18:45"}), ("en", "ten past six", {"06:10", "18:10"}),
        ("en", "seven thirty", {"07:30", "19:30"}), ("en", "seven o'clock", {"07:00", "19:00"}),
        ("de", "Viertel vor acht", {"07:45", "19:45"}),
        ("de", "drei viertel acht", {"07:45", "19:45"}),
        ("fr", "huit heures moins le quart", {"07:45", "19:45"}),
        ("fr", "sept heures et demie", {"07:30", "19:30"}),
    ],
)  # fmt: skip
def test_half_of_the_day_is_asked_where_no_word_tells(
    read: Read, locale: str, text: str, clocks: set[str]
) -> None:
    (found,) = read("time", text, locale)
    assert {found.value, *found.ambiguous_with} == clocks
    evening = Bounds(after="17:00", before="23:00")
    (found,) = read("time", text, locale, bounds=evening)
    assert (found.value, found.ambiguous_with) == (max(clocks), ())


def test_a_bare_hour_is_a_time_only_where_a_time_is_asked_for(read: Read) -> None:
    assert read("time", "seven") == []
    (found,) = read("time", "seven", is_asked=True)
    assert {found.value, *found.ambiguous_with} == {"07:00", "19:00"}
    assert read("time", "a table for 4 people") == []


def test_a_time_relative_to_the_present_value(read: Read) -> None:
    for locale, text in (("en", "an hour later"), ("de", "eine Stunde später")):
        (found,) = read("time", text, locale, current="18:30")
        assert (found.value, found.role) == ("19:30", "relative")
    (found,) = read("time", "half an hour earlier", current="2025-03-07T18:30+01:00")
    assert found.value == "18:00"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Friday at 7 pm", "2025-03-07T19:00+01:00"), ("7pm on Friday", "2025-03-07T19:00+01:00"),
        ("tomorrow at noon", "2025-03-04T12:00+01:00"), ("in two hours", "2025-03-03T11:00+01:00"),
        ("at 18:30", "2025-03-03T18:30+01:00"), ("at 08:00", "2025-03-04T08:00+01:00"),
        ("1 July 2025 at 6 pm", "2025-07-01T18:00+02:00"),
    ],
)  # fmt: skip
def test_a_moment_keeps_its_zone(read: Read, text: str, moment: str) -> None:
    (found,) = read("datetime", text)
    assert (found.value, found.violation) == (moment, None)


def test_the_hour_that_a_clock_change_leaves_out_is_told(read: Read) -> None:
    (found,) = read("datetime", "30 March 2025 at 2:30 am")
    assert found.violation is not None
    assert found.violation.kind is ViolationKind.NO_SUCH_TIME


def test_the_hour_that_a_clock_change_repeats_has_two_readings(read: Read) -> None:
    (found,) = read("datetime", "26 October 2025 at 2:30 am")
    assert (found.value, *found.ambiguous_with) == (
        "2025-10-26T02:30+02:00",
        "2025-10-26T02:30+01:00",
    )


@pytest.mark.parametrize(
    ("locale", "text", "length"),
    [
        ("en", "two nights", "P2D"), ("en", "1h30", "PT1H30M"), ("en", "half an hour", "PT30M"),
        ("en", "an hour and a half", "PT1H30M"), ("en", "two and a half hours", "PT2H30M"),
        ("en", "a fortnight", "P14D"), ("en", "3 months", "P3M"), ("de", "zwei Nächte", "P2D"),
        ("en", "1 hour and 30 minutes", "PT1H30M"), ("de", "anderthalb Stunden", "PT1H30M"),
        ("de", "eine halbe Stunde", "PT30M"), ("fr", "deux nuits", "P2D"),
        ("fr", "une demi-heure", "PT30M"), ("fr", "une heure et demie", "PT1H30M"),
    ],
)  # fmt: skip
def test_a_length_is_read_as_people_say_it(read: Read, locale: str, text: str, length: str) -> None:
    (found,) = read("duration", text, locale)
    assert found.value == length


@pytest.mark.parametrize(
    ("locale", "text", "start", "end"),
    [
        ("en", "from Friday to Sunday", "2025-03-07", "2025-03-09"),
        ("en", "two nights from Friday", "2025-03-07", "2025-03-09"),
        ("en", "Friday for 3 nights", "2025-03-07", "2025-03-10"),
        ("en", "this weekend", "2025-03-08", "2025-03-09"),
        ("en", "next week", "2025-03-10", "2025-03-16"),
        ("en", "3 to 5 March", "2025-03-03", "2025-03-05"),
        ("en", "the 3rd to the 5th of March", "2025-03-03", "2025-03-05"),
        ("en", "Sunday to Tuesday", "2025-03-09", "2025-03-11"),
        ("de", "von Freitag bis Sonntag", "2025-03-07", "2025-03-09"),
        ("de", "zwei Nächte ab Freitag", "2025-03-07", "2025-03-09"),
        ("de", "vom 3. bis 5. März", "2025-03-03", "2025-03-05"),
        ("fr", "du vendredi au dimanche", "2025-03-07", "2025-03-09"),
        ("fr", "deux nuits à partir de vendredi", "2025-03-07", "2025-03-09"),
    ],
)
def test_a_range_is_read_as_people_say_it(
    read: Read, locale: str, text: str, start: str, end: str
) -> None:
    (found,) = read("daterange", text, locale)
    assert found.value == {"start": start, "end": end}


def test_two_nights_from_friday_fill_the_range_and_the_nights(read: Read) -> None:
    text = "two nights from Friday"
    assert [c.value for c in read("integer", text)] == [2]
    assert [c.value for c in read("duration", text)] == ["P2D"]
    assert [c.value for c in read("date", text)] == ["2025-03-07"]


def test_an_end_before_the_start_is_a_violation(read: Read) -> None:
    (found,) = read("daterange", "from 10 March 2025 to 8 March 2025")
    assert found.violation is not None
    assert found.violation.kind is ViolationKind.END_BEFORE_START


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "07.03.2025"), ("date", 7), ("time", "half past six"), ("datetime", "soon"),
        ("duration", "2 days"), ("daterange", {"start": "2025-03-07"}), ("datetime", 3),
    ],
)  # fmt: skip
def test_what_a_tool_gives_must_have_the_canonical_form(kind: str, value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        PLAIN_TYPES[kind].canonical(value, context())


def test_bounds_hold_for_what_tools_and_buttons_give_too() -> None:
    bounds = Bounds(after="2025-03-03", before="2025-06-01")
    for value, kind in (("2025-03-01", "too_early"), ("2025-07-01", "too_late")):
        _, violation = PLAIN_TYPES["date"].canonical(value, context(bounds=bounds))
        assert violation is not None
        assert violation.kind == kind
    moment, violation = PLAIN_TYPES["datetime"].canonical("2025-03-07T18:30", context())
    assert (moment, violation) == ("2025-03-07T18:30+01:00", None)
