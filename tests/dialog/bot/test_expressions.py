"""The expression language: what it reads, what it refuses, and its three truth values."""

from contextlib import suppress
from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog.bot.expression_operations import BOOL, DATE, DURATION, MONEY, NUMBER, TEXT
from dialog.bot.expression_parser import parse_expression
from dialog.bot.expression_tokens import ExpressionError
from dialog.bot.expressions import UNKNOWN, Scope, Unknown
from dialog.bot.source import SourceLine
from dialog.bot.tables import EntityTable
from dialog.bot.value_types import Kind, ValueType
from dialog.slot_types.base import JsonValue

HERE = SourceLine(file="bot.yaml", line=3, column=5)
NOW = datetime(2025, 3, 3, 9, 0, tzinfo=ZoneInfo("Europe/Zurich"))
HOTELS = EntityTable(
    name="hotels",
    key="id",
    show="name",
    search=("name",),
    columns={"id": "text", "name": "text", "stars": "number", "smoking_rooms": "bool"},
    rows={"adler": {"id": "adler", "name": "Adler", "stars": 3, "smoking_rooms": True}},
    source=HERE,
)
NAMES = {
    "nights": NUMBER, "price": NUMBER, "check_in": DATE, "stay": DURATION, "amount": MONEY,
    "a": BOOL, "b": BOOL, "name": TEXT,
    "budget": ValueType(kind=Kind.TEXT, choices=("cheap", "high")),
    "hotel": ValueType(kind=Kind.ENTITY, table=HOTELS),
    "extras": ValueType(kind=Kind.LIST, element=ValueType(kind=Kind.TEXT, choices=("wifi",
    "parking"))),
    "result": ValueType(kind=Kind.RECORD), "range": ValueType(kind=Kind.DATERANGE),
}  # fmt: skip
VALUES: dict[str, JsonValue] = {
    "nights": 3, "price": 99.5, "check_in": "2025-03-07", "stay": "P3D", "name": "Ana",
    "amount": {"amount": "12.50", "currency": "EUR"}, "budget": "cheap", "hotel": "adler",
    "extras": ["wifi"], "result": {"code": "A1", "left": 4, "at": "2025-03-08", "price": "5"},
    "range": {"start": "2025-03-07", "end": "2025-03-09"},
}  # fmt: skip


