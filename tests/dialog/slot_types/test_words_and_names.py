"""Texts, names, addresses of all kinds, cards, yes and no, choices, patterns, entities."""

import time

import pytest

from dialog.bot.source import SourceLine
from dialog.bot.tables import EntityTable
from dialog.slot_types.base import Candidate, TextContext, ViolationKind
from dialog.slot_types.catalogue import PLAIN_TYPES
from dialog.slot_types.choice import ChoiceType
from dialog.slot_types.entity import EntityType
from dialog.slot_types.pattern import PatternError, PatternType
from tests.dialog.slot_types.conftest import NOW, Read, context

BUDGET = ChoiceType(
    values={
        "cheap": {"": ("low cost", "inexpensive"), "de": ("günstig",)},
        "mid": {},
        "high": {"": ("luxury",)},
        "late_checkout": {},
    }
)


@pytest.mark.parametrize(
    ("locale", "text", "name"),
    [
        ("en", "my name is Ana Lind", "Ana Lind"),
        ("en", "Under the name of Dr. Smith please", "Smith"),
        ("de", "mein Name ist Ana Müller", "Ana Müller"),
        ("fr", "je m'appelle Zoé Dupont", "Zoé Dupont"),
        ("en", "the name's o'neill", "o'neill"),
    ],
)  # fmt: skip
def test_a_name_is_what_follows_its_announcement(
    read: Read, locale: str, text: str, name: str
) -> None:
    (found,) = read("person", text, locale)
    assert found.value == name
    assert text[found.start : found.end] == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ana Lind", "Ana Lind"), ("it's Ana Lind, ana@x.org", "Ana Lind"),
        ("ana lind", "ana lind"),
        ("Mr John O'Neill please", "John O'Neill"), ("under Smith", "Smith"),
        ("Anna-Lena Weiß and two guests", "Anna-Lena Weiß"),
    ],
)  # fmt: skip
def test_an_answer_is_a_name_where_a_name_is_asked_for(read: Read, text: str, name: str) -> None:
    (found,) = read("person", text, is_asked=True)
    assert found.value == name


@pytest.mark.parametrize(
    "text", ["yes", "no thanks", "book a table", "ana@x.org", "what?", "cancel"]
)
def test_other_answers_are_no_names(read: Read, text: str) -> None:
    assert read("person", text, is_asked=True) == []


def test_free_text_is_the_answer_or_what_stands_in_quotes(read: Read) -> None:
    assert read("text", "say that we come late") == []
    assert [c.value for c in read("text", 'write "no nuts"')] == ["no nuts"]
    assert [c.value for c in read("text", "it's a window seat.", is_asked=True)] == [
        "a window seat"
    ]
    (found,) = read("address", "12 High Street,\n Leeds ", is_asked=True)
    assert found.value == "12 High Street,\nLeeds"


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en", "write to Ana@Example.ORG.", "Ana@example.org"),
        ("en", "ana dot lind at example dot org", "ana.lind@example.org"),
        ("de", "ana punkt lind at example punkt org", "ana.lind@example.org"),
        ("fr", "ana tiret lind arobase example point fr", "ana-lind@example.fr"),
    ],
)
def test_an_email_is_read_written_and_spoken(
    read: Read, locale: str, text: str, value: str
) -> None:
    assert [c.value for c in read("email", text, locale)] == [value]


def test_a_url_is_read_written_and_spoken(read: Read) -> None:
    assert [c.value for c in read("url", "see www.Example.org/A.")] == ["https://www.example.org/A"]
    assert read("url", "ana@example.org") == []
    assert [c.value for c in read("url", "example dot org slash help", is_asked=True)] == [
        "https://example.org/help"
    ]


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en", "+41 44 668 18 00", "+41446681800"), ("de-CH", "044 668 18 00", "+41446681800"),
        ("en", "(555) 123-4567", "+15551234567"), ("de", "0049 30 901820", "+4930901820"),
        ("en-GB", "oh four four double six eight one eight double zero", "+44446681800"),
        ("fr", "01 23 45 67 89", "+33123456789"),
    ],
)  # fmt: skip
def test_a_phone_number_takes_its_locales_country(
    read: Read, locale: str, text: str, value: str
) -> None:
    assert [c.value for c in read("phone", text, locale)] == [value]


def test_a_card_is_checked_and_its_number_is_in_no_candidate(read: Read) -> None:
    (found,) = read("card", "it is 4111 1111 1111 1111")
    assert found.value == "⟨card:1111⟩"
    (found,) = read("card", "4111-1111-1111-1112", is_asked=True)
    assert found.violation is not None
    assert found.violation.kind is ViolationKind.CHECKSUM
    assert read("card", "4111 1111 1111 1112") == []
    assert [c.value for c in read("card", "use ⟨card_1:4242⟩")] == ["⟨card:4242⟩"]
    assert PLAIN_TYPES["card"].say("⟨card:4242⟩", "en") == "card ending in 4242"


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("en", "yes", True), ("en", "that works for me", True), ("en", "I'd rather not", False),
        ("en", "no thanks", False), ("en", "not really", False), ("de", "ja gerne", True),
        ("de", "lieber nicht", False), ("fr", "volontiers", True), ("fr", "plutôt pas", False),
    ],
)  # fmt: skip
def test_yes_and_no_direct_and_indirect_only_for_the_slot_in_question(
    read: Read, locale: str, text: str, value: bool
) -> None:
    assert read("bool", text, locale) == []
    (found,) = read("bool", text, locale, is_asked=True)
    assert found.value is value


