import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.code_structure import code_sections

MODULE = '''"""Bees."""

import os

# How many live in a hive.
BEES = 9

# Opens it.
@cache
def open(hive):
    """Open a hive."""
    def inner():
        pass
    return inner

async def close(hive): ...

class Hive:
    """A home."""

    size = 3

    # Adds honey.
    @property
    def honey(self):
        return 1

    kind = "wood"

    class Frame:
        def lift(self):
            return 2

if BEES:
    def late(): ...

print(open)
'''


def named(text: str, *, is_python: bool = True, whole: int = 0) -> list[tuple[str, str]]:
    """Path and first line of each section."""
    found = code_sections(text, is_python=is_python, whole_chars=whole)
    return [(".".join(s.path), text[s.start : s.end].strip().split("\n")[0]) for s in found]


def test_definitions_are_sections_with_what_stands_above_them() -> None:
    assert named(MODULE) == [
        ("", '"""Bees."""'),
        ("open", "# Opens it."),
        ("close", "async def close(hive): ..."),
        ("Hive", "class Hive:"),
        ("Hive.honey", "# Adds honey."),
        ("Hive", 'kind = "wood"'),
        ("Hive.Frame", "class Frame:"),
        ("Hive.Frame.lift", "def lift(self):"),
        ("", "if BEES:"),
        ("late", "def late(): ..."),
        ("", "print(open)"),
    ]


def test_a_short_class_stays_in_one_piece() -> None:
    assert named(MODULE, whole=1000) == [
        ("", '"""Bees."""'),
        ("open", "# Opens it."),
        ("close", "async def close(hive): ..."),
        ("Hive", "class Hive:"),
        ("", "if BEES:"),
        ("late", "def late(): ..."),
        ("", "print(open)"),
    ]


def test_a_definition_in_a_text_is_none() -> None:
    assert named('x = """\ndef f(): pass\n"""\n') == [("", 'x = """')]


@pytest.mark.parametrize("text", ["def f(:\n  'open\n", "if x:\n  a\n b\n", "print 'x'\n(((\n"])
def test_what_is_no_python_is_read_as_any_language(text: str) -> None:
    assert code_sections(text, is_python=True, whole_chars=0)


def test_other_languages_are_cut_at_unindented_definitions() -> None:
    text = (
        "use std::io;\n\n/// Adds.\npub fn add(a: i32) -> i32 {\n    a\n}\n\nimpl Hive {\n"
        "    fn inner() {}\n}\n\nconst X: i32 = 1;\n"
    )
    assert named(text, is_python=False) == [
        ("", "use std::io;"),
        ("add", "/// Adds."),
        ("Hive", "impl Hive {"),
        ("", "const X: i32 = 1;"),
    ]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("export default async function load(x) {", "load"),
        ("func (h *Hive) Open() error {", "Open"),
        ("public final class Hive {", "Hive"),
        ("static int open_hive(struct hive *h)", "open_hive"),
        ("template <class T>\nT add(T a) {", "add"),
        ("CREATE TABLE IF NOT EXISTS bees (", "bees"),
        ("trait Fly {", "Fly"),
        ("return f(x", ""),
        ("else if (x) {", ""),
    ],
)
def test_names_of_definitions(line: str, name: str) -> None:
    ((found, first),) = named(line, is_python=False)
    assert (found, first) == (name, line.split("\n", maxsplit=1)[0])


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["def f():\n", "class A:\n", "    def g(self):\n", "        pass\n", "    x = 1\n",
             "\n", "# note\n", "@d\n", '"""\n', "fn f() {\n", "}\n", "(\n", "\té\n", "\f", "\r"]
        )
    ).map("".join),
    st.booleans(),
    st.integers(0, 80),
)  # fmt: skip
def test_sections_follow_each_other_and_hold_all_of_the_text(
    text: str, is_python: bool, whole: int
) -> None:
    found = code_sections(text, is_python=is_python, whole_chars=whole)
    assert "".join(text[section.start : section.end] for section in found) == text


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    # Small enough for a slow machine that traces lines; in squared time each would take minutes.
    ["# a\n" * 60_000, "def f(): 1\n" * 20_000, '"""\n' + "\n" * 199_999, "(" * 200_000,
     "class A:\n" + " def f(self): 1\n" * 20_000, "f(\n" * 60_000, "x" * 2_000_000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
@pytest.mark.parametrize("is_python", [True, False])
def test_no_source_takes_more_than_linear_time(text: str, is_python: bool) -> None:
    started = time.process_time()
    assert code_sections(text, is_python=is_python, whole_chars=1000)
    assert time.process_time() - started < 20
