import io
import zipfile

import docx
import pytest

from rag.errors import ParseError
from rag.loaders.word_document import load_word_document
from tests.rag.sample_files import word_document, zip_bomb


def test_headings_lists_and_tables_come_in_reading_order() -> None:
    found = load_word_document(word_document())
    assert found.title == "Vacation policy"
    assert found.text == (
        "# Vacation policy\n\nEverybody has thirty days.\n\n- Ask early.\n- Ask kindly.\n\n"
        "| Year | Days |\n| 2023 | 28 |\n| as agreed |\n\n## Carry-over\n\nUntil March."
    )


def test_the_title_property_comes_before_the_first_heading() -> None:
    document = docx.Document()
    document.core_properties.title = "From the properties"
    document.add_heading("Heading", 0)
    document.add_paragraph("- not a list, but written so")
    out = io.BytesIO()
    document.save(out)
    found = load_word_document(out.getvalue())
    assert found.title == "From the properties"
    assert found.text == "# Heading\n\n- not a list, but written so"


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ParseError, match=r"would unpack to 1.* a zip bomb"):
        load_word_document(zip_bomb())


def test_an_archive_of_too_many_files_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(10_001):
            archive.writestr(f"word/{i}", b"")
    with pytest.raises(ParseError, match="holds 10001 files"):
        load_word_document(out.getvalue())


def test_an_encrypted_member_is_named_as_such() -> None:
    data = bytearray(word_document())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark)
        data[at + offset] |= 1
    with pytest.raises(ParseError, match="encrypted"):
        load_word_document(bytes(data))


@pytest.mark.parametrize("size", [10, 1000, 20_000])
def test_a_truncated_document_is_broken(size: int) -> None:
    with pytest.raises(ParseError, match="the DOCX is broken"):
        load_word_document(word_document()[:size])


def test_a_document_with_malformed_xml_is_broken() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word_document())) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"<w:document" if name == "word/document.xml" else old.read(name))
    with pytest.raises(ParseError, match="the DOCX is broken: XMLSyntaxError"):
        load_word_document(out.getvalue())
