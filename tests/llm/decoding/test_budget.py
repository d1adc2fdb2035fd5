"""Budgets: whatever is drawn, and wherever the budget cuts, the output has the wanted form."""

import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.decoding.budget import BudgetedState, completer
from llm.decoding.grammar import Grammar, GrammarState
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import GrammarSpec, JsonSchema, Lark, Regex
from llm.decoding.vocabulary import tokens_of
from llm.errors import BudgetTooSmallError, ConstraintConflictError, GrammarTooLargeError
from tests.llm.decoding.test_grammar import GRAMMARS, SPECS, VOCABULARY, allowed

pytestmark = pytest.mark.slow

MINIMA: dict[str, int] = {name: completer(grammar).fewest() for name, grammar in GRAMMARS.items()}
RECURSIVE = JsonSchema.of(
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^(ab|the){2,}$"},
                    "tags": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
                },
                "required": ["name", "tags"],
                "additionalProperties": False,
            }
        },
    }
)


def accepts(grammar: Grammar, tokens: list[int]) -> bool:
    state = grammar.start(forcing=False)
    for token in tokens:
        state.advance(token)
    return state.is_accepting


def generate(
    grammar: Grammar, budget: int, rng: np.random.Generator, *, exact: bool = False
) -> list[int]:
    """Draw among what is offered, favouring what opens and prolongs, until end or budget."""
    state = BudgetedState(grammar, VOCABULARY, budget, exact=exact)
    longing = np.array([1 + 9 * any(b in b'{["\\,(<' for b in d) for d in VOCABULARY.token_bytes])
    taken: list[int] = []
    while state.tokens_left:
        tokens = allowed(state)
        weights = longing[tokens].astype(float)
        token = int(rng.choice(tokens, p=weights / weights.sum()))
        if not state.try_advance(token):
            assert not exact
            continue
        if state.is_finished:
            break
        taken.append(token)
    return taken


