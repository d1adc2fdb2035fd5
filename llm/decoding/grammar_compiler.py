"""From what is asked of an output to a grammar for one vocabulary.

Compiled grammars are kept for the next request that asks the same. Knows no requests.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

from llm.decoding.automaton import Automaton, Chain, Different, Either, Optional, Quotes, Values
from llm.decoding.automaton_grammar import AutomatonGrammar
from llm.decoding.grammar import Grammar, MatcherGrammar
from llm.decoding.grammar_spec import (
    Choices,
    CitationIds,
    GrammarSpec,
    JsonSchema,
    Lark,
    Quote,
    Regex,
    StructuralTags,
    Tag,
    fingerprint,
)
from llm.decoding.json_schema import checked, hints, refusal
from llm.decoding.lark_source import json_source, lark_source, regex_source, tags_source
from llm.decoding.pattern_sample import sample
from llm.decoding.vocabulary import Vocabulary
from llm.errors import ConstraintConflictError


class GrammarCompiler:
    """Compiles for one vocabulary and keeps the last `capacity` grammars. For several threads."""

    def __init__(self, vocabulary: Vocabulary, *, capacity: int = 64) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be >= 1, got {capacity}")
        self.vocabulary = vocabulary
        self._capacity = capacity
        self._kept: OrderedDict[str, Grammar] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, spec: GrammarSpec) -> Grammar:
        """Return the grammar of `spec`.

        Raises:
            ConstraintError: one of its kinds says what is wrong with the spec.
        """
        key = fingerprint(spec)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        grammar = compile_grammar(spec, self.vocabulary)
        with self._lock:
            self._kept[key] = grammar
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return grammar


def compile_grammar(spec: GrammarSpec, vocabulary: Vocabulary) -> Grammar:
    """Return the grammar of `spec`; see `GrammarCompiler.compile` for errors."""
    if isinstance(spec, JsonSchema):
        schema = checked(spec.schema)
        source = json_source(schema, max_whitespace=spec.max_whitespace)
        return _matcher_grammar(source, vocabulary, hints=hints(schema), schema=schema)
    if isinstance(spec, Regex):
        hint = sample(spec.pattern) or ""
        return _matcher_grammar(regex_source(spec), vocabulary, hints=[hint])
    if isinstance(spec, Lark):
        return _matcher_grammar(lark_source(spec), vocabulary)
    if isinstance(spec, StructuralTags):
        source = tags_source(spec, vocabulary.special_ids)
        leads = [_lead(tag, vocabulary) for tag in spec.tags]
        return _matcher_grammar(source, vocabulary, hints=_tag_hints(spec), leads=leads)
    return AutomatonGrammar(_automaton(spec), vocabulary)


def _tag_hints(spec: StructuralTags) -> list[str]:
    found: list[str] = []
    for tag in spec.tags:
        if isinstance(tag.content, JsonSchema):
            found += hints(checked(tag.content.schema))
        elif isinstance(tag.content, Regex):
            found.append(sample(tag.content.pattern) or "")
    return found


def _lead(tag: Tag, vocabulary: Vocabulary) -> list[int]:
    special = vocabulary.special_ids.get(tag.trigger)
    if special is None:
        return list(tag.begin.encode())
    return [*vocabulary.symbols(special), *tag.begin[len(tag.trigger) :].encode()]


def _automaton(spec: Choices | Quote | CitationIds) -> Automaton:
    if isinstance(spec, Choices):
        return Values(option.encode() for option in spec.options)
    if isinstance(spec, CitationIds):
        most = len(spec.ids) if spec.max_ids is None else spec.max_ids
        return Different([f"[{id_}]".encode() for id_ in spec.ids], least=spec.min_ids, most=most)
    if not spec.cite:
        texts = [passage.text for passage in spec.passages]
        return _quotes(texts, spec)
    found = []
    for passage in spec.passages:
        try:
            quotes = _quotes([passage.text], spec)
        except ConstraintConflictError:
            continue  # nothing of this one is long enough
        found.append(Chain([_literal('"'), quotes, _literal(f'" [{passage.id}]')]))
    if not found:
        raise ConstraintConflictError(
            f"no passage has a span of {spec.min_bytes} to {spec.max_bytes} bytes to quote;"
            " allow shorter quotes"
        )
    one = Either(found)
    rest: Automaton | None = None
    for number in range(spec.max_quotes, 1, -1):
        parts: list[Automaton] = [_literal(" "), one, *([] if rest is None else [rest])]
        rest = Chain(parts) if number <= spec.min_quotes else Optional(Chain(parts))
    return one if rest is None else Chain([one, rest])


def _quotes(texts: list[str], spec: Quote) -> Quotes:
    try:
        return Quotes(texts, min_bytes=spec.min_bytes, max_bytes=spec.max_bytes)
    except ValueError as error:
        raise ConstraintConflictError(str(error)) from error


def _literal(text: str) -> Values:
    return Values([text.encode()])


def _matcher_grammar(
    source: str,
    vocabulary: Vocabulary,
    *,
    hints: Collection[str] = (),
    leads: Collection[Sequence[int]] = (),
    schema: dict[str, Any] | None = None,
) -> MatcherGrammar:
    grammar = MatcherGrammar(source, vocabulary, hints=hints, leads=leads)
    if grammar.error:
        raise refusal(grammar.error, schema)
    return grammar
