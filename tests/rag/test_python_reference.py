"""The default corpus, from the interpreter that runs the tests and from small folders."""

import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics as source

import pytest

from rag import python_reference
from rag.builtin_docstrings import (
    builtin_functions,
    builtin_module,
    builtin_types,
    extension_module,
)
from rag.docstring_entries import Entry, render, summary_title
from rag.document import Document, sha256_hex
from rag.python_reference import language_topics, library_docstrings
from rag.source_docstrings import read_source


@pytest.fixture(scope="module")
def topics() -> dict[str, Document]:
    return {document.uri: document for document in language_topics()}


@pytest.fixture(scope="module")
def library() -> dict[str, Document]:
    return {document.uri: document for document in library_docstrings()}


def own_library(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the walk look for these modules only."""
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset(names))


def from_folder(folder: Path) -> dict[str, Document]:
    uri = python_reference.LIBRARY_PREFIX
    return {
        document.uri.removeprefix(uri): document
        for document in library_docstrings(folder)
        if "/builtins" not in document.uri
    }


def test_topics_have_human_titles_and_the_hash_of_their_text(topics: dict[str, Document]) -> None:
    document = topics["python/topics/with"]
    assert document.title == 'The "with" statement'
    assert "context manager" in document.text
    assert document.source_sha256 == sha256_hex(document.text.encode())
    assert document.metadata["topic"] == "with"
    assert all(document.title and "\n" not in document.title for document in topics.values())


def test_topic_text_is_kept_to_the_letter() -> None:
    texts = {
        document.uri.removeprefix("python/topics/"): document for document in language_topics()
    }
    for key in ("lambda", "with", "try", "assert"):
        assert texts[key].text == source[key]


def test_a_text_under_two_keys_is_one_document_named_by_its_title() -> None:
    text = 'The "if" statement\n******************\n\nChooses.\n'
    assert [d.uri for d in language_topics({"else": text, "if": text})] == ["python/topics/if"]


def test_a_section_that_is_a_topic_of_its_own_is_taken_out_of_the_collection() -> None:
    body = "It repeats its suite, as long as its condition holds. " * 5
    small = f"Loops\n*****\n\n{body}\n\nMore\n====\n\nAnd more.\n"
    large = (
        f"All\n***\n\nBefore.\n\n\nLoops\n=====\n\n{body}\n\nMore\n----\n\nAnd more.\n\n\nAfter.\n"
    )
    by_uri = {d.uri: d.text for d in language_topics({"all": large, "loops": small})}
    assert by_uri["python/topics/loops"] == small
    assert body not in by_uri["python/topics/all"]
    assert "Before." in by_uri["python/topics/all"]
    assert "After." in by_uri["python/topics/all"]
    assert "More" not in by_uri["python/topics/all"]


def test_a_topic_without_a_heading_is_titled_by_its_key() -> None:
    (document,) = language_topics({"attribute-access": "Just text.\n"})
    assert document.title == "Attribute access"


@pytest.mark.slow
def test_the_library_tells_names_signatures_and_docstrings(library: dict[str, Document]) -> None:
    text = library["python/library/json"].text
    assert "\njson.dumps(obj, *, skipkeys=False, " in text
    assert "Serialize ``obj`` to a JSON formatted ``str``." in text
    assert "class json.JSONDecoder(*, object_hook=None" in text
    assert "\njson.JSONDecoder.decode(s, " in text
    assert (
        "os.path.join(a, *p)" in library["python/library/os.path"].text or sys.platform == "win32"
    )
    assert "\nasyncio.gather(*coros_or_futures" in library["python/library/asyncio"].text
    assert "\nstr.strip(chars=None, /)\n" in library["python/library/builtins.str"].text
    assert "\nlen(obj, /)\n" in library["python/library/builtins"].text
    assert "class KeyError\n" in library["python/library/builtins.exceptions"].text
    assert "\ntime.sleep" in library["python/library/time"].text


@pytest.mark.slow
def test_private_names_and_test_suites_stay_out(library: dict[str, Document]) -> None:
    for uri in library:
        parts = uri.removeprefix("python/library/").split(".")
        assert not any(part.startswith("_") for part in parts)
        assert not {"test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip"} & set(parts)
    assert "._" not in library["python/library/threading"].text.partition("===")[0]


@pytest.mark.slow
def test_the_library_comes_out_the_same_in_another_process(library: dict[str, Document]) -> None:
    code = (
        "from rag.python_reference import library_docstrings\n"
        "from rag.document import sha256_hex\n"
        "print(sha256_hex(''.join(d.uri + d.source_sha256 for d in library_docstrings()).encode()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    mine = "".join(d.uri + d.source_sha256 for d in library.values())
    assert done.stdout.strip() == sha256_hex(mine.encode())


@pytest.mark.slow
def test_reading_the_library_imports_none_of_it() -> None:
    code = (
        "import sys\n"
        "from rag import python_reference\n"
        "before = set(sys.modules)\n"
        "num = len(list(python_reference.library_docstrings()))\n"
        "new = set(sys.modules) - before - set(sys.builtin_module_names)\n"
        "told = [n for n in new if not n.startswith(('encod', '_sysconfigdata'))]\n"
        "print(num, python_reference.count(), told)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    num, total, new = done.stdout.strip().split(" ", 2)
    assert new == "[]"
    assert 200 < int(num) <= int(total)


def test_a_broken_source_file_is_left_out_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_library(monkeypatch, "good", "broken", "binary", "absent")
    (tmp_path / "good.py").write_text('"""Do good."""\n')
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "binary.py").write_bytes(b'"""\xff\x00"""')
    skipped: dict[str, str] = {}
    documents = list(library_docstrings(tmp_path, on_skip=skipped.__setitem__))
    assert documents[-1].uri == "python/library/good"
    assert documents[-1].title == "good — Do good"
    assert skipped.keys() == {"broken", "binary", "absent"}
    assert skipped["broken"].startswith("SyntaxError")
    assert "does not have it" in skipped["absent"]


def test_a_package_offers_what_its_parts_and_private_modules_define(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_library(monkeypatch, "shop")
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(
        '__all__ = ["sell", "weigh"]\nfrom .till import *\nfrom _scales import weigh, hide\n'
    )
    (package / "till.py").write_text(
        '"""The till."""\ndef sell(what, *, price=1):\n    """Sell it."""\n'
        'def count():\n    """Count."""\n'
    )
    (package / "_inner.py").write_text('"""Private."""\n')
    (package / "tests").mkdir()
    (package / "tests" / "__init__.py").write_text('"""Tests."""\n')
    (tmp_path / "_scales.py").write_text(
        'def weigh(it: int) -> float:\n    """Weigh."""\ndef hide():\n    """Hide."""\n'
    )
    documents = from_folder(tmp_path)
    assert documents.keys() == {"shop", "shop.till"}
    assert "shop.sell(what, *, price=1)\n=====" in documents["shop"].text
    assert "shop.weigh(it: int) -> float" in documents["shop"].text
    assert "hide" not in documents["shop"].text
    assert "sell" not in documents["shop.till"].text
    assert "shop.till.count()" in documents["shop.till"].text


def test_modules_that_import_each_other_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_library(monkeypatch, "egg")
    (tmp_path / "egg.py").write_text("from _hen import *\n")
    (tmp_path / "_hen.py").write_text('from egg import *\ndef lay():\n    """Lay."""\n')
    (tmp_path / "_hen.py").write_text('from _cock import *\ndef lay():\n    """Lay."""\n')
    (tmp_path / "_cock.py").write_text('from _hen import *\ndef crow():\n    """Crow."""\n')
    text = from_folder(tmp_path)["egg"].text
    assert "egg.lay()" in text
    assert "egg.crow()" in text


def test_signatures_leave_out_self_and_shorten_what_is_endless(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    many = ", ".join(f"argument_{i}=None" for i in range(40))
    path.write_text(
        "class A:\n"
        "    def __init__(self, x, /, y=1): ...\n"
        "    def one(self):\n        'One.'\n"
        "    @classmethod\n    def two(cls, *, z):\n        'Two.'\n"
        "    @staticmethod\n    def three(selfish):\n        'Three.'\n"
        "    @property\n    def four(self):\n        'Four.'\n"
        "    def five(self, /, a):\n        'Five.'\n"
        "    def _six(self):\n        'Six.'\n"
        "    def seven(self): ...\n"
        f"def long({many}):\n    'Long.'\n"
        "def silent(): ...\n"
        "if True:\n    async def later(a):\n        'Later.'\n"
        "else:\n    def later(b):\n        'Never.'\n"
        "try:\n    def tried():\n        'Tried.'\n"
        "except ValueError:\n    pass\n"
    )
    entries = read_source(path).entries
    assert list(entries) == ["A", "long", "later", "tried"]
    assert entries["A"].signature == "(x, /, y=1)"
    assert [(m.name, m.signature) for m in entries["A"].members] == [
        ("one", "()"),
        ("two", "(*, z)"),
        ("three", "(selfish)"),
        ("four", ""),
        ("five", "(a)"),
    ]
    assert entries["long"].signature == "(…)"
    assert entries["later"].signature == "(a)"


def test_exports_are_read_only_where_they_are_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("__all__ = ['a']\n__all__ += ['b']\n__all__.append('c')\n")
    assert read_source(path).exports == frozenset("abc")
    path.write_text("import x\n__all__ = x.__all__\n")
    assert read_source(path).exports is None


def test_only_modules_of_the_interpreter_itself_are_looked_at() -> None:
    doc, entries = builtin_module("time")
    assert doc
    assert "sleep" in {entry.name for entry in entries}
    with pytest.raises(ValueError, match="not built into this interpreter"):
        builtin_module("json")


def test_what_others_put_into_builtins_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.zzz_help", lambda: None, raising=False)
    monkeypatch.setattr("builtins.Zzz", Path, raising=False)
    names = {entry.name for entry in builtin_functions()} | dict(builtin_types()).keys()
    assert {"print", "open", "len"} <= names
    assert not {"zzz_help", "Zzz", "exit", "copyright"} & names


def test_a_hook_that_was_replaced_is_told_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtin_module("sys")
    monkeypatch.setattr(sys, "excepthook", print)
    assert builtin_module("sys") == before


def test_a_compiled_module_is_read_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.so"
    path.write_bytes(
        b"\x7fELF\0sqrt($module, x, /)\n--\n\nReturn the square root of x.\0"
        b"now($module, /)\n--\n\nThe time that it is.\0"
        b"bad($module, \xff)\n--\n\nNot text at all.\0tiny($self, x)\n--\n\nA method of what?\0"
    )
    assert extension_module(path) == [
        Entry(name="now", signature="()", doc="The time that it is."),
        Entry(name="sqrt", signature="(x, /)", doc="Return the square root of x."),
    ]


@pytest.mark.parametrize(
    ("name", "doc", "title"),
    [
        ("json", "", "The json module"),
        ("json", "JSON is a subset of\nJavaScript.", "The json module"),
        ("glob", "Filename globbing utility.", "glob — Filename globbing utility"),
        ("csv", "csv.py - read and write CSV files", "csv — read and write CSV files"),
        ("a.b", "Module b -- odd\n\nMore.", "a.b — odd"),
        ("curses", "curses\n\nThe main package.", "The curses module"),
        ("x", "y" * 200, "The x module"),
    ],
)
def test_a_module_is_titled_by_its_summary(name: str, doc: str, title: str) -> None:
    assert summary_title(name, doc) == title


def test_headings_are_underlined_at_their_full_width() -> None:
    method = Entry(name="go", signature="(far)", doc="Go.")
    text = render("Cars", "cars.", "", [Entry(name="Car", is_class=True, members=(method,))])
    assert text == (
        "Cars\n****\n\nclass cars.Car\n==============\n\n"
        "cars.Car.go(far)\n----------------\n\nGo.\n"
    )
