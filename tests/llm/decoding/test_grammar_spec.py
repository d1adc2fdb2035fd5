import pytest

from llm.decoding.grammar_spec import (
    Choices,
    CitationIds,
    GrammarSpec,
    JsonSchema,
    Lark,
    Passage,
    Quote,
    Regex,
    StructuralTags,
    Tag,
    fingerprint,
)

TAG = Tag(trigger="<t", begin="<t>", content=Regex(pattern="a"))
SPECS: list[GrammarSpec] = [
    JsonSchema(schema="{}"),
    JsonSchema(schema="{}", max_whitespace=1),
    Regex(pattern="{}"),
    Lark(source="{}"),
    Choices(options=("{}",)),
    Choices(options=("{", "}")),
    CitationIds(ids=("1", "2")),
    CitationIds(ids=("1", "2"), min_ids=2),
    Quote(passages=(Passage(id="1", text="a b"),)),
    Quote(passages=(Passage(id="1", text="a"), Passage(id="b", text=""))),
    StructuralTags(tags=(TAG,)),
    StructuralTags(tags=(TAG,), min_tags=1),
    StructuralTags(tags=(TAG,), text_without="a"),
]


def test_fingerprints_are_equal_only_for_equal_specs() -> None:
    assert len({fingerprint(spec) for spec in SPECS}) == len(SPECS) == len(set(SPECS))
    assert fingerprint(JsonSchema.of({})) == fingerprint(JsonSchema(schema="{}"))
    assert all(len(fingerprint(spec)) == 32 for spec in SPECS)


def test_the_order_of_properties_makes_another_spec() -> None:
    one = JsonSchema.of({"properties": {"a": {}, "b": {}}})
    other = JsonSchema.of({"properties": {"b": {}, "a": {}}})
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: JsonSchema(schema="{}", max_whitespace=65),
            r"max_whitespace must be in \[0, 64\]",
        ),
        (lambda: Regex(pattern=""), "must not be empty"),
        (lambda: Regex(pattern="a" * 65_537), "at most 65536"),
        (lambda: Lark(source=""), "must not be empty"),
        (lambda: Choices(options=()), "at least one option"),
        (lambda: Choices(options=("",)), "only option is empty"),
        (lambda: Choices(options=("x" * 16_000_001,)), "narrow them down"),
        (lambda: Passage(id="", text="a"), "needs an id"),
        (lambda: Quote(passages=(), min_bytes=3, max_bytes=2), "min_bytes <= max_bytes"),
        (lambda: Quote(passages=(), min_quotes=2, max_quotes=1), "min_quotes <= max_quotes"),
        (lambda: Quote(passages=(), max_quotes=2), "set cite"),
        (lambda: Quote(passages=(Passage(id="1", text="x" * 2_000_001),)), "retrieve fewer"),
        (lambda: CitationIds(ids=("1", "1")), "different"),
        (lambda: CitationIds(ids=("1",), min_ids=2), "min_ids <= max_ids"),
        (lambda: Tag(trigger="", begin="", content=Regex(pattern="a")), "needs a trigger"),
        (lambda: Tag(trigger="<a", begin="<b", content=Regex(pattern="a")), "start with"),
        (lambda: StructuralTags(tags=()), "at least one tag"),
        (lambda: StructuralTags(tags=(TAG,), min_tags=2, max_tags=1), "min_tags <= max_tags"),
        (lambda: StructuralTags(tags=(TAG,), text=False), "set min_tags to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
