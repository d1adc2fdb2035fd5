from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.document import Chunk
from rag.loaders.table import load_table
from rag.sentences import Sentence, split_sentences


def sentences(text: str, start: int = 0) -> list[Sentence]:
    return split_sentences(Chunk(start=start, end=start + len(text.encode()), text=text))


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in sentences(text)]


def test_prose_is_cut_at_ends_of_sentences_and_folded() -> None:
    assert texts("The first one is\nwrapped here. Is the second one short? Yes it is, indeed!") == [
        "The first one is wrapped here.",
        "Is the second one short?",
        "Yes it is, indeed!",
    ]


def test_abbreviations_numbers_and_names_do_not_end_a_sentence() -> None:
    text = "It costs 3.5 units, e.g. Those of Mr. Smith are cheap. Use str.join or f.read here."
    assert len(texts(text)) == 2


def test_headings_rules_and_code_are_no_sentences() -> None:
    text = (
        'The "with" statement\n********************\n\nIt wraps the execution of a block.\n\n'
        '   with_stmt ::= "with" with_item ("," with_item)* ":" suite\n\n'
        "   x = compute(1)\n   y = compute(2)\n\n   >>> print(x) and some words here.\n"
    )
    assert texts(text) == ["It wraps the execution of a block."]


def test_items_of_a_list_are_cut_apart_without_their_bullets() -> None:
    text = "* The first item is here.\n* The second item is there.\n\n1. The third has a number.\n"
    assert texts(text) == [
        "The first item is here.",
        "The second item is there.",
        "The third has a number.",
    ]


def test_a_signature_leads_the_sentences_below_it_and_no_others() -> None:
    text = (
        "object.__len__(self)\n\n   Called to implement the built-in function len().\n\n"
        "   Should return the length of the object.\n\nThis stands outside of it again.\n"
    )
    assert [(s.lead, s.text) for s in sentences(text)] == [
        ("object.__len__(self)", "Called to implement the built-in function len()."),
        ("object.__len__(self)", "Should return the length of the object."),
        ("", "This stands outside of it again."),
    ]


def test_rows_of_a_table_are_quoted_one_by_one() -> None:
    table = "name,price,colour (outside)\nKettle,30,red (matt)\nToaster,45,blue\n"
    rows = load_table(table.encode()).text
    assert texts(rows) == [
        "name: Kettle price: 30 colour (outside): red (matt)",
        "name: Toaster price: 45 colour (outside): blue",
    ]


def test_a_long_row_is_cut_between_its_lines_and_led_by_its_first() -> None:
    row = "name: Kettle\nuse: " + "boils water " * 23 + "\nprice: 30 pounds\nstock: 4 pieces"
    first, second = sentences(row)
    assert first.text.startswith("name: Kettle use: boils water")
    assert (second.lead, second.text) == ("name: Kettle", "price: 30 pounds stock: 4 pieces")


def test_items_without_full_stops_are_quoted_where_no_sentence_stands() -> None:
    text = (
        "# Visits\n\n- Opening hours of the museum are Monday to Friday from nine to five\n"
        "- Closed (always) at Christmas\n- Phone: 555 123\n"
    )
    items = [
        "Opening hours of the museum are Monday to Friday from nine to five",
        "Closed (always) at Christmas",
        "Phone: 555 123",
    ]
    assert texts(text) == items
    assert texts(f"The museum can be visited as follows:\n\n{text}")[1:] == items
    prose = "The museum lies in the old town."
    assert texts(f"{prose}\n\n{text}") == [prose]


def test_rows_of_a_drawn_table_are_quoted_without_its_rules() -> None:
    assert texts("| Kettle | price |\n|---|---|\n| red | 30 pounds |\n| blue | 40 pounds |\n") == [
        "| red | 30 pounds | | blue | 40 pounds |"
    ]


def test_a_long_text_without_stops_is_cut_between_words() -> None:
    text = "so we went on along the river and " * 20
    pieces = texts(text)
    assert " ".join(pieces) == text.strip()
    assert len(pieces) == 3
    assert all(len(piece) <= 300 for piece in pieces)
    assert texts("\u0e01" * 700) == ["\u0e01" * 300, "\u0e01" * 300, "\u0e01" * 100]


def test_what_is_too_short_to_be_an_item_is_quoted_together() -> None:
    assert texts("# Animals\n\n- Lions\n\n- Zebras\n\n# Plants\n\n- Ferns\n") == ["Lions - Zebras"]


@pytest.mark.parametrize(
    "text", ["# Visits\n", "Visits of the whole museum\n-----\n", "***\n", "\n"]
)
def test_a_heading_or_a_rule_alone_is_never_quoted(text: str) -> None:
    assert texts(text) == []


