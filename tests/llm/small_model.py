"""A model of two layers and 64 tokens that the kernels can run, with heads of random weights.

Its tokens are characters and a few pieces of two or three, so a text can be cut in several ways.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llm.chat_template import FALLBACK_TEMPLATE, ChatTemplate
from llm.checkpoint import Decoder
from llm.decoding.ngram_model import NGramModel
from llm.head_adapter import HeadAdapter
from llm.head_store import probe_of
from llm.runner_choice import ChosenRunner, ComputeOptions, choose_runner
from llm.tokenizer import TextTokenizer
from llm.unembedding import Unembedding
from tests.llm.paged import packable_config, random_model

NUM_BLOCKS = 64
VOCABULARY = 64
HIDDEN = 64
CONTEXT = 64

_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 .,:-é"
_PIECES = (
    "th",
    "the",
    "in",
    "an",
    "on",
    " a",
    "er",
    "re",
    "ab",
    "ing",
    "ou",
    "st",
    "ee",
    "..",
    "or",
    "es",
    "ed",
    "al",
)
_SPECIALS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def small_tokenizer() -> TextTokenizer:
    """Return a tokenizer of 64 tokens; a few characters of ASCII are missing."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = sorted(
        {c for text in _CHARACTERS for c in byte_level.pre_tokenize_str(text)[0][0]}
    )
    merges: list[tuple[str, str]] = []
    for piece in _PIECES:
        spelt = byte_level.pre_tokenize_str(piece)[0][0]
        for cut in range(1, len(spelt)):
            if spelt[: cut + 1] not in vocabulary:
                merges.append((spelt[:cut], spelt[cut]))
                vocabulary.append(spelt[: cut + 1])
    tokenizer = Tokenizer(
        models.BPE(vocab={piece: i for i, piece in enumerate(vocabulary)}, merges=merges)
    )
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIALS])
    return TextTokenizer(tokenizer, eos_tokens=["<|im_end|>"])


@cache
def small_decoder() -> Decoder:
    tokenizer = small_tokenizer()
    assert tokenizer.vocab_size == VOCABULARY
    config = packable_config(vocab_size=VOCABULARY, hidden_size=HIDDEN)
    return Decoder(
        model=random_model(config, 3),
        tokenizer=tokenizer,
        template=ChatTemplate(FALLBACK_TEMPLATE, tokenizer),
    )


def small_runner() -> ChosenRunner:
    """Return a runner with a cache of its own, whose rows do not depend on their batch."""
    options = ComputeOptions(threads=1, cache_tokens=16 * NUM_BLOCKS, determinism="strict")
    return choose_runner(small_decoder().model, options, context_size=CONTEXT)


# --- heads -------------------------------------------------------------------------------------


def _random(*shape: int, number: int, scale: float) -> np.ndarray:
    rng = np.random.default_rng(number)
    return (rng.normal(size=shape) * scale).astype(np.float32)


BILINEAR = {
    "query": _random(5, HIDDEN, number=1, scale=0.2),
    "query_bias": _random(5, number=2, scale=0.5),
    "key": _random(5, HIDDEN, number=3, scale=2.0),
    "token": _random(HIDDEN, number=4, scale=2.0),
    "prefix": _random(HIDDEN, number=5, scale=0.2),
    "bias": np.array([0.25], np.float32),
}
GRU = {
    "projection": _random(7, HIDDEN, number=11, scale=2.0),
    "into": _random(18, 7, number=12, scale=0.7),
    "into_bias": _random(18, number=13, scale=0.3),
    "recurrent": _random(18, 6, number=14, scale=0.7),
    "recurrent_bias": _random(18, number=15, scale=0.3),
    "start": _random(6, number=16, scale=0.5),
    "output": _random(6, number=17, scale=2.0),
    "bias": np.array([-0.5], np.float32),
}
BRAVE = HeadAdapter(
    down=_random(3, HIDDEN, number=21, scale=0.2), up=_random(HIDDEN, 3, number=22, scale=0.4)
)
TIMID = HeadAdapter(
    down=_random(2, HIDDEN, number=23, scale=0.2), up=_random(HIDDEN, 2, number=24, scale=0.4)
)
_TEXTS = np.random.default_rng(31).integers(0, 44, (20, 30)).tolist()
NGRAMS = NGramModel.fit(_TEXTS, order=3, vocab_size=VOCABULARY)


def write_heads(folder: Path, unembedding: Unembedding) -> None:
    """Write all heads as files, as training would."""
    adapters = {"brave": BRAVE, "timid": TIMID}
    cards: list[tuple[str, str, dict[str, int], dict[str, np.ndarray]]] = [
        ("bright", "bilinear", {"bright": 1, "dull": -1}, BILINEAR),
        ("kind", "gru", {"kind": 1}, GRU),
        ("bigrams", "ngram", {}, NGRAMS.tensors()),
        *((name, "adapter", {}, adapter.tensors()) for name, adapter in adapters.items()),
    ]
    for name, kind, scorers, tensors in cards:
        probed = {**tensors, "probe": probe_of(unembedding)}
        save_file(probed, folder / f"{name}.safetensors")
        card = {
            "kind": kind,
            "scorers": scorers,
            "hidden_size": unembedding.hidden_size,
            "vocab_size": unembedding.size,
        }
        (folder / f"{name}.json").write_text(json.dumps(card))