def value_of(text: str, **values: JsonValue) -> JsonValue | Unknown:
    return parse_expression(text, NAMES, HERE).evaluate(Scope(values={**VALUES, **values}, now=NOW))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nights * price", 298.5), ("nights + 1 > 3", True), ("-nights", -3), ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20), ("nights / 2", 1.5), ("check_in + 2 days", "2025-03-09"),
        ("check_in - today", "P4D"), ("days(check_in - today())", 4), ("check_in > today", True),
        ("check_in + stay", "2025-03-10"), ("today + 90 days", "2025-06-01"),
        ("2025-03-07 == check_in", True),
        ("today + 1 month", "2025-04-03"), ("amount >= 12 EUR", True),
        ("amount * 2", {"amount": "25.00", "currency": "EUR"}),
        ("amount + 5 EUR", {"amount": "17.50", "currency": "EUR"}), ("budget == cheap", True),
        ("budget in [cheap, high]", True), ("budget == 'high'", False),
        ("hotel.smoking_rooms", True),
        ("hotel.stars >= 3 and hotel.smoking_rooms", True), ("hotel == adler", True),
        ("'wifi' in extras", True),
        ("parking not in extras", True), ("len(extras) == 1", True), ("result.code == 'A1'", True),
        ("result.left >= nights", True), ("result.at > check_in", True),
        ("not a or nights == 3", True),
        ("lower(name)", "ana"), ("round(price * 3, 1)", 298.5), ("min(nights, 2)", 2),
        ("max([1, 5, 3])", 5),
        ("any([nights > 5, nights < 5])", True), ("all([nights > 5, nights < 5])", False),
        ("format(amount, 'money')", "€12.50"), ("30m", "PT30M"), ("2h + 30m", "PT2H30M"),
        ("50%", 50),
        ("check_in in range", True), ("range.end - range.start", "P2D"), ("hours(90m)", 1.5),
        ("check_in.month", 3),
        ("'an' in name", True), ("18:30 > 17:00", True), ("now() > 2025-03-03T08:59+01:00", True),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(text: str, value: JsonValue) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nigts > 3", "nothing is called 'nigts'; did you mean 'nights'?"),
        ("nights = 3", "'=' compares nothing; write '=='"),
        ("nights > 'three'", "a number cannot be compared with a text"),
        ("nights > budget", "a number cannot be compared with a text"),
        ("hotel.stras > 3", "has no 'stras'; did you mean 'stars'?"),
        ("check_in + check_in", "date + date has no meaning"),
        ("nights and a", "'and' takes conditions, not a number"),
        ("1 < nights < 5", "one comparison at a time"),
        ("tody() > check_in", "no function is called 'tody'; did you mean 'today'?"),
        ("len(nights)", "len takes no (number)"), ("round()", "round takes other arguments"),
        ("nights +", "expected a value, found 'the end'"), ("(nights", "expected ')'"),
        ("nights $ 3", "'$' means nothing here"), ("name == 'Ana", "close the quote"),
        ("5 parsecs", "'parsecs' is no unit"), ("budget == chep", "nothing is called 'chep'"),
        ("2025-13-01 > today", "2025-13-01"), ("name in nights", "a text is never in a number"),
        ("nights price", "not expected here"),
        ("__import__('os')", "no function is called '__import__'"),
        ("name.__class__", "has no '__class__'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_when_it_is_read(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as found:
        parse_expression(text, NAMES, HERE)
    assert message in str(found.value)


def test_nesting_and_length_are_bounded() -> None:
    for text in ("(" * 60 + "1" + ")" * 60, "-" * 60 + "1", "1" + " + 1" * 1000):
        with pytest.raises(ExpressionError):
            parse_expression(text, NAMES, HERE)


def test_what_is_not_known_is_unknown_and_holds_nothing() -> None:
    for text in ("a", "nights > 3", "not a", "nights + 1", "hotel.smoking_rooms", "result.missing"):
        expression = parse_expression(text, NAMES, HERE)
        assert expression.evaluate(Scope(now=NOW)) is UNKNOWN
        assert not expression.holds(Scope(now=NOW))


def test_what_has_no_value_is_unknown_and_never_an_exception() -> None:
    assert value_of("1 / 0") is UNKNOWN
    assert value_of("amount + 5 USD") is UNKNOWN
    assert value_of("amount > 5 USD") is UNKNOWN
    assert value_of("result.code > 3") is UNKNOWN
    assert value_of("hotel.stars > 3", hotel="gone") is UNKNOWN
    assert value_of("check_in > today", check_in="soon") is UNKNOWN
    assert value_of("check_in + 9999 years") is UNKNOWN


@pytest.mark.parametrize(("left", "right"), list(product([True, False, None], repeat=2)))
def test_and_or_and_not_are_kleenes(left: bool | None, right: bool | None) -> None:
    """Golden: minimum, maximum and mirror of the order false < unknown < true."""
    order = {False: 0, None: 1, True: 2}
    back: dict[int, JsonValue | Unknown] = {0: False, 1: UNKNOWN, 2: True}
    values = {"a": left, "b": right}
    assert value_of("a and b", **values) == back[min(order[left], order[right])]
    assert value_of("a or b", **values) == back[max(order[left], order[right])]
    assert value_of("not a", **values) == back[2 - order[left]]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="nigths ()[].<>=!+-*/'0123456789:,%and or", max_size=40))
def test_no_text_does_more_than_parse_or_fail_with_a_sentence(text: str) -> None:
    with suppress(ExpressionError):
        parse_expression(text, NAMES, HERE).evaluate(Scope(values=VALUES, now=NOW))


def test_names_are_those_mentioned_without_their_attributes() -> None:
    expression = parse_expression("hotel.stars > nights and budget == cheap", NAMES, HERE)
    assert expression.names == {"hotel", "nights", "budget"}
