from rag.loaders.source_code import load_python, load_source_code


def test_source_stays_as_it_stands() -> None:
    source = "# a comment\n\ndef f():\n\treturn 1\n"
    assert load_python(source.encode()).text == source
    assert load_source_code(b"fn f() {}\r\n").text == "fn f() {}\n"


def test_a_declared_encoding_is_used() -> None:
    found = load_python("# -*- coding: latin-1 -*-\nname = 'Größe ÿ'\n".encode("latin-1"))
    assert "Größe ÿ" in found.text
    assert found.metadata["encoding"] == "iso-8859-1"


def test_an_encoding_that_is_none_of_a_file_is_not_believed() -> None:
    for name in ("punycode", "unicode_escape", "no-such"):
        found = load_python(f"# coding: {name}\nname = 'Größe'\n".encode("latin-1"))
        assert "Größe" in found.text
