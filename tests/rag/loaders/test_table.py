import pytest

from rag.errors import ParseError
from rag.loaders.table import load_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_row_becomes_lines_of_header_and_value(delimiter: str) -> None:
    rows = [["Name", "Age", ""], ["Ann", "3", "x"], ["Bob", "", ""], ["", "", ""]]
    data = "\r\n".join(delimiter.join(row) for row in rows).encode()
    found = load_table(data)
    assert found.text == "Name: Ann\nAge: 3\ncolumn 3: x\n\nName: Bob"
    assert found.metadata["num_columns"] == 3


def test_cells_with_quotes_line_ends_and_too_many_columns_are_read() -> None:
    found = load_table(b'a,b\n"x, ""y""\nz",1,2\n')
    assert found.text == 'a: x, "y" z\nb: 1\ncolumn 3: 2'


def test_a_table_of_numbers_has_no_header() -> None:
    assert load_table(b"1,2\n3,4\n").text == "column 1: 1\ncolumn 2: 2\n\ncolumn 1: 3\ncolumn 2: 4"


def test_a_header_alone_is_a_row() -> None:
    assert load_table(b"only,headers\n").text == "only: only\nheaders: headers"


def test_an_empty_table_has_no_text() -> None:
    assert load_table(b",,\n\n").text == ""


def test_a_quote_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ParseError, match="quote that is never closed"):
        load_table(b'a,b\n"' + b"x," * 100_000)