@pytest.mark.parametrize("name", sorted(SPECS))
@given(extra=st.integers(0, 40), seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_every_output_within_every_budget_is_accepted(name: str, extra: int, seed: int) -> None:
    budget = MINIMA[name] + extra
    tokens = generate(GRAMMARS[name], budget, np.random.default_rng(seed))
    assert len(tokens) <= budget
    assert accepts(GRAMMARS[name], tokens)


@given(extra=st.integers(0, 60), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_recursive_schema_comes_to_an_end_in_time(extra: int, seed: int) -> None:
    grammar = compile_grammar(RECURSIVE, VOCABULARY)
    budget = completer(grammar).fewest() + extra
    tokens = generate(grammar, budget, np.random.default_rng(seed))
    text = b"".join(VOCABULARY.token_bytes[token] for token in tokens)
    assert accepts(grammar, tokens)
    assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("name", ["any JSON", "choices", "citations", "quote", "regex", "schema"])
def test_an_exact_mask_holds_exactly_the_tokens_that_fit(name: str) -> None:
    rng = np.random.default_rng(3)
    state = BudgetedState(GRAMMARS[name], VOCABULARY, MINIMA[name] + 3, exact=True)
    while state.tokens_left:
        offered = allowed(state)
        forced = state.forced()
        for token in offered:
            assert state.fork().try_advance(token)
        if not forced:
            for token in set(range(VOCABULARY.size)) - set(offered) - VOCABULARY.eos_ids:
                ahead = state.fork()
                with pytest.raises(ConstraintConflictError):
                    ahead.advance(token)
        state.advance(int(rng.choice(offered)))
        if state.is_finished:
            break
    assert state.is_accepting


@pytest.mark.parametrize("name", sorted(SPECS))
def test_one_token_less_than_needed_is_refused_with_what_is_needed(name: str) -> None:
    with pytest.raises(BudgetTooSmallError, match=f"at least {MINIMA[name]} tokens") as refused:
        BudgetedState(GRAMMARS[name], VOCABULARY, MINIMA[name] - 1)
    assert refused.value.needed == MINIMA[name]


def shortest_by_trying(grammar: Grammar, most: int) -> int:
    """Return the fewest tokens of any output, trying all that differ in length or what follows."""
    layer = [grammar.start(forcing=False)]
    for length in range(most + 1):
        if any(state.is_accepting for state in layer):
            return length
        following: dict[tuple[int, bytes], GrammarState] = {}
        for state in layer:
            for token in allowed(state):
                ahead = state.fork()
                ahead.advance(token)
                mask = np.empty(VOCABULARY.num_words, np.int32)
                ahead.fill(mask)
                look = (len(VOCABULARY.token_bytes[token]), mask.tobytes())
                following.setdefault(look, ahead)
        layer = list(following.values())
    raise AssertionError("no output is that short")


@pytest.mark.parametrize(
    "spec",
    [
        Regex(pattern="(the|ab{3}|12){2,3}é?"),
        Regex(pattern="[a-z]{7}|0{5}"),
        JsonSchema.of({"enum": ["name of the tag", 1200, [True], None]}),
        JsonSchema.of({"type": "string", "minLength": 3}),
        JsonSchema.of(
            {"type": "array", "items": {"type": "integer", "minimum": 12}, "minItems": 2}
        ),
        JsonSchema.of({"type": "object", "properties": {"name": {}}, "required": ["name"]}),
        JsonSchema.of({"anyOf": [{"type": "string", "minLength": 9}, {"const": {"tags": [12]}}]}),
        Lark(source='start: "(" start ")" "ab" | /[0-9]{3}/'),
    ],
)
def test_the_minimum_is_the_true_one(spec: GrammarSpec) -> None:
    grammar = compile_grammar(spec, VOCABULARY)
    assert completer(grammar).fewest() == shortest_by_trying(grammar, 12)


@given(choices=st.lists(st.integers(0, 2**20), max_size=12), back=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_rolling_back_gives_the_tokens_back(choices: list[int], back: int) -> None:
    state = BudgetedState(GRAMMARS["schema"], VOCABULARY, MINIMA["schema"] + 9, exact=True)
    masks = [allowed(state)]
    left = [state.tokens_left]
    for choice in choices:
        if not masks[-1]:
            break
        state.advance(masks[-1][choice % len(masks[-1])])
        masks.append(allowed(state))
        left.append(state.tokens_left)
    fork = state.fork()
    back = min(back, len(masks) - 1)
    state.rollback(back)
    assert allowed(state) == masks[len(masks) - 1 - back]
    assert state.tokens_left == left[len(masks) - 1 - back]
    assert allowed(fork) == masks[-1]


def test_what_was_refused_is_not_offered_again() -> None:
    spec = JsonSchema.of({"anyOf": [{"const": 1}, {"type": "string", "minLength": 400}]})
    grammar = compile_grammar(spec, VOCABULARY)
    state = BudgetedState(grammar, VOCABULARY, 50)
    quote = VOCABULARY.ids_of_bytes[b'"']
    assert quote in allowed(state)
    assert not state.try_advance(quote)
    assert quote not in allowed(state)
    for token in allowed(state):
        state.try_advance(token)  # more than the few refusals after which all are tried
        if state.tokens_left < 50:
            break
    assert state.is_accepting


def test_less_time_than_tokens_ends_the_output_sooner() -> None:
    state = BudgetedState(GRAMMARS["schema"], VOCABULARY, 200)
    state.advance(VOCABULARY.ids_of_bytes[b'{"'])
    with pytest.raises(BudgetTooSmallError):
        state.limit(state.tokens_needed - 1)
    state.limit(state.tokens_needed)
    for _ in range(state.tokens_needed):
        state.advance(allowed(state)[0])
    assert state.is_accepting


def test_drafts_are_cut_where_they_no_longer_fit() -> None:
    text = '{"name":"' + "x" * 30 + '","tags":[]}'
    tokens = VOCABULARY.encode_plain(text)
    roomy = BudgetedState(GRAMMARS["schema"], VOCABULARY, len(tokens) + 5)
    assert roomy.count_legal(tokens) == len(tokens)
    tight = BudgetedState(GRAMMARS["schema"], VOCABULARY, MINIMA["schema"] + 4)
    legal = tight.count_legal(tokens)
    assert 0 < legal < len(tokens)
    for token in tokens[:legal]:
        tight.advance(token)


def test_an_endless_minimum_is_refused() -> None:
    grammar = compile_grammar(JsonSchema.of({"type": "string", "minLength": 30_000}), VOCABULARY)
    with pytest.raises(GrammarTooLargeError, match="shortest output"):
        completer(grammar)


def test_a_completion_is_made_of_tokens_that_the_grammar_takes() -> None:
    for name, grammar in GRAMMARS.items():
        following = completer(grammar)
        state = grammar.start(forcing=False)
        for number in itertools.count():
            token = following.next_token()
            if token is None:
                break
            assert following.advance(token, MINIMA[name] - number - 1)
            state.advance(token)
            assert following.fewest() == MINIMA[name] - number - 1
        assert state.is_accepting
        assert tokens_of(VOCABULARY.mask_of([])) == []


@pytest.mark.parametrize(
    "source", ['start: "a" start | "b"', 'start: "a" start "c" | "b"', 'start: start "a" | "b"']
)
def test_endless_recursion_on_the_straight_way_is_given_up_in_time(source: str) -> None:
    """The search once took "a" again and again, each time dearer, for minutes."""
    began = time.process_time()
    state = BudgetedState(compile_grammar(Lark(source=source), VOCABULARY), VOCABULARY, 20)
    assert state.tokens_needed == 1
    assert time.process_time() - began < 20
