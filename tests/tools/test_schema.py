import json
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.decoding.grammar_compiler import GrammarCompiler
from llm.tool_prompt import ToolUse
from tests.llm.decoding.small_vocabulary import small_vocabulary
from tools.argument_types import Matches, Range, Size, to_json
from tools.base import Tool
from tools.call_context import CallContext
from tools.errors import (
    InvalidArgumentError,
    ToolDeclarationError,
)
from tools.json_check import check_schema, complaints, read_arguments
from tools.schema import function_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(Enum):
    LOW = 1
    HIGH = 2


class Mood(StrEnum):
    GLAD = "glad"


@dataclass(frozen=True, kw_only=True)
class Place:
    city: str
    zip_code: Annotated[str, Matches(pattern=r"[0-9]{5}")] = "00000"
    near: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.city == "Atlantis":
            raise ValueError("no such city")


def everything(
    context: CallContext,
    text: Annotated[str, Size(least=1, most=5)],
    whole: Annotated[int, Range(least=-3, most=3)],
    real: Annotated[float, Range(above=0, below=1)],
    flag: bool,
    choice: Literal["a", "b"],
    mixed: Literal[1, "one", True, None],
    colour: Colour,
    day: date,
    moment: datetime,
    hour: time,
    places: Annotated[list[Place], Size(most=2)],
    counts: dict[str, int],
    pair: tuple[float, ...],
    maybe: int | None,
    either: int | list[str] | None = None,
    level: Level = Level.HIGH,
    mood: Mood = Mood.GLAD,
    where: Place = Place(city="Oslo"),
) -> None:
    """Take one of each.

    It does nothing
    with them.

    Args:
        context: filled in.
        text (str): a text
            over two lines.
        whole: a whole number: small.

    Returns:
        text: not an argument.
    """


SCHEMA = function_schema(everything)
FAR = datetime(1000, 1, 1)  # noqa: DTZ001 - nobody says a zone
KINDS = {
    "text": str,
    "whole": int,
    "real": float,
    "flag": bool,
    "colour": Colour,
    "day": date,
    "moment": datetime,
    "hour": time,
    "places": list,
    "counts": dict,
    "pair": tuple,
    "level": Level,
    "mood": Mood,
    "where": Place,
}


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    """Values that a schema allows, by an interpretation of its own."""
    if "anyOf" in schema:
        return st.one_of([values(option) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        return _of_pattern(schema)
    sizes = {"min_size": schema.get("minItems", 0), "max_size": schema.get("maxItems", 3)}
    match schema["type"]:
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
            return st.floats(
                low,
                high,
                allow_nan=False,
                allow_infinity=False,
                exclude_min=low is not None,
                exclude_max=high is not None,
            )
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            return st.lists(values(schema["items"]), **sizes)
    return _of_object(schema)


def _of_pattern(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        SCHEMA.schema["properties"]["day"]["pattern"]: st.dates(FAR.date()),
        SCHEMA.schema["properties"]["moment"]["pattern"]: st.datetimes(FAR),
        SCHEMA.schema["properties"]["hour"]["pattern"]: st.times(),
    }
    moments = kinds.get(schema["pattern"])
    if moments is None:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return moments.map(lambda m: (m if type(m) is date else m.replace(microsecond=0)).isoformat())


def _of_object(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if isinstance(schema["additionalProperties"], dict):
        return st.dictionaries(st.text(max_size=5), values(schema["additionalProperties"]))
    parts = {name: values(part) for name, part in schema["properties"].items()}
    required = {name: part for name, part in parts.items() if name in schema["required"]}
    optional = {name: part for name, part in parts.items() if name not in schema["required"]}
    return st.fixed_dictionaries(required, optional=optional)


@given(values(dict(SCHEMA.schema)))
def test_what_the_schema_allows_is_read_as_the_types_say(arguments: dict[str, Any]) -> None:
    jsonschema.validate(arguments, SCHEMA.schema)
    assert complaints(arguments, SCHEMA.schema) == []
    assert read_arguments(json.dumps(arguments)) == arguments
    typed = SCHEMA.read(arguments)
    for name, value in typed.items():
        assert isinstance(value, KINDS.get(name, object)), name
    for place in typed["places"]:
        assert isinstance(place, Place)
    said = to_json(typed)
    assert complaints(said, SCHEMA.schema) == []
    assert SCHEMA.read(said) == typed


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from("abxyz"),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from("abc"), part),
    max_leaves=6,
)
_SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["integer", "number", "string", "array", "object", ["null", "string"]]
        ),
        "enum": st.lists(_JSON, min_size=1, max_size=3),
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "minLength": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "items": st.sampled_from([{"type": "integer"}, {"type": "string"}, True]),
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "properties": st.just({"a": {"type": "integer"}}),
        "additionalProperties": st.sampled_from([True, False, {"type": "string"}]),
        "anyOf": st.just([{"type": "integer", "minimum": 1}, {"type": "array"}]),
        "pattern": st.sampled_from(["^a$", "x|y"]),
    },
)


