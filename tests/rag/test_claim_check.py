import pytest

from rag.claim_check import check_claim
from rag.grounding import verdict_on

SOURCE = (
    "The Panthers defense gave up just 308 points on 12 May 2019, ranking sixth in the league,"
    " while also leading the NFL in interceptions with 24."
    " Kawann Short led the team in sacks with 11."
    ' He does not play for "the Wild". Prices rose by 5 % to $1,000 after 6½ years.'
)


@pytest.mark.parametrize(
    "sentence",
    [
        "The Panthers gave up 308 points.",
        "Panthers defense gave up 308 points on 2019-05-12.",
        "In May 2019, the Panthers gave up points.",
        "The Panthers defense ranked 6th in the league.",
        "Kawann Short led the team with eleven sacks.",
        "Prices rose by five percent to $1000 after 6.5 years.",
        "Prices rose by 5 per cent to 1 000 dollars.",
        "He does not play for “the Wild”.",
        "Kawann Short led the team",
    ],
)
def test_what_the_source_says_in_other_writing_is_supported(sentence: str) -> None:
    check = check_claim(sentence, SOURCE)
    assert not check.problems
    assert verdict_on(check) == "supported"


@pytest.mark.parametrize(
    ("sentence", "kind", "text"),
    [
        ("The Panthers defense gave up 309 points.", "number", "309"),
        ("Prices rose by 5 km.", "number", "5"),
        ("The Panthers defense gave up 24 points.", "number", "24"),
        ("The Panthers gave up 308 points on 13 May 2019.", "date", "13 May 2019"),
        ("The Panthers gave up 308 points in June 2019.", "date", "June 2019"),
        ("The team was led in sacks by Kawann Long.", "name", "Long"),
        ('Kawann Short does not play for "the Lions".', "quote", "the Lions"),
        ('He does play for "the Wild".', "negation", "not negated"),
        ("The Panthers defense did not give up 308 points.", "negation", "negated"),
        ("Prices fell by 5 % to $1,000.", "opposite", "fell / rose"),
        ("The Panthers defense calls `give_up()`.", "quote", "give_up()"),
    ],
)
def test_what_the_source_does_not_say_is_named_and_refused(
    sentence: str, kind: str, text: str
) -> None:
    check = check_claim(sentence, SOURCE)
    assert (kind, text) in [(problem.kind, problem.text) for problem in check.problems]
    assert verdict_on(check) == "unsupported"


def test_a_capital_at_the_beginning_may_be_a_name_and_leaves_the_sentence_partial() -> None:
    check = check_claim("Tom led the team in sacks.", SOURCE)
    assert [(p.kind, p.text, p.is_weak) for p in check.problems] == [("name", "Tom", True)]
    assert verdict_on(check) == "partial"


def test_a_sentence_that_shares_little_is_unsupported_without_a_problem() -> None:
    check = check_claim("the weather is nice and the birds sing", SOURCE)
    assert not check.problems
    assert verdict_on(check) == "unsupported"
    assert verdict_on(check_claim("It is so.", SOURCE)) == "unsupported"


def test_a_sentence_that_is_a_quotation_as_a_whole_is_verbatim() -> None:
    source = "The kettle holds one litre. It boils."
    assert check_claim('"The kettle holds one litre."', source).is_verbatim
    assert not check_claim('"The kettle holds two litres."', source).is_verbatim
