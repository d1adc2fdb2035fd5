"""What a prefix discriminator learns from: states of labelled texts, and of tokens not in them.

Each text is read twice: after a passage that the decoder wrote itself, as a continuation is, and
bare or as an answer in a chat. So what is learnt is about the text and not about what precedes it.
All prefixes count, with the label of the whole text. Letters: `n` prefixes, `c` hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from llm.chat import Message
from llm.training.frozen_decoder import FrozenDecoder, OnProgress, Pairs, Passage
from llm.training.labelled_texts import LabelledText, part_of

_MOST_TOKENS = 64
_HELD_OUT = 0.15
_OWN_PASSAGES = 128
_OWN_TOKENS = 32
_CHAT = (Message(role="user", content="Tell me something."),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixes:
    """Prefixes of texts, row by row: the last token, the states before and after it.

    `weights` are 2 t / (n (n + 1)) for prefix t of n, so that late ones count more and each text
    counts the same. `sequences` numbers the passages, `lengths` is t.
    """

    pairs: Pairs
    labels: Float32[np.ndarray, " n"]
    weights: Float32[np.ndarray, " n"]
    lengths: Int64[np.ndarray, " n"]
    sequences: Int64[np.ndarray, " n"]
    is_whole: Bool[np.ndarray, " n"]
    is_held_out: Bool[np.ndarray, " n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixData:
    """Labelled prefixes, the passages they come from, and pairs that no text holds."""

    passages: tuple[Passage, ...]
    observed: Prefixes
    explored: Pairs


def read_prefixes(
    decoder: FrozenDecoder,
    texts: Sequence[LabelledText],
    *,
    seed: int,
    explored: int,
    on_progress: OnProgress = lambda *_: None,
) -> PrefixData:
    """Read all texts, and try 32 other tokens in each of `explored` of their passages."""
    rng = np.random.default_rng(seed)
    start = min(decoder.tokenizer.eos_ids, default=0)  # stands between documents
    own = decoder.write([[start]] * _OWN_PASSAGES, num_tokens=_OWN_TOKENS, seed=seed)
    chat = tuple(decoder.template.encode(_CHAT))
    passages: list[Passage] = []
    labels: list[bool] = []
    held_out: list[bool] = []
    for i, one in enumerate(texts):
        words = own[int(rng.integers(len(own)))][: int(rng.integers(8, _OWN_TOKENS))]
        spelt = (one.text, f" {one.text}")
        bare, inside = (tuple(decoder.tokenizer.encode(text)[:_MOST_TOKENS]) for text in spelt)
        if bare and inside:
            passages.append(Passage(context=(start, *words), text=inside))
            passages.append(Passage(context=chat if i % 2 else (start,), text=bare))
            labels += [one.is_positive] * 2
            held_out += [part_of(one.text, "held out") < _HELD_OUT] * 2
    total = len(passages) + explored
    states = decoder.states(passages, lambda done, _: on_progress(done, total))
    learnt = np.flatnonzero(~np.array(held_out))
    chosen = [passages[i] for i in rng.permutation(learnt)[:explored].tolist()]
    tried = decoder.alternatives(
        chosen,
        rng,
        places=4,
        tokens=8,
        on_progress=lambda done, _: on_progress(len(passages) + done, total),
    )
    observed = _observed(passages, states, np.array(labels), np.array(held_out))
    return PrefixData(passages=tuple(passages), observed=observed, explored=tried)


def _observed(
    passages: Sequence[Passage],
    states: Sequence[Float32[np.ndarray, "_ c"]],
    labels: Bool[np.ndarray, " q"],
    held_out: Bool[np.ndarray, " q"],
) -> Prefixes:
    counts = np.array([len(passage.text) for passage in passages])
    lengths = np.concatenate([np.arange(1, n + 1) for n in counts.tolist()])
    wholes = np.repeat(counts, counts)
    return Prefixes(
        pairs=Pairs(
            before=np.concatenate([rows[:-1] for rows in states]),
            token_ids=np.concatenate([passage.text for passage in passages]).astype(np.int64),
            after=np.concatenate([rows[1:] for rows in states]),
        ),
        labels=np.repeat(labels, counts).astype(np.float32),
        weights=(2 * lengths / (wholes * (wholes + 1))).astype(np.float32),
        lengths=lengths.astype(np.int64),
        sequences=np.repeat(np.arange(len(passages)), counts),
        is_whole=lengths == wholes,
        is_held_out=np.repeat(held_out, counts),
    )
