import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ParseError
from rag.loaders.charset import decode, utf16_without_mark

FRENCH = "Le café est très bon à Paris, où les élèves ont visité une forêt près de l'hôtel. "
CZECH = "Příliš mnoho lidí říká, že dnes je krásný den. Každý člověk má právo na svobodu. "
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności; są obdarzeni rozumem. "
GERMAN = "Die Größe der Straße ist schön. Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du. "
RUSSIAN = "Привет, как дела? Это текст на русском языке. "
HEBREW = "שלום עולם, זה טקסט בעברית שאפשר לקרוא. "
JAPANESE = "こんにちは世界。これは日本語のテキストです。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "utf-8"),
        (FRENCH, "latin-1"),
        ("Größe", "latin-1"),
        ("naïve — “quotes” and dashes", "cp1252"),
        (FRENCH, "utf-16"),
        (FRENCH, "utf-16-le"),
        (FRENCH, "utf-16-be"),
        (FRENCH, "utf-32"),
        (FRENCH, "utf-8-sig"),
        (CZECH, "cp1250"),
        (POLISH, "cp1250"),
        (GERMAN, "latin-1"),
        (RUSSIAN * 3, "cp1251"),
        (RUSSIAN * 3, "koi8-r"),
        (HEBREW * 5, "cp1255"),
        (JAPANESE * 2, "shift_jis"),
        (HEBREW, "utf-8"),
    ],
)
def test_text_comes_back_whatever_encoding_it_was_saved_in(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert decoded.warning == ""


@given(st.text(min_size=1))
def test_utf8_is_never_taken_for_something_else(text: str) -> None:
    data = text.encode()
    decoded = decode(data)
    if utf16_without_mark(data) is None:
        assert decoded.encoding in {"utf-8", "utf-16-le", "utf-16-be"}  # a mark may come first
        assert decoded.encoding != "utf-8" or decoded.text == text.removeprefix("\ufeff")


def test_short_ascii_of_even_length_is_not_utf16() -> None:
    assert decode(b"# Hi *there*\n\ntext").text == "# Hi *there*\n\ntext"


def test_a_broken_byte_in_utf8_is_replaced_and_reported() -> None:
    data = (FRENCH * 3).encode() + b"\xff end"
    decoded = decode(data)
    assert decoded.text == FRENCH * 3 + "\ufffd end"
    assert decoded.warning == "1 bytes were not UTF-8 and were replaced by U+FFFD"


def test_a_broken_byte_in_utf16_is_replaced_and_reported() -> None:
    decoded = decode(FRENCH.encode("utf-16") + b"\x00")
    assert decoded.text.startswith(FRENCH)
    assert "UTF-16-LE" in decoded.warning


def test_a_declared_encoding_is_believed_if_it_fits() -> None:
    assert decode("Příliš".encode("cp1250"), declared="windows-1250").text == "Příliš"
    assert decode("Größe".encode(), declared="latin-1").text == "Größe"  # valid UTF-8 wins
    assert decode("Größe".encode("latin-1"), declared="no-such-codec").text == "Größe"


def test_a_long_text_is_guessed_from_its_beginning() -> None:
    text = (FRENCH + "\n") * 2000
    assert decode(text.encode("cp1252")).text == text


def test_what_fits_no_encoding_is_refused() -> None:
    with pytest.raises(ParseError, match="encoding is not recognised; save it as UTF-8"):
        decode(bytes(range(128, 256)) * 8)


def test_bytes_that_do_not_fit_the_guess_are_replaced_unless_they_are_many() -> None:
    data = (GERMAN + "\n").encode("cp1252") * 1000  # more than is looked at for the guess
    decoded = decode(data + b"\x81")
    assert decoded.text.endswith("\ufffd")
    assert decoded.warning == "1 bytes were not CP1252 and were replaced by U+FFFD"
    with pytest.raises(ParseError, match="not recognised"):
        decode(data + b"\x81" * 5000)
