"""Real schemas: every output validates, every valid instance is taken, every invalid one is not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.schema_cases import Case, compact, read_cases
from llm.decoding.budget import BudgetedState, completer
from llm.decoding.grammar import Grammar
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import JsonSchema
from llm.decoding.vocabulary import tokens_of
from llm.errors import ConstraintError
from tests.llm.decoding.small_vocabulary import small_vocabulary

pytestmark = pytest.mark.slow

VOCABULARY = small_vocabulary()
SAMPLE = 9  # every ninth case
SPARE = (0, 23)

# valid instances that are refused, and why no grammar of ours can hold them
REFUSED_ALTHOUGH_VALID = {
    r"(const|enum).*(0|1|-2\.0|float|zero)": "another spelling of a number, such as 1.0 for 1",
    r"type: integer": "another spelling of a number, such as 1.0 for 1",
    r"format: ": "`format` is held to, which validators need not do",
    r"draft7/ref: ref overrides": "what stands beside `$ref` is held to, which draft 7 ignores",
    r"drupal-libraries": "what stands beside `$ref` is held to, which draft 7 ignores",
}


@pytest.fixture(scope="module")
def cases(data_path: Path) -> list[Case]:
    return read_cases(data_path)


def compiled(case: Case) -> Grammar | None:
    try:
        return compile_grammar(JsonSchema.of(case.schema), VOCABULARY)
    except ConstraintError:
        return None


def can_be_judged(schema: Any) -> bool:
    """Tell whether Python's `re` reads the schema's patterns, as the validator needs it to."""
    return not re.search(r"\\\\p\{", json.dumps(schema))


def generate(grammar: Grammar, *, spare: int, seed: int, adversarial: bool) -> bytes:
    """Draw at random, or take what is likeliest to break JSON; the end only if nothing else is."""
    rng = np.random.default_rng(seed)
    state = BudgetedState(grammar, VOCABULARY, completer(grammar).fewest() + spare)
    mask = np.empty(VOCABULARY.num_words, np.int32)
    taken = b""
    while state.tokens_left:
        state.fill(mask)
        tokens = tokens_of(mask)
        assert tokens, "nothing may come next and the output is not complete"
        harm = rng.random(len(tokens))
        if adversarial:
            harm += [
                sum(b in b'"\\{}[]:,-+.eE' or b > 127 for b in data)
                for data in (VOCABULARY.token_bytes[token] for token in tokens)
            ]
            harm -= [9 * (token in VOCABULARY.eos_ids) for token in tokens]
        token = tokens[int(harm.argmax())]
        if state.try_advance(token):
            if state.is_finished:
                break
            taken += VOCABULARY.token_bytes[token]
    assert state.is_accepting
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [False, True])
def test_whatever_a_model_prefers_the_output_validates(
    cases: list[Case], adversarial: bool
) -> None:
    num_judged = 0
    for case in cases[::SAMPLE]:
        grammar = compiled(case)
        if grammar is None or not can_be_judged(case.schema):
            continue
        for spare in SPARE:
            text = generate(grammar, spare=spare, seed=spare, adversarial=adversarial)
            assert case.is_valid(json.loads(text)), (case.name, text)
            num_judged += 1
    assert num_judged > 100


@pytest.mark.slow
def test_given_instances_are_taken_if_and_only_if_they_are_valid(cases: list[Case]) -> None:
    accepted, wrong = 0, []
    for case in cases:
        grammar = compiled(case)
        if grammar is None:
            continue
        accepted += 1
        for instance in case.instances:
            text = compact(instance.value, case.schema)
            state = grammar.start(forcing=False)
            tokens = [VOCABULARY.ids_of_bytes[bytes([byte])] for byte in text.encode()]
            taken = state.count_legal(tokens) == len(tokens)
            if taken:
                for token in tokens:
                    state.advance(token)
                taken = state.is_accepting
            known = any(re.search(reason, case.name) for reason in REFUSED_ALTHOUGH_VALID)
            if taken != instance.valid and (taken or not known):
                wrong.append((case.name, taken, text))
    assert accepted > 900
    assert wrong == []


@pytest.mark.parametrize("max_whitespace", [0, 3])
def test_no_run_of_whitespace_is_longer_than_allowed(max_whitespace: int) -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "null"}}}}
    grammar = compile_grammar(JsonSchema.of(schema, max_whitespace=max_whitespace), VOCABULARY)
    blank = [
        token for token, data in enumerate(VOCABULARY.token_bytes) if data and not data.strip()
    ]
    rng = np.random.default_rng(1)
    mask = np.empty(VOCABULARY.num_words, np.int32)
    longest = 0
    for _ in range(20):
        state = BudgetedState(grammar, VOCABULARY, 40)
        text = b""
        while state.tokens_left and not state.is_finished:
            state.fill(mask)
            tokens = tokens_of(mask)
            liked = [token for token in tokens if token in blank] or tokens
            token = int(rng.choice(liked))
            if state.try_advance(token):
                text += VOCABULARY.token_bytes[token]
        json.loads(text)
        outside = re.sub(rb'"[^"]*"', b"x", text)
        runs = [len(run) for run in re.findall(rb"\s+", outside)]
        longest = max(longest, *runs, 0)
    assert longest == max_whitespace