@pytest.mark.parametrize(
    ("locale", "text", "key"),
    [
        ("en", "something cheap", "cheap"), ("en", "an inexpensive one", "cheap"),
        ("de", "etwas Günstiges, günstig halt", "cheap"), ("en", "low cost please", "cheap"),
        ("en", "a late checkout", "late_checkout"), ("en", "luxry", "high"),
        ("en", "CHEAP", "cheap"),
    ],
)  # fmt: skip
def test_a_choice_is_found_by_key_synonym_and_slip(locale: str, text: str, key: str) -> None:
    found = BUDGET.parse(text, context(locale))
    assert {candidate.value for candidate in found} == {key}


def test_a_choice_may_be_negated_or_named_by_its_place() -> None:
    assert BUDGET.parse("not cheap", context())[0].is_negated
    assert not BUDGET.parse("no, cheap", context())[0].is_negated
    assert BUDGET.parse("the second", context()) == []
    assert [c.value for c in BUDGET.parse("the second", context(is_asked=True))] == ["mid"]
    assert [c.value for c in BUDGET.parse("der letzte", context("de", is_asked=True))] == [
        "late_checkout"
    ]


def test_a_value_outside_of_a_choice_is_never_its_value() -> None:
    value, violation = BUDGET.canonical("gratis", context())
    assert value == "gratis"
    assert violation is not None
    assert violation.kind is ViolationKind.NOT_A_CHOICE
    assert BUDGET.canonical("Low Cost", context()) == ("cheap", None)


def test_one_word_for_two_values_has_both_readings() -> None:
    kind = ChoiceType(values={"red": {"": ("wine",)}, "white": {"": ("wine",)}})
    (found,) = kind.parse("wine", context())
    assert {found.value, *found.ambiguous_with} == {"red", "white"}


def test_a_pattern_is_found_among_words_and_in_small_letters() -> None:
    kind = PatternType(pattern="[A-Z]{2}[0-9]{4}", examples=("AB1234",))
    assert [c.value for c in kind.parse("it is ab 1234, thanks", context())] == ["AB1234"]
    _, violation = kind.canonical("A1", context())
    assert violation is not None
    assert violation.bound == "AB1234"


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "(?=a)", "a**", "(a", "a{200}", "[z-a]", "(((a{100}){100}))", "*a", r"\p"]
)
def test_a_pattern_outside_of_the_subset_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        PatternType(pattern=pattern)


def test_no_text_takes_a_pattern_long() -> None:
    kind = PatternType(pattern="(a+)+(a|a)*b?c")
    start = time.perf_counter()
    assert not kind.is_match("a" * 5_000)
    assert time.perf_counter() - start < 2


HOTELS = EntityTable(
    name="hotels",
    key="id",
    show="name",
    search=("name", "area"),
    columns={"id": "text", "name": "text", "area": "text", "stars": "number"},
    rows={
        "adler": {"id": "adler", "name": "Hotel Adler", "area": "station", "stars": 3},
        "adler2": {"id": "adler2", "name": "Hotel Adler", "area": "lake", "stars": 4},
        "palace": {"id": "palace", "name": "The Bellevue Palace", "area": "lake", "stars": 5},
        "grand": {
            "id": "grand",
            "name": "Grand Hotel National Bern",
            "area": "old town",
            "stars": 5,
        },
        "krone": {"id": "krone", "name": "Hotel Krone", "area": "old town", "stars": 3},
    },
    source=SourceLine(file="bot.yaml", line=1, column=1),
    synonyms={"palace": ("the white house",)},
)


def _link(text: str) -> list[Candidate]:
    return EntityType(table=HOTELS).parse(text, TextContext(now=NOW))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bellevue Palace", "palace"), ("the bellevue palace please", "palace"),
        ("Bellevue", "palace"),
        ("at the Krone", "krone"), ("hotel krone", "krone"), ("the white house", "palace"),
        ("Belevue Palace", "palace"), ("hotel crone", "krone"), ("krone", "krone"),
        ("GHNB", "grand"),
    ],
)  # fmt: skip
def test_a_row_is_linked_exactly_normalised_by_prefix_and_by_letters(text: str, key: str) -> None:
    found = _link(text)
    assert found[0].value == key
    assert found[0].ambiguous_with == ()


def test_rows_of_one_name_are_readings_of_one_span_and_split_by_what_tells_most() -> None:
    (found,) = _link("the Adler")
    assert {found.value, *found.ambiguous_with} == {"adler", "adler2"}
    assert found.p <= 0.5
    assert HOTELS.splitting_column(["adler", "adler2"], among=("name", "area", "stars")) == "area"
    assert HOTELS.splitting_column(list(HOTELS.rows), among=("stars", "area")) == "stars"
    assert HOTELS.splitting_column(["adler"], among=("area",)) is None


def test_what_no_row_is_called_has_no_key_but_neighbours() -> None:
    assert _link("the Savoy") == []
    value, violation = EntityType(table=HOTELS).canonical("Krona", TextContext(now=NOW))
    assert value == "Krona"
    assert violation is not None
    assert violation.kind is ViolationKind.NO_SUCH_ROW
    assert violation.nearest[0] == "krone"


def test_a_search_takes_allowed_and_refused_values() -> None:
    assert HOTELS.select({"area": ["lake"]}) == ["adler2", "palace"]
    assert HOTELS.select(
        {"area": ["lake"], "stars": [4, 5]}, refused={"name": ["Hotel Adler"]}
    ) == ["palace"]
    with pytest.raises(ValueError, match="has no column 'colour'"):
        HOTELS.select({"colour": ["red"]})
    assert HOTELS.column_of_value("Old Town") == [("area", "old town")]
