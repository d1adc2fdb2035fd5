"""Numbers, shares and money."""

import pytest

from dialog.slot_types.base import Bounds, JsonValue
from dialog.slot_types.catalogue import PLAIN_TYPES
from dialog.slot_types.money import MoneyType
from dialog.slot_types.number_words import read_words, spell
from dialog.slot_types.words import words_of
from tests.dialog.slot_types.conftest import Read, context


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_every_spelled_number_is_read_again(language: str) -> None:
    for n in range(1000):
        words = words_of(spell(n, language))
        assert read_words(words, 0, language) == (n, len(words))


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en", "four", 4), ("en", "twenty-five", 25), ("en", "two hundred and five", 205),
        ("en", "three thousand two hundred", 3200), ("en", "minus five", -5), ("en", "a dozen", 12),
        ("en", "half a dozen", 6), ("en", "a couple", 2), ("en", "1,000.5", 1000.5),
        ("en", "1,000", 1000),
        ("de", "fünfundzwanzig", 25), ("de", "1.000,5", 1000.5), ("de", "1.000", 1000),
        ("de", "zweitausenddreihundert", 2300), ("de", "zu viert", 4), ("de", "1,000.5", 1000.5),
        ("fr", "vingt et un", 21), ("fr", "quatre-vingt-dix-sept", 97), ("fr", "1 000,5", 1000.5),
        ("fr", "deux mille trois cents", 2300),
    ],
)  # fmt: skip
def test_a_number_is_read_in_the_writing_of_its_locale(
    read: Read, locale: str, text: str, value: float
) -> None:
    (found,) = read("number", text, locale)
    assert (found.value, found.ambiguous_with) == (value, ())


def test_what_only_another_locale_would_group_keeps_both_readings(read: Read) -> None:
    (found,) = read("number", "1.000", "en")
    assert (found.value, found.ambiguous_with) == (1, (1000,))
    (found,) = read("number", "1,000", "de")
    assert (found.value, found.ambiguous_with) == (1, (1000,))


@pytest.mark.parametrize(
    ("locale", "text", "low", "high"),
    [
        ("en", "2 or 3", 2, 3), ("en", "between 2 and 4", 2, 4), ("en", "two to three", 2, 3),
        ("de", "zwei oder drei", 2, 3), ("de", "zwischen 2 und 4", 2, 4), ("fr", "2 ou 3", 2, 3),
    ],
)  # fmt: skip
def test_a_range_is_asked_not_guessed(
    read: Read, locale: str, text: str, low: int, high: int
) -> None:
    (found,) = read("integer", text, locale)
    assert (found.value, found.ambiguous_with) == (low, (high,))
    assert found.p <= 0.5


def test_two_numbers_of_two_things_are_two(read: Read) -> None:
    assert [c.value for c in read("integer", "for 2, at 3")] == [2, 3]
    assert [c.value for c in read("integer", "2 adults and 3 children")] == [2, 3]


def test_an_article_is_hardly_a_number_unless_nothing_else_is_said(read: Read) -> None:
    assert read("integer", "one of the hotels please thank you")[0].p < 0.5
    assert read("integer", "eine Person", "de")[0].p < 0.5
    assert read("integer", "just one", is_asked=True)[0].p == 1


@pytest.mark.parametrize(
    ("locale", "text"),
    [("en", "not 5"), ("de", "nicht 5"), ("fr", "pas 5"), ("en", "but not for 5")],
)
def test_a_negated_number_says_so(read: Read, locale: str, text: str) -> None:
    assert read("integer", text, locale)[0].is_negated
    assert not read("integer", "no, 5", "en")[0].is_negated


@pytest.mark.parametrize("text", ["at 18:30", "7/3/2025", "2025-03-07", "v2", "AB1234"])
def test_digits_of_other_things_are_no_numbers(read: Read, text: str) -> None:
    assert read("integer", text) == []


def test_bounds_and_fractions_are_violations(read: Read) -> None:
    (found,) = read("integer", "13", bounds=Bounds(least=1, most=12))
    assert found.violation is not None
    assert (found.violation.kind, found.violation.bound) == ("too_large", 12)
    (found,) = read("integer", "2.5")
    assert found.violation is not None
    assert found.violation.kind == "wrong_form"


@pytest.mark.parametrize(
    ("locale", "text", "amount", "currency"),
    [
        ("en", "€5", "5.00", "EUR"), ("en", "5 €", "5.00", "EUR"),
        ("en", "5.50 euros", "5.50", "EUR"),
        ("en", "EUR 5", "5.00", "EUR"), ("en", "$12.50", "12.50", "USD"),
        ("en", "20 quid", "20.00", "GBP"),
        ("en", "5 euros 50", "5.50", "EUR"), ("en", "five pounds and ten pence", "5.10", "GBP"),
        ("en", "12 CHF", "12.00", "CHF"), ("en", "five hundred dollars", "500.00", "USD"),
        ("en-GB", "50 pence", "0.50", "GBP"), ("de", "5,50 Euro", "5.50", "EUR"),
        ("de", "1.200,50 €", "1200.50", "EUR"), ("de-CH", "20 Franken", "20.00", "CHF"),
        ("fr", "5 euros et 50 centimes", "5.50", "EUR"), ("en", "500 yen", "500", "JPY"),
    ],
)  # fmt: skip
def test_money_is_an_exact_amount_with_a_currency(
    read: Read, locale: str, text: str, amount: str, currency: str
) -> None:
    (found,) = read("money", text, locale)
    assert found.value == {"amount": amount, "currency": currency}


def test_a_bare_number_is_money_only_where_money_is_asked_for(read: Read) -> None:
    assert read("money", "for 50 people") == []
    (found,) = read("money", "50", is_asked=True)
    assert found.value == {"amount": "50.00", "currency": "USD"}
    kind = MoneyType(currency="CHF")
    (found,) = kind.parse("50", context("en", is_asked=True))
    assert found.value == {"amount": "50.00", "currency": "CHF"}
    assert MoneyType(currency="CAD").parse("$5", context())[0].value == {
        "amount": "5.00",
        "currency": "CAD",
    }


def test_money_breaks_bounds_in_its_own_currency(read: Read) -> None:
    bounds = Bounds(most={"amount": "100", "currency": "EUR"})
    assert read("money", "200 EUR", bounds=bounds)[0].violation is not None
    assert read("money", "99 EUR", bounds=bounds)[0].violation is None


def test_a_share_needs_its_sign_unless_it_is_asked_for(read: Read) -> None:
    assert [c.value for c in read("percent", "12.5 %")] == [12.5]
    assert [c.value for c in read("percent", "fifty percent")] == [50]
    assert read("percent", "50") == []
    assert [c.value for c in read("percent", "50", is_asked=True)] == [50]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "many"), ("integer", True), ("number", None), ("money", "much"),
        ("number", "nan"),
        ("money", {"amount": "5", "currency": "XXX"}),
        ("money", {"amount": "x", "currency": "EUR"}),
        ("number", "1e999"), ("percent", "half"),
    ],
)  # fmt: skip
def test_what_a_tool_gives_must_be_a_number(kind: str, value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        PLAIN_TYPES[kind].canonical(value, context())


def test_a_tools_number_or_text_is_money_too() -> None:
    for given in (12.5, "€12.50", {"amount": "12.5", "currency": "EUR"}):
        value, violation = PLAIN_TYPES["money"].canonical(given, context("de"))
        assert (value, violation) == ({"amount": "12.50", "currency": "EUR"}, None)
