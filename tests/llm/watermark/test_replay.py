"""Grammar replay: the grammar alone says which tokens could have been others."""

import itertools
import json
import math

import numpy as np
import pytest

from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import JsonSchema
from llm.decoding.phases import Mask, Survivors
from llm.decoding.vocabulary import tokens_of
from llm.errors import ConstraintConflictError, UndecidableTextError
from llm.watermark.contexts import Seeding
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.p_values import poisson_binomial_log_tail
from llm.watermark.replay import GrammarReplay, free_positions
from tests.llm.decoding.small_vocabulary import small_vocabulary
from tests.llm.watermark.texts import SECRET, choose

KEY = WatermarkKey(name="ours", secret=SECRET)
SCHEMA = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "names": {
                "type": "array",
                "items": {"type": "string", "minLength": 12, "maxLength": 60},
                "minItems": 4,
                "maxItems": 6,
            }
        },
        "required": ["names"],
        "additionalProperties": False,
    }
)


class Alternating:
    """Allows token 0 alone at even positions, and `width` tokens at odd ones."""

    def __init__(self, width: int = 64) -> None:
        self._width = width
        self._position = 0

    def fill(self, mask: Mask) -> None:
        mask[:] = 0
        for token in range(self._width if self._position % 2 else 1):
            mask[token >> 5] |= np.int32(np.uint32(1 << (token & 31)).view(np.int32))

    def advance(self, token: int) -> None:
        if token >= (self._width if self._position % 2 else 1):
            raise ConstraintConflictError("no such token here")
        self._position += 1


def test_positions_with_one_allowed_token_are_forced() -> None:
    assert isinstance(Alternating(), GrammarReplay)
    is_free = free_positions([0, 63, 0, 5], Alternating(), 100)
    assert is_free.tolist() == [False, True, False, True]


@pytest.mark.parametrize("tokens", [[1], [0, 64], [0, 99], [0, 1000], [0, 3, 0, 3, 3]])
def test_a_text_that_does_not_follow_the_grammar_is_undecidable(tokens: list[int]) -> None:
    with pytest.raises(UndecidableTextError, match="does not follow the grammar"):
        free_positions(tokens, Alternating(), 100)


def test_the_poisson_binomial_tail_is_that_of_enumerated_coins() -> None:
    chances = np.array([0.1, 0.5, 0.5, 0.9, 1.0])
    for least in range(7):
        share = 0.0
        for coins in itertools.product((0, 1), repeat=5):
            if sum(coins) >= least:
                share += math.prod(p if c else 1 - p for p, c in zip(chances, coins, strict=True))
        assert math.exp(poisson_binomial_log_tail(chances, least)) == pytest.approx(share)


@pytest.mark.parametrize("scheme", [Gumbel(seeding=Seeding(width=2)), GreenLists()])
def test_a_mark_under_a_grammar_is_found_better_by_replay(scheme: Gumbel | GreenLists) -> None:
    mark = scheme.start(SECRET, seed=5)
    rng = np.random.default_rng(0)
    tokens = []
    for position in range(160):
        num = 64 if position % 2 else 1
        probs = rng.dirichlet(np.full(num, 0.3))
        survivors = Survivors(token_ids=np.arange(num), log_probs=np.log(np.maximum(probs, 1e-9)))
        tokens.append(choose(mark, survivors, seed=5, position=position))
        mark.take(tokens[-1])
    assert set(tokens[::2]) == {0}
    text = Text(token_ids=tuple(tokens))
    detector = Detector(scheme, [KEY])
    found = detector.replay(text, Alternating, 100)
    assert found.log_p_value < detector.detect(text).log_p_value
    assert found.reference_log_p_value is not None
    assert found.reference_log_p_value <= found.log_p_value < math.log(1e-3)


def test_a_grammar_that_leaves_only_green_tokens_is_no_proof() -> None:
    """For a fixed key the law of random keys would be fooled; the reference is not."""
    scheme = GreenLists(seeding=Seeding(width=1))
    mark = scheme.start(SECRET, seed=0)
    tokens = [0]
    mark.take(0)
    allowed: list[set[int]] = [{0, 1}]
    for _ in range(60):
        values = mark.values(np.arange(1, 2000))
        assert values is not None
        green = [t for t in (np.flatnonzero(values) + 1).tolist() if t not in tokens][:2]
        allowed.append(set(green))
        tokens.append(green[0])
        mark.take(green[0])

    class OnlyGreen:
        def __init__(self) -> None:
            self.position = 0

        def fill(self, mask: Mask) -> None:
            mask[:] = 0
            for token in allowed[self.position]:
                mask[token >> 5] |= np.uint32(1 << (token & 31)).view(np.int32)

        def advance(self, token: int) -> None:
            assert token in allowed[self.position]
            self.position += 1

    detector = Detector(scheme, [KEY])
    text = Text(token_ids=tuple(tokens))
    assert detector.detect(text).p_value < 1e-9
    assert detector.replay(text, OnlyGreen, 2000).p_value == pytest.approx(1.0)


def test_the_grammars_of_the_decoder_can_be_replayed() -> None:
    vocabulary = small_vocabulary()
    grammar = compile_grammar(SCHEMA, vocabulary)
    scheme = Gumbel(seeding=Seeding(width=2))
    mark = scheme.start(SECRET, seed=9)
    state = grammar.start(forcing=False)
    mask = np.zeros(vocabulary.num_words, np.int32)
    rng = np.random.default_rng(1)
    tokens: list[int] = []
    while not state.is_finished and len(tokens) < 250:
        state.fill(mask)
        ids = np.array(tokens_of(mask), np.int64)
        probs = rng.dirichlet(np.full(len(ids), 0.5))
        survivors = Survivors(token_ids=ids, log_probs=np.log(np.maximum(probs, 1e-9)))
        token = choose(mark, survivors, seed=9, position=len(tokens))
        state.advance(token)
        mark.take(token)
        tokens.append(token)
    is_free = free_positions(tokens, grammar.start(forcing=False), len(vocabulary.token_bytes))
    assert is_free.any()
    assert not is_free.all()
    found = Detector(scheme, [KEY]).replay(
        Text(token_ids=tuple(tokens)),
        lambda: grammar.start(forcing=False),
        len(vocabulary.token_bytes),
    )
    assert found.p_value < 1e-3
    assert found.sub_key == 9
    assert json.dumps(found.is_scored)


def test_the_detector_takes_forced_positions_for_chance_without_the_grammar() -> None:
    with pytest.raises(UndecidableTextError, match="only"):
        Detector(Gumbel(), [KEY]).replay(Text(token_ids=(0, 3, 0, 5)), Alternating, 100)
