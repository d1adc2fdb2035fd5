from decimal import Decimal

import pytest

from rag.dates import dates
from rag.quantities import numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,000 kg", [("1000", "kg")]),
        ("1 000 kilograms", [("1000", "kg")]),
        ("one thousand kilograms", [("1000", "kg")]),
        ("5 %, 5% and five per cent", [("5", "%"), ("5", "%"), ("5", "%")]),
        ("6½ sacks, ½ cup", [("6.5", ""), ("0.5", "")]),
        ("twenty-one, two three, three hundred and five", ["21", "2", "3", "305"]),
        ("1.2 million people", [("1200000", "")]),
        ("$5 million for a 30-second film", [("5000000", "$"), ("30", "s")]),
        ("-4 °C in the 1990s", [("-4", "c"), ("1990", "")]),
        ("version 3.11.2 of p53", []),
        ("1999\u20132001", ["1999", "2001"]),
    ],
)
def test_numbers_are_read_whatever_their_writing(
    text: str, found: list[str] | list[tuple[str, str]]
) -> None:
    wanted = [one if isinstance(one, tuple) else (one, "") for one in found]
    got = [(number.value, number.unit) for number in numbers(text)]
    assert got == [(Decimal(value), unit) for value, unit in wanted]
    assert all(text[n.start : n.end].lstrip("-") == n.text for n in numbers(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12 May 2019", [(2019, 5, 12)]),
        ("May 12, 2019", [(2019, 5, 12)]),
        ("2019-05-12T10:00", [(2019, 5, 12)]),
        ("the 12th of May", [(None, 5, 12)]),
        ("Dec. 1999", [(1999, 12, None)]),
        ("it may 5 times", []),
        ("05/06/2019", []),
    ],
)
def test_dates_are_read_in_their_forms(
    text: str, found: list[tuple[int | None, int, int | None]]
) -> None:
    got = [(date.year, date.month, date.day) for date in dates(text)]
    assert got == found
