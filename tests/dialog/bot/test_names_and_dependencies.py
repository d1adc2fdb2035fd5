"""The nearest name to a misspelt one, and what depends on what."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dialog.bot.dependencies import DependencyGraph, dependencies
from dialog.bot.file_keys import SLOT, TASK, edit_distance, nearest_key
from dialog.bot.loading import load_bot
from tests.dialog.bot.harbour import harbour_in

_WORDS = st.text(alphabet="abc", max_size=5)


def slow_distance(left: str, right: str) -> int:
    """Golden twin: optimal string alignment by its recursive definition."""
    if not left or not right:
        return len(left) + len(right)
    best = min(
        slow_distance(left[:-1], right) + 1,
        slow_distance(left, right[:-1]) + 1,
        slow_distance(left[:-1], right[:-1]) + (left[-1] != right[-1]),
    )
    if left[-2:] == right[-2:][::-1] and len(left[-2:]) == 2:
        best = min(best, slow_distance(left[:-2], right[:-2]) + 1)
    return best


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(_WORDS, _WORDS)
def test_the_edit_distance_is_that_of_its_definition(left: str, right: str) -> None:
    assert edit_distance(left, right, 3) == min(3, slow_distance(left, right))


def test_the_nearest_key_is_within_two_letters_or_there_is_none() -> None:
    assert nearest_key("requird", list(SLOT)) == "required"
    assert nearest_key("Whne", list(SLOT)) == "when"
    assert nearest_key("cancled", list(TASK)) == "cancelled"
    assert nearest_key("zzz", list(SLOT)) is None


def test_dependents_are_found_through_others_and_circles_are_told() -> None:
    graph = DependencyGraph(
        uses={"b": frozenset({"a"}), "check:0": frozenset({"b"}), "c": frozenset()}
    )
    assert graph.dependents("a") == {"b", "check:0"}
    assert graph.dependents("c") == frozenset()
    assert graph.cycle() == ()
    assert DependencyGraph(uses={"a": frozenset({"b"}), "b": frozenset({"a"})}).cycle() == (
        "a",
        "b",
        "a",
    )


def test_the_graph_of_a_task_names_checks_search_and_steps(tmp_path: Path) -> None:
    bot = load_bot(harbour_in(tmp_path / "harbour"))
    book = dependencies(bot, bot.task("book_hotel"))
    assert book.dependents("check_in") == {"check:0", "do:0"}
    assert "smoking" in book.dependents("hotel")
    find = dependencies(bot, bot.task("find_hotel"))
    assert find.dependents("city") == {"find", "hotel"}
    assert find.dependents("nights") == frozenset()
