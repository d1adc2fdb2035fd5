"""Grammars over a vocabulary: what may come next, forward, back and forked."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.grammar import Grammar, GrammarState
from llm.decoding.grammar_compiler import GrammarCompiler, compile_grammar
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
)
from llm.decoding.vocabulary import Vocabulary, tokens_of
from llm.errors import ConstraintConflictError, InvalidGrammarError
from tests.llm.decoding.small_vocabulary import small_vocabulary

pytestmark = pytest.mark.slow

PERSON = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"enum": ["a", "bé", "<|im_end|>"]}, "maxItems": 3},
        },
        "required": ["name", "tags"],
        "additionalProperties": False,
    }
)
PASSAGES = (
    Passage(id="1", text='The name of the tag, na\u00efve as it is: the "end".'),
    Passage(id="b", text="12 tags; the name of the tags. \u00e9"),
)
SPECS: dict[str, GrammarSpec] = {
    "schema": PERSON,
    "spaced schema": JsonSchema(schema=PERSON.schema, max_whitespace=3),
    "any JSON": JsonSchema.of(True),
    "regex": Regex(pattern=r"(\d{2,4}|é+|[a-c]*z)(, \w+)?"),
    "choices": Choices(options=("na", "name", "names of tags", "é", "the end")),
    "citations": CitationIds(ids=("1", "2", "12"), min_ids=2),
    "quote": Quote(passages=PASSAGES, min_bytes=3),
    "quotes with citations": Quote(passages=PASSAGES, cite=True, min_quotes=2, max_quotes=3),
    "tags": StructuralTags(
        tags=(
            Tag(trigger="<t", begin="<tag>", content=PERSON, end="</tag>"),
            Tag(trigger="<t", begin="<the>", content=Regex(pattern="[0-9]+"), end="</the>"),
            Tag(trigger="<|im_start|>", begin="<|im_start|>ab", content=Choices(options=("c",))),
        ),
        min_tags=1,
        max_tags=2,
    ),
    "grammar": Lark(source='start: "(" start ")" | /[0-9]+/ | <|im_start|> "x"'),
}
VOCABULARY = small_vocabulary()
GRAMMARS = {name: compile_grammar(spec, VOCABULARY) for name, spec in SPECS.items()}


def allowed(state: GrammarState, vocabulary: Vocabulary = VOCABULARY) -> list[int]:
    mask = np.full(vocabulary.num_words, -1, np.int32)
    state.fill(mask)
    return tokens_of(mask)


def accepts(state: GrammarState, token: int) -> bool:
    ahead = state.fork()
    try:
        ahead.advance(token)
    except ConstraintConflictError:
        return False
    return True


def text_of(tokens: list[int], vocabulary: Vocabulary = VOCABULARY) -> str:
    return b"".join(vocabulary.token_bytes[token] for token in tokens).decode()


def walk(
    grammar: Grammar, choices: list[int], *, forcing: bool = False
) -> tuple[GrammarState, list[int]]:
    """Take the allowed token that each number picks, until the end."""
    state = grammar.start(forcing=forcing)
    taken = []
    for choice in choices:
        tokens = allowed(state)
        if not tokens:
            break
        taken.append(tokens[choice % len(tokens)])
        state.advance(taken[-1])
    return state, taken


WALKS = st.lists(st.integers(0, 2**20), max_size=23)
NAMES = st.sampled_from(sorted(SPECS))


@given(name=NAMES, choices=WALKS)
@settings(max_examples=60, deadline=None)
def test_the_mask_holds_exactly_the_tokens_that_can_be_taken(name: str, choices: list[int]) -> None:
    state, _ = walk(GRAMMARS[name], choices)
    can = [token for token in range(VOCABULARY.size) if accepts(state, token)]
    assert allowed(state) == can


@given(name=NAMES, choices=WALKS, back=st.integers(0, 23))
@settings(max_examples=100, deadline=None)
def test_rolling_back_leads_to_the_state_that_was(name: str, choices: list[int], back: int) -> None:
    state, taken = walk(GRAMMARS[name], choices)
    back = min(back, len(taken))
    state.rollback(back)
    again = GRAMMARS[name].start(forcing=False)
    for token in taken[: len(taken) - back]:
        again.advance(token)
    assert allowed(state) == allowed(again)
    assert state.is_accepting == again.is_accepting
    assert state.is_finished == again.is_finished
    for token in taken[len(taken) - back :]:
        state.advance(token)  # and forward the same way
    assert allowed(state) == allowed(walk(GRAMMARS[name], choices)[0])


@given(name=NAMES, choices=WALKS, more=WALKS)
@settings(max_examples=60, deadline=None)
def test_a_fork_and_its_parent_do_not_touch_each_other(
    name: str, choices: list[int], more: list[int]
) -> None:
    state, taken = walk(GRAMMARS[name], choices)
    before = allowed(state)
    child = state.fork()
    for choice in more:
        tokens = allowed(child)
        if not tokens:
            break
        child.advance(tokens[choice % len(tokens)])
    assert allowed(state) == before
    sibling = state.fork()
    state.rollback(len(taken))
    assert allowed(sibling) == before


@given(name=NAMES, choices=WALKS)
@settings(max_examples=60, deadline=None)
def test_the_end_is_offered_exactly_where_the_output_may_end(name: str, choices: list[int]) -> None:
    state, _ = walk(GRAMMARS[name], choices)
    ends = [token for token in allowed(state) if token in VOCABULARY.eos_ids]
    assert bool(ends) == (state.is_accepting and not state.is_finished)


@given(name=NAMES, choices=WALKS)
@settings(max_examples=60, deadline=None)
def test_special_tokens_come_only_where_the_grammar_names_them(
    name: str, choices: list[int]
) -> None:
    _, taken = walk(GRAMMARS[name], choices)
    named = {VOCABULARY.special_ids["<|im_start|>"]} if name in ("grammar", "tags") else set()
    special = set(VOCABULARY.special_ids.values()) - VOCABULARY.eos_ids
    assert special & set(taken) <= named


@given(name=NAMES, choices=WALKS)
@settings(max_examples=60, deadline=None)
def test_taking_what_is_forced_or_drawing_it_comes_to_the_same(
    name: str, choices: list[int]
) -> None:
    state, _ = walk(GRAMMARS[name], choices, forcing=True)
    for token in state.forced():
        assert allowed(state) == [token]
        state.advance(token)


@given(name=NAMES, choices=WALKS)
@settings(max_examples=60, deadline=None)
def test_what_is_forced_is_allowed_and_every_longer_output_has_those_bytes(
    name: str, choices: list[int]
) -> None:
    state, _ = walk(GRAMMARS[name], choices)
    forced = state.forced()
    assert state.count_legal(forced) == len(forced)
    if forced:
        data = b"".join(VOCABULARY.token_bytes[token] for token in forced)
        for token in allowed(state):
            spelled = VOCABULARY.token_bytes[token]
            assert spelled.startswith(data) or data.startswith(spelled)


@given(name=NAMES, choices=WALKS, draft=st.lists(st.integers(0, 400), max_size=5))
@settings(max_examples=100, deadline=None)
def test_drafted_tokens_are_counted_as_far_as_they_can_be_taken(
    name: str, choices: list[int], draft: list[int]
) -> None:
    state, taken = walk(GRAMMARS[name], choices)
    drafted = [*taken[-1:], *(token % VOCABULARY.size for token in draft)]
    ahead = state.fork()
    legal = 0
    for token in drafted:
        if not accepts(ahead, token):
            break
        ahead.advance(token)
        legal += 1
    assert state.count_legal(drafted) == legal


@given(
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=7),
    tags=st.lists(st.sampled_from(["a", "bé", "<|im_end|>"]), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_every_tokenisation_of_a_valid_instance_is_accepted(name: str, tags: list[str]) -> None:
    value = {"name": name, "tags": tags}  # in the order of the schema
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for tokens in (
        VOCABULARY.encode_plain(text),
        [VOCABULARY.ids_of_bytes[bytes([byte])] for byte in text.encode()],
    ):
        state = GRAMMARS["schema"].start(forcing=False)
        for token in tokens:
            state.advance(token)
        assert state.is_accepting


@given(choices=st.lists(st.integers(0, 2**20), min_size=40, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_regex_is_matched_as_python_matches_it(choices: list[int]) -> None:
    state, taken = walk(GRAMMARS["regex"], choices)
    if state.is_accepting:
        text = text_of(taken)
        pattern = SPECS["regex"]
        assert isinstance(pattern, Regex)
        assert re.fullmatch(pattern.pattern, text, re.ASCII)


def test_a_token_that_cannot_come_changes_nothing() -> None:
    state = GRAMMARS["schema"].start(forcing=False)
    before = allowed(state)
    with pytest.raises(ConstraintConflictError, match="cannot come next"):
        state.advance(VOCABULARY.ids_of_bytes[b"x"])
    with pytest.raises(ConstraintConflictError, match="cannot end here"):
        state.advance(min(VOCABULARY.eos_ids))
    assert allowed(state) == before


def test_nothing_follows_the_end() -> None:
    state = GRAMMARS["regex"].start()
    for token in VOCABULARY.encode_plain("12"):
        state.advance(token)
    state.advance(min(VOCABULARY.eos_ids))
    assert state.is_finished
    assert allowed(state) == []
    assert state.forced() == []
    assert state.count_legal([1]) == 0
    with pytest.raises(ConstraintConflictError, match="nothing can follow"):
        state.advance(1)
    state.rollback(1)
    assert not state.is_finished


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Regex(pattern="(a"), "no grammar"),
        (Regex(pattern="a(?=b)"), "look-around"),
        (Lark(source="begin: /a/"), "start"),
        (Lark(source="start[max_tokens=3]: /a/"), "max_tokens"),
        (Lark(source="start: <[3]>"), "token ids"),
        (Lark(source='%llguidance {"no_forcing": false}\nstart: /a/'), "options"),
    ],
)
def test_what_is_no_grammar_is_refused(spec: GrammarSpec, message: str) -> None:
    with pytest.raises(InvalidGrammarError, match=message):
        compile_grammar(spec, VOCABULARY)


def test_a_compiled_grammar_is_kept_for_the_next_request_that_asks_the_same() -> None:
    compiler = GrammarCompiler(VOCABULARY, capacity=2)
    first = compiler.compile(PERSON)
    assert compiler.compile(JsonSchema(schema=PERSON.schema)) is first
    compiler.compile(SPECS["regex"])
    compiler.compile(SPECS["grammar"])
    assert compiler.compile(PERSON) is not first