@given(_SCHEMAS, _JSON)
def test_our_checker_agrees_with_the_reference_one(schema: dict[str, Any], value: Any) -> None:
    check_schema(schema, where="s")
    validator = jsonschema.Draft202012Validator(schema)
    assert (complaints(value, schema) == []) == validator.is_valid(value)


def test_a_line_break_at_the_end_does_not_pass_for_the_end() -> None:
    assert complaints("12345\n", {"pattern": "^[0-9]{5}$"})


def test_signature_and_docstring_become_the_schema() -> None:
    properties = SCHEMA.schema["properties"]
    assert "context" not in properties
    assert SCHEMA.context == "context"
    assert SCHEMA.description == "Take one of each. It does nothing with them."
    assert properties["text"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 5,
        "description": "a text over two lines.",
    }
    assert properties["whole"]["description"] == "a whole number: small."
    assert properties["level"] == {"type": "integer", "enum": [1, 2], "default": 2}
    assert properties["where"]["default"] == {"city": "Oslo", "zip_code": "00000", "near": []}
    assert properties["places"]["items"]["required"] == ["city"]
    assert SCHEMA.schema["required"] == list(properties)[:-4]
    assert SCHEMA.schema["additionalProperties"] is False


def test_the_grammar_of_calls_can_be_made_of_every_schema() -> None:
    spec = Tool.from_function(everything).spec
    compiled = GrammarCompiler(small_vocabulary()).compile(ToolUse(tools=(spec,)).grammar())
    assert compiled.start() is not None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"day": "2025-02-30"}, "day"),
        ({"places": [{"city": "Oslo"}, {"city": "Atlantis"}]}, r"places\[1\]: no such city"),
        ({"real": 10**400}, "too large"),
    ],
)
def test_what_a_schema_cannot_say_is_refused_when_it_is_read(
    arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=word):
        SCHEMA.read(arguments)


@dataclass
class Endless:
    next: "Endless | None"


def _bad(annotation: Any, default: Any = ...) -> Any:
    def f(x):  # type: ignore[no-untyped-def]
        return x

    f.__annotations__ = {} if annotation is ... else {"x": annotation}
    if default is not ...:
        f.__defaults__ = (default,)
    return f


def _many(*values: int) -> None:
    del values


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (_bad(...), "no annotation"),
        (_bad(object), "no JSON form"),
        (_bad(Any), "no JSON form"),
        (_bad(bytes), "bytes has no JSON form"),
        (_bad(set[str]), "no JSON form"),
        (_bad(list), r"as in list\[str\]"),
        (_bad(dict[int, str]), "keys of a dict must be str"),
        (_bad(tuple[int, str]), "only tuple"),
        (_bad(int | float), "told apart"),
        (_bad(Place | dict[str, int]), "told apart"),
        (_bad(Literal[b"x"]), "Literal may hold"),
        (_bad(Endless), "contains itself"),
        (_bad("Nowhere"), "cannot be read"),
        (_bad(int, None), "annotate it as T | None"),
        (_bad(int, "three"), "must be integer"),
        (_bad(Annotated[int, Range(least=1)], 0), "must be >= 1"),
        (_bad(Annotated[str, Range(least=1)]), "says nothing"),
        (_bad(Annotated[int, Size(most=1)]), "says nothing"),
        (_bad(float, float("nan")), "no JSON form"),
        (print, "cannot be"),
        (_many, "cannot be described"),
    ],
)
def test_what_cannot_be_described_says_why(function: Any, word: str) -> None:
    with pytest.raises(ToolDeclarationError, match=word):
        function_schema(function)


def test_a_docstring_of_arguments_that_do_not_exist_is_an_error() -> None:
    def f(a: int) -> None:
        """F.

        Args:
            a: there.
            b: not there.
        """

    with pytest.raises(ToolDeclarationError, match="'b'"):
        function_schema(f)


def test_a_schema_of_another_program_with_an_unknown_keyword_is_refused() -> None:
    schemas: list[dict[str, Any]] = [
        {"oneOf": []},
        {"type": "text"},
        {"pattern": "("},
        {"items": {"$ref": "#"}},
    ]
    for schema in schemas:
        with pytest.raises(ToolDeclarationError):
            check_schema(schema, where="s")
