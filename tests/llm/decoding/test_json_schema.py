"""What of JSON Schema is taken, and that nothing else is taken silently."""

import json
import time
from typing import Any

import pytest

from llm.decoding.budget import completer
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import JsonSchema, Regex, StructuralTags, Tag
from llm.decoding.json_schema import MAX_PROPERTIES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, checked
from llm.decoding.pattern_sample import sample
from llm.errors import (
    ConstraintError,
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsupportedSchemaError,
)
from tests.llm.decoding.small_vocabulary import small_vocabulary

pytestmark = pytest.mark.slow

VOCABULARY = small_vocabulary()
OVERLAP = [{"type": "integer"}, {"type": "number"}]


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("uniqueItems", {"type": "array", "uniqueItems": True}),
        ("not", {"not": {"type": "string"}}),
        ("contains", {"contains": {"const": 1}}),
        ("oneOf", {"oneOf": OVERLAP}),
        ("if", {"if": {"minimum": 3}, "then": {"maximum": 9}}),
        ("propertyNames", {"propertyNames": {"maxLength": 3}}),
        ("dependentRequired", {"dependentRequired": {"a": ["b"]}}),
        ("unevaluatedProperties", {"unevaluatedProperties": False}),
        ("$dynamicRef", {"$dynamicRef": "#a"}),
        ("format", {"format": "idn-email"}),
        ("pattern", {"type": "string", "pattern": "(?=a)b"}),
        ("patternProperties", {"patternProperties": {"^a": {}, "b$": {}}}),
        ("$ref", {"$ref": "https://example.org/schema"}),
        ("$ref", {"$ref": "#/$defs/none"}),
        ("$ref", {"$id": "https://example.org/a", "$ref": "b", "$defs": {"b": {}}}),
        ("minProperties", {"type": "object", "minProperties": 2}),
        ("multipleOf", {"type": "number", "multipleOf": 0.01}),
        ("x-guidance", {"type": "object", "x-guidance": {"lenient": True}}),
    ],
)
def test_what_cannot_be_held_to_is_refused_by_name(keyword: str, schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSchemaError, match=r"is not supported|would change") as refused:
        compile_grammar(JsonSchema.of(schema), VOCABULARY)
    assert refused.value.keyword == keyword


def test_a_refusal_says_where() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"items": {"not": {}}}}}
    with pytest.raises(UnsupportedSchemaError, match="at #/properties/a/items"):
        compile_grammar(JsonSchema.of(schema), VOCABULARY)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "uniqueItems": False},
        {"type": "array", "maxItems": 2.0},
        {"then": {"minimum": 3}},
        {"if": {"minimum": 3}},
        {"type": "number", "multipleOf": 0.25},
        {"type": "object", "minProperties": 2, "required": ["a", "b"]},
    ],
)
def test_what_means_nothing_is_no_reason_to_refuse(schema: dict[str, Any]) -> None:
    compile_grammar(JsonSchema.of(schema), VOCABULARY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("3", "object or a boolean"),
        ("[]", "object or a boolean"),
        ("false", "nothing satisfies"),
        ('{"minimum": NaN}', "NaN"),
        ('{"type": "strin"}', "strin"),
        ('{"allOf": [{"type": "string"}, {"type": "null"}]}', "nothing satisfies"),
    ],
)
def test_what_is_no_schema_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidGrammarError, match=message):
        compile_grammar(JsonSchema(schema=text), VOCABULARY)


def nested(depth: int) -> str:
    return '{"items":' * depth + '{"type":"null"}' + "}" * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(1_000),
        nested(1_000_000 // 10),
        nested(MAX_SCHEMA_DEPTH),
        "[" * 500_000,
        json.dumps({"description": "x" * 1_000_000}),
        json.dumps({"enum": [f"value {i}" for i in range(100_000)]}),
        json.dumps({"properties": {f"p{i}": {} for i in range(MAX_PROPERTIES + 1)}}),
    ],
)
def test_huge_and_deep_schemas_are_refused_at_once(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(GrammarTooLargeError, match="too large"):
        compile_grammar(JsonSchema(schema=text), VOCABULARY)
    assert time.monotonic() - begun < 2.0


def test_the_largest_schemas_that_are_taken_compile_in_bounded_time() -> None:
    wide = {"type": "object", "properties": {f"p{i}": {} for i in range(MAX_PROPERTIES)}}
    values = {"enum": [f"value number {i}" for i in range(18_000)]}
    assert len(json.dumps(values)) < MAX_SCHEMA_BYTES
    for schema in (wide, values, json.loads(nested(MAX_SCHEMA_DEPTH - 1))):
        begun = time.monotonic()
        compile_grammar(JsonSchema.of(schema), VOCABULARY)
        assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"anyOf": [{"minimum": i}, {"maximum": -i}]} for i in range(24)]},
        {"type": "array", "minItems": 10**9, "items": {"type": "string"}},
        {"type": "string", "minLength": 10**12},
    ],
)
def test_schemas_that_explode_are_refused_in_bounded_time(schema: dict[str, Any]) -> None:
    begun = time.monotonic()
    with pytest.raises(ConstraintError):
        completer(compile_grammar(JsonSchema.of(schema), VOCABULARY))
    assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*b",
        "(x+x+)+y",
        "(a|aa)+$",
        "((a{1,100}){1,100}){1,100}",
        "(.*a){200}",
        "(([a-z])+.)+[A-Z]([a-z])+",
        "(a{1,1000}){1,1000}b",
        "(.{1,1000}){1,1000}b",
    ],
)
def test_a_catastrophic_regex_is_compiled_or_refused_in_bounded_time(pattern: str) -> None:
    begun = time.monotonic()
    try:
        grammar = compile_grammar(Regex(pattern=pattern), VOCABULARY)
        state = grammar.start()
        completer(grammar, 64)
        state.count_legal(VOCABULARY.encode_plain("a" * 50))
    except ConstraintError:
        pass
    assert time.monotonic() - begun < 5.0


def test_a_schema_too_deep_to_be_written_is_a_value_error() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(ValueError, match="too deeply"):
        JsonSchema.of(schema)


def test_a_schema_of_a_tag_is_checked_too() -> None:
    tag = Tag(trigger="<t", begin="<t>", content=JsonSchema.of({"x-guidance": {}}))
    with pytest.raises(UnsupportedSchemaError, match="x-guidance"):
        compile_grammar(StructuralTags(tags=(tag,)), VOCABULARY)


def test_true_is_the_schema_of_anything() -> None:
    assert checked("true") == {}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\d+\.\d+\.\d+-?.*", "0.0.0"),
        (r"^in$|^out$", "in"),
        (r"(?:ab){2,3}[^a-f]", "ab" * 2 + "0"),
        (r"^[A-Z]{2}\-\$[0-9]?$", "AA-$"),
        ("(?=a)b", None),
        ("[a", None),
        ("(" * 5000, None),
        ("a{99999}", None),
    ],
)
def test_a_pattern_is_guessed_from_its_text(pattern: str, expected: str | None) -> None:
    assert sample(pattern) == expected