def test_russian_is_cut_at_full_stops() -> None:
    first = "Музей открыт каждый день до пяти часов."
    second = "Вход для детей сегодня бесплатный!"
    assert texts(f"{first} {second}") == [first, second]


def test_chinese_and_japanese_are_cut_without_spaces() -> None:
    chinese = [
        "博物馆每天上午九点开门。",
        "你知道门票多少钱吗\uff1f",
        "儿童可以免费参观博物馆\uff01",
    ]
    assert texts("".join(chinese)) == chinese
    japanese = ["博物館は毎日九時に開きます。", "入場料は五百円です。"]
    assert texts("".join(japanese)) == japanese


def test_hindi_and_arabic_are_cut_at_their_own_marks() -> None:
    hindi = ["संग्रहालय हर दिन नौ बजे खुलता है।", "बच्चों के लिए प्रवेश निःशुल्क है।"]
    assert texts(" ".join(hindi)) == hindi
    arabic = ["متى يفتح المتحف أبوابه كل يوم؟", "يفتح المتحف أبوابه في التاسعة صباحا."]
    assert texts(" ".join(arabic)) == arabic


def test_a_sentence_may_begin_with_an_umlaut_and_none_with_a_small_letter() -> None:
    german = [
        "Das Museum ist heute offen.",
        "Öffnen Sie bitte die Tür.",
        "Über uns wohnt niemand mehr…",
    ]
    assert texts(" ".join([*german, "Ältere Leute zahlen nichts."])) == [
        *german,
        "Ältere Leute zahlen nichts.",
    ]
    assert len(texts("Das kostet 3 Euro inkl. äußerer Hülle und Versand.")) == 1


def test_an_ellipsis_between_spaces_stands_for_words_left_out() -> None:
    text = 'Handlers are specified with the "try" … "except" statement.'
    assert texts(text) == [text]


@pytest.mark.parametrize(
    "heading",
    [
        "# Zebras\n",
        "###### All about zebras and lions.\n",
        "Zebras\n======\n",
        "Zebras here\n---\n",
        "Zebras\n******\n",
        "======\nZebras\n======\n",
    ],
)
def test_a_heading_directly_above_prose_is_no_part_of_it(heading: str) -> None:
    assert texts(f"{heading}Zebras have stripes in black and white.\n") == [
        "Zebras have stripes in black and white."
    ]


def test_a_rule_below_a_sentence_makes_no_heading_of_it() -> None:
    text = "Zebras have stripes in black and white.\n---\nLions have no stripes at all.\n"
    assert len(texts(text)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "{prose}\n```\n{code}\n\n{code}\n```\n{more}",
        "{prose}\n\n```text\n{code}\n```\n\n{more}",
        "{prose} {more}\n```text\n{code}\n",  # cut off in the code
        "x = 1\n{code}\n```\n{prose}\n\n{more}",  # begun in the code
        "{code}\n```\n{prose}\n{more}\n```text\n{code}\n```\n",
    ],
)
def test_fenced_code_is_not_cut_into_sentences(text: str) -> None:
    prose, more = "This is how to greet.", "That was all of it."
    code = "Print the words. Say hello to them all."
    assert texts(text.format(prose=prose, more=more, code=code)) == [prose, more]


def test_code_alone_gives_its_head() -> None:
    assert texts("# Use\n\n```\nPrint the words. Say hello.\n\nDo it.\n```\n") == [
        "Print the words. Say hello. Do it."
    ]


@pytest.mark.parametrize("key", ["with", "try", "attribute-access", "string-methods", "naming"])
def test_spans_hold_the_sentence_verbatim(key: str) -> None:
    text = topics[key]
    found = sentences(text, start=100)
    assert len(found) > 5
    source = text.encode()
    for sentence in found:
        piece = source[sentence.start - 100 : sentence.end - 100].decode()
        assert " ".join(piece.split()) == sentence.text


@given(st.text(alphabet="aB é.!?:*-\n\t1(\"'[>=#`|Ö茶。…\u0e01\u0301", min_size=1, max_size=400))
def test_any_text_gives_ordered_spans_within_it(text: str) -> None:
    end = 0
    for sentence in sentences(text):
        assert end <= sentence.start < sentence.end <= len(text.encode())
        piece = text.encode()[sentence.start : sentence.end].decode()
        assert " ".join(piece.split()) == sentence.text
        end = sentence.end


def test_a_bulleted_item_without_a_stop_is_quotable_beside_prose() -> None:
    text = (
        "The museum is closed at Christmas.\n\n- Monday to Friday from nine to five\n"
        "- Saturday from ten to four\n"
    )
    assert texts(text) == [
        "The museum is closed at Christmas.",
        "Monday to Friday from nine to five",
        "Saturday from ten to four",
    ]
