from datetime import date
from typing import Any

import pytest

from tools.base import Effect, Tool, tool
from tools.call_context import CallContext
from tools.errors import (
    DuplicateToolError,
    ToolDeclarationError,
    UnknownToolError,
)
from tools.registry import ToolRegistry


def f(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ({"name": "has space"}, "name is 1 to 64"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"retries": 9}, "retries"),
        ({"retries": 1}, "idempotent_by"),
        ({"idempotent_by": ("b",)}, "no argument 'b'"),
        ({"sensitive": frozenset({"b"})}, "no argument 'b'"),
        ({"effect": "read"}, "effect must be"),
        ({"max_result_bytes": 0}, "max_result_bytes"),
    ],
)
def test_a_tool_that_is_declared_wrongly_is_refused(declared: dict[str, Any], word: str) -> None:
    with pytest.raises(ToolDeclarationError, match=word):
        Tool.from_function(f, **declared)


def test_an_undeclared_effect_counts_as_write_and_a_write_always_asks() -> None:
    assert Tool.from_function(f).effect is Effect.WRITE
    assert Tool.from_function(f).asks == "always"
    assert Tool.from_function(f, effect=Effect.READ).asks == "never"
    with pytest.raises(ToolDeclarationError, match="must ask"):
        tool(effect="write", confirm="never")(f)
    assert tool()(f)(3) == 3


def test_a_registry_is_an_explicit_list_of_different_names() -> None:
    first = Tool.from_function(f, name="book_table", effect=Effect.READ)
    registry = ToolRegistry([first, Tool.from_function(f, name="find_hotel")])
    assert [spec.name for spec in registry.specs] == ["book_table", "find_hotel"]
    assert registry.tool("book_table") is first
    assert "book_table" in registry
    assert [t.name for t in registry.only(["find_hotel"])] == ["find_hotel"]
    with pytest.raises(UnknownToolError, match="did you mean 'book_table'"):
        registry.tool("book_tabel")
    with pytest.raises(UnknownToolError, match=r"there are \['book_table', 'find_hotel'\]"):
        registry.tool("x" * 10_000)
    with pytest.raises(DuplicateToolError, match="book_table"):
        ToolRegistry([first, first])


def test_the_fingerprint_changes_with_whatever_a_model_is_told_and_with_effects() -> None:
    prints = {
        ToolRegistry(
            [Tool.from_function(f, name=name, description=text, effect=effect)]
        ).fingerprint
        for name in ("a", "b")
        for text in ("one", "two")
        for effect in Effect
    }
    assert len(prints) == 8


# --- the form of a bot's tools.py ----------------------------------------------------------------


@tool(effect="read")
def has_room(hotel, check_in, nights: int = 1) -> bool:  # type: ignore[no-untyped-def]
    return bool(hotel and check_in and nights)


def test_arguments_without_annotations_are_typed_later_by_name() -> None:
    assert has_room.untyped == {"hotel", "check_in"}
    with pytest.raises(ToolDeclarationError, match=r"\['check_in', 'hotel'\] take"):
        ToolRegistry([has_room])
    typed = has_room.typed({"hotel": str, "check_in": date, "nights": str, "guest": str})
    assert ToolRegistry([typed]).tool("has_room").untyped == frozenset()
    properties = typed.schema["properties"]
    assert properties["hotel"] == {"type": "string"}
    assert "pattern" in properties["check_in"]
    assert properties["nights"]["type"] == "integer", "its own annotation goes before"
    assert typed.call({"hotel": "h", "check_in": "2025-03-07"}, CallContext()) is True
    assert has_room.typed({"hotel": str}).untyped == {"check_in"}
    with pytest.raises(ToolDeclarationError, match="has no JSON form"):
        has_room.typed({"hotel": object})


def test_a_deed_may_say_what_it_needs_and_what_takes_it_back() -> None:
    @tool(
        effect="write",
        timeout=5,
        retry=1,
        idempotent_by=("guest",),
        needs="logged_in",
        undo="release",
        sensitive=("card",),
    )
    def reserve(guest: str, card: str) -> None: ...

    assert (reserve.timeout_s, reserve.retries, reserve.idempotent_by) == (5, 1, ("guest",))
    assert (list(reserve.needs), reserve.undo) == (["logged_in"], "release")
    assert reserve.sensitive == frozenset({"card"})
    with pytest.raises(ToolDeclarationError, match="idempotent_by holds names"):
        tool(idempotent_by="guest")
    with pytest.raises(ToolDeclarationError, match="sensitive holds names"):
        tool(sensitive="guest")
