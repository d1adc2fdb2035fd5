"""What is left of a mark after edits: replies of the default model, each read again as text.

A detector is given text, so every edit is decoded and tokenised again, also "none" (the text as it
is). A paraphrase is by the same model without a mark; it is so small that much of what it writes
was not in the text, so the share of four-token runs that are kept stands beside. Shares are at 1 %
false positives, sub-keys and parts corrected.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.report import Figure, share
from benchmarks.watermark_attacks import Attack, attacks, retokenise, swap_words
from benchmarks.watermark_generations import ALPHA, Drawing, Reply, replies
from benchmarks.watermark_schemes import simulated_schemes
from benchmarks.watermark_simulation import Simulation
from llm.chat import Message
from llm.engine import Engine
from llm.errors import UndecidableTextError
from llm.watermark.detector import Detector, Text
from llm.watermark.keys import WatermarkKey
from llm.watermark.marker import Marker
from llm.watermark.scheme import Scheme
from llm.watermark.step_probs import step_probs

ATTACKED_TOKENS = 200
PARAPHRASED = 24
_MOST_EXACT = 24  # replies under exact lists, which cost a word for each token of the vocabulary
_ORDER = "Rewrite this text in your own words, sentence by sentence, and keep its meaning:\n\n"


def simulated_attack_figures(
    human: Sequence[int], num: int, seed: int, schemes: Mapping[str, Scheme] | None = None
) -> Iterator[Figure]:
    """Return how often a simulated mark of 1 nat a token is found after edits of tokens."""
    for name, scheme in (simulated_schemes() if schemes is None else schemes).items():
        simulation = Simulation(scheme, num, seed=seed)
        for _ in range(ATTACKED_TOKENS):
            simulation.step(step_probs(1.0, num, simulation.rng))
        keys = [WatermarkKey(name="ours", secret=secret) for secret in simulation.secrets]
        texts = [tokens.tolist() for tokens in simulation.token_ids]
        for attack in attacks(human):
            yield _after(attack, f"attack, {name}", scheme, keys, texts, seed)


def _after(
    attack: Attack,
    what: str,
    scheme: Scheme,
    keys: Sequence[WatermarkKey],
    texts: Sequence[list[int]],
    seed: int,
) -> Figure:
    rng = np.random.default_rng(seed)
    found = 0
    for key, tokens in zip(keys, texts, strict=True):
        found += is_found(scheme, key, attack.edit(tokens, rng), parts="paste" in attack.name)
    return share(f"{what}, {attack.name}", found, len(texts))


def is_found(scheme: Scheme, key: WatermarkKey, tokens: Sequence[int], *, parts: bool) -> bool:
    """Tell whether a mark is found in the text, or in a part of it."""
    detector = Detector(scheme, [key], least_scored=1)
    look = detector.search if parts else detector.detect
    try:
        return look(Text(token_ids=tuple(tokens))).p_value <= ALPHA
    except UndecidableTextError:
        return False


def real_attack_figures(
    engine: Engine,
    marker: Marker,
    said: Mapping[str, Sequence[Reply]],
    human: Sequence[int],
    seed: int,
) -> Iterator[Figure]:
    """Return how often replies are found after each attack, by scheme."""
    for name, given in said.items():
        scheme, keys = marker.schemes[name], [marker.ring.current] * len(given)
        num = _MOST_EXACT if name.startswith("kgw") else len(given)
        texts = [list(reply.token_ids) for reply in given][:num]
        for attack in text_attacks(engine, human):
            yield _after(attack, f"attack on replies, {name}", scheme, keys[:num], texts, seed)
        told = _paraphrased(engine, texts[:PARAPHRASED])
        found = sum(is_found(scheme, keys[0], tokens, parts=False) for tokens in told)
        yield share(f"attack on replies, {name}, paraphrase", found, len(told))
        kept = [kept_runs(a, b) for a, b in zip(texts, told, strict=False)]
        yield Figure(
            name=f"attack on replies, {name}, runs of four tokens that a paraphrase keeps",
            value=statistics.fmean(kept),
            unit="share of those of the text",
        )


def text_attacks(engine: Engine, human: Sequence[int]) -> list[Attack]:
    """Return all attacks whose result is read again as a text."""
    tokenizer = engine.model.tokenizer

    def reread(tokens: list[int]) -> list[int]:
        return retokenise(tokens, tokenizer.decode, tokenizer.encode)

    found = [Attack(name=one.name, edit=_then(one.edit, reread)) for one in attacks(human)]
    found += [
        Attack(name=f"synonyms {rate:.0%}", edit=_swapped(tokenizer.decode, tokenizer.encode, rate))
        for rate in (0.5, 1.0)
    ]
    return found


def _then(
    edit: Callable[[list[int], np.random.Generator], list[int]],
    reread: Callable[[list[int]], list[int]],
) -> Callable[[list[int], np.random.Generator], list[int]]:
    return lambda tokens, rng: reread(edit(tokens, rng))


def _swapped(
    decode: Callable[[list[int]], str], encode: Callable[[str], Sequence[int]], rate: float
) -> Callable[[list[int], np.random.Generator], list[int]]:
    return lambda tokens, rng: list(encode(swap_words(decode(tokens), rate, rng)))


def _paraphrased(engine: Engine, texts: Sequence[list[int]]) -> list[list[int]]:
    tokenizer = engine.model.tokenizer
    prompts = [
        engine.encode([Message(role="user", content=_ORDER + tokenizer.decode(tokens))])
        for tokens in texts
    ]
    drawing = Drawing(num_tokens=ATTACKED_TOKENS, temperatures=(0.7,), may_end=True)
    said = replies(engine, prompts, "off", drawing)
    return [list(tokenizer.encode(reply.text)) for reply in said]


def kept_runs(before: Sequence[int], after: Sequence[int], length: int = 4) -> float:
    """Return the share of the runs of `length` tokens of a text that another one has too."""
    runs = [
        {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}
        for tokens in (before, after)
    ]
    return len(runs[0] & runs[1]) / len(runs[0]) if runs[0] else 0.0
