"""The shape of the repository: six names, small files, a turn that is as documented."""

import ast
import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("api", "dialog", "index", "llm", "rag", "tools")
MAX_LINES = 400
MAX_FILES_OF_A_TURN = 9
TURN = "## One chat turn"


def python_files() -> list[Path]:
    folders = (*FOLDERS, "tests", "benchmarks", "examples")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_top_level_name_is_the_folder_here(name: str) -> None:
    """Another distribution may install a top-level `llm` or `tools`."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve() == (ROOT / name / "__init__.py").resolve()


def test_no_other_distribution_owns_one_of_the_names() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in FOLDERS:
        assert set(owners.get(name, [])) <= {"causerie"}, f"{name} belongs to {owners[name]}"


def test_the_packages_are_the_six_and_those_for_tests_and_benchmarks() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == {*FOLDERS, "tests", "benchmarks"}


def test_files_stay_under_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in python_files()
    }
    assert len(lengths) > 50
    assert {name: n for name, n in lengths.items() if n >= MAX_LINES} == {}


def test_init_files_hold_a_docstring_and_nothing_else() -> None:
    for path in python_files():
        if path.name == "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            rest = body[1:] if body and ast.get_docstring(ast.Module(body[:1], [])) else body
            assert rest == [], f"{path.relative_to(ROOT)} holds more than a docstring"


def test_every_folder_of_tests_is_a_package() -> None:
    """Else `tests/llm` can become the `llm`, and equal file names collide."""
    for path in {path.parent for path in (ROOT / "tests").rglob("*.py")}:
        assert (path / "__init__.py").is_file(), f"{path.relative_to(ROOT)} has no __init__.py"


@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_draws_its_exceptions_and_marks_its_types(name: str) -> None:
    assert (ROOT / name / "errors.py").is_file()
    assert (ROOT / name / "py.typed").is_file()


def test_the_documented_turn_names_at_most_nine_files_and_all_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert text.count(f"\n{TURN}") == 1
    section = text.split(f"\n{TURN}", 1)[1].split("\n## ", 1)[0]
    paths = list(dict.fromkeys(re.findall(r"`([\w./-]+\.py)`", section)))
    assert 0 < len(paths) <= MAX_FILES_OF_A_TURN
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert {path.split("/")[0] for path in paths} >= {"api", "dialog", "llm"}
