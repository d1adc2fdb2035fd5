"""Texts with a mark, written by nobody: characters drawn as a model would, one token each."""

from collections.abc import Callable, Sequence

import numpy as np

from api.settings import SchemeName
from api.watermark_schemes import scheme_named
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import GrammarSpec
from llm.decoding.phases import Survivors
from llm.decoding.vocabulary import Vocabulary, tokens_of
from llm.tokenizer import TextTokenizer
from llm.watermark.keys import KeyRing, WatermarkKey
from tests.llm.tiny_model import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
SIZE = TOKENIZER.vocab_size
OLD = WatermarkKey(name="old", secret=bytes(range(16)))
NEW = WatermarkKey(name="new", secret=bytes(range(100, 116)))
RING = KeyRing((OLD, NEW))
LETTERS = [TOKENIZER.encode(letter)[0] for letter in "abcdefghijklmnopqrstuvwxyz "]


def marked(
    num_tokens: int,
    *,
    key: WatermarkKey = NEW,
    scheme: SchemeName = "gumbel",
    seed: int = 5,
    allowed: Sequence[int] = LETTERS,
    tokenizer: TextTokenizer = TOKENIZER,
    size: int = SIZE,
) -> str:
    """Return a text of equally probable tokens."""
    tokens = _drawn(key, scheme, seed, size, lambda _: allowed, num_tokens)
    return tokenizer.decode(tokens)


def plain(num_tokens: int, *, seed: int = 5) -> str:
    rng = np.random.default_rng(seed)
    return TOKENIZER.decode(rng.choice(LETTERS, num_tokens).tolist())


def marked_json(schema: GrammarSpec, *, key: WatermarkKey = NEW, seed: int = 5) -> str:
    """Return JSON of a schema or text of a grammar, drawn evenly where it leaves a choice."""
    vocabulary = Vocabulary(TOKENIZER, size=SIZE)
    state = compile_grammar(schema, vocabulary).start()
    ends = TOKENIZER.eos_ids

    def allowed(taken: Sequence[int]) -> Sequence[int]:
        if taken:
            state.advance(taken[-1])
        mask = np.zeros(vocabulary.num_words, np.int32)
        state.fill(mask)
        return [token for token in tokens_of(mask) if token not in ends]

    return TOKENIZER.decode(_drawn(key, "gumbel", seed, SIZE, allowed, 5000))


def _drawn(
    key: WatermarkKey,
    scheme: SchemeName,
    seed: int,
    size: int,
    allowed: Callable[[Sequence[int]], Sequence[int]],
    most: int,
) -> list[int]:
    mark = scheme_named(scheme, size).start(key.secret, seed=seed)
    rng = np.random.default_rng(seed)
    taken: list[int] = []
    while len(taken) < most and len(ids := np.array(allowed(taken), np.int64)):
        log_probs = np.full(len(ids), -np.log(len(ids)))
        left = mark.reweight(Survivors(token_ids=ids, log_probs=log_probs))
        noise = mark.noise(left.token_ids)
        noise = rng.gumbel(size=len(left.token_ids)) if noise is None else noise
        taken.append(int(left.token_ids[np.argmax(left.log_probs + noise)]))
        mark.take(taken[-1])
    return taken
