from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.document import Chunk
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


@pytest.mark.parametrize("key", ["with", "try", "attribute-access", "string-methods", "naming"])
def test_spans_hold_the_sentence_verbatim(key: str) -> None:
    text = topics[key]
    found = sentences(text, start=100)
    assert len(found) > 5
    source = text.encode()
    for sentence in found:
        piece = source[sentence.start - 100 : sentence.end - 100].decode()
        assert " ".join(piece.split()) == sentence.text


@given(st.text(alphabet="aB é.!?:*-\n\t1(\"'[>=", min_size=1, max_size=200))
def test_any_text_gives_ordered_spans_within_it(text: str) -> None:
    end = 0
    for sentence in sentences(text):
        assert end <= sentence.start < sentence.end <= len(text.encode())
        piece = text.encode()[sentence.start : sentence.end].decode()
        assert " ".join(piece.split()) == sentence.text
        end = sentence.end
