import json

import pytest

from rag.errors import FailureCode, ParseError
from rag.loaders.json_records import load_json, load_json_lines


def test_values_stand_after_the_path_of_their_keys_and_numbers_as_written() -> None:
    found = load_json(
        b'{"a": {"b.c": 1.50, "d": [true, null, "x"]}, "e": "", "f": 12345678901234567890}'
    )
    assert found.text == 'a["b.c"]: 1.50\na.d: true, x\nf: 12345678901234567890'
    assert found.metadata["num_records"] == 1


def test_a_title_becomes_the_heading_of_its_record() -> None:
    found = load_json(b'[{"Name": "Ann", "age": 3}, {"age": 4}]')
    assert found.text == "# Ann\n\nage: 3\n\nage: 4"
    assert found.title == ""


def test_records_in_an_object_come_after_its_own_values() -> None:
    found = load_json(b'{"title": "Zoo", "pets": [{"name": "Cat", "legs": 4}], "city": "Rome"}')
    assert found.title == "Zoo"
    assert found.text == "# Zoo\n\ncity: Rome\n\n## Cat\n\npets[0].legs: 4"


def test_a_text_of_several_lines_keeps_them_below_its_path() -> None:
    found = load_json(json.dumps({"body": "One.\n\n\n\nTwo.", "n": 1}).encode())
    assert found.text == "body:\n\nOne.\n\nTwo.\n\nn: 1"


def test_a_key_that_comes_twice_keeps_both_values() -> None:
    assert load_json(b'{"a": 1, "a": 2}').text == "a: 1\na: 2"


def test_a_list_of_long_texts_has_a_line_each() -> None:
    texts = ["word " * 30 + "end", "word " * 30 + "stop"]
    lines = load_json(json.dumps({"t": texts}).encode()).text.split("\n")
    assert [line[:6] for line in lines] == ["t[0]: ", "t[1]: "]


def test_a_file_of_a_value_a_line_is_read_as_json_lines() -> None:
    assert load_json(b'{"a": 1}\n{"a": 2}\n').text == "a: 1\n\na: 2"


def test_lines_that_are_broken_are_named() -> None:
    found = load_json_lines(b'{"a": 1}\n{"a": \n\n{"a": 3}\n')
    assert found.text == "a: 1\n\na: 3"
    assert found.metadata["warning"] == "line 2 could not be read as JSON"


def test_a_file_of_broken_lines_is_refused() -> None:
    with pytest.raises(ParseError, match="2 of its lines are no JSON, the first in line 1"):
        load_json_lines(b"one\ntwo\n")


def test_a_broken_file_says_where() -> None:
    with pytest.raises(ParseError, match=r"the JSON is broken: Expecting .* at line 2, column 1"):
        load_json(b'{"a":\n}')


def test_deep_nesting_is_refused() -> None:
    deep = b'{"a":' * 100 + b"1" + b"}" * 100
    with pytest.raises(ParseError, match="more than 64 levels deep") as caught:
        load_json(deep)
    assert caught.value.code is FailureCode.TOO_LARGE


def test_an_odd_encoding_is_read() -> None:
    assert load_json('{"a": "é"}'.encode("utf-16")).text == "a: é"
    assert load_json(b"").text == ""
