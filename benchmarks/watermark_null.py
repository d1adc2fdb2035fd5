"""Are p-values what they say: texts without the mark under random keys.

Texts are human ones (WikiText-2, user turns of SGD) and one that repeats itself. For each scheme
the evidence of a single sub-key is compared with its law; for what users call (sub-keys corrected,
conversations, weights, parts of a text) the p-value of the whole detector. Coarse p-values are
randomised between the tail and the one above it, as a Kolmogorov-Smirnov test needs. A search is
corrected by a bound, so its p-values may be larger than uniform ones, never smaller.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from benchmarks.report import Figure, wilson
from benchmarks.watermark_schemes import ALPHAS, SMALL_VOCABULARY, null_schemes
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import WatermarkKey
from llm.watermark.kgw import GreenLists
from llm.watermark.prf import sub_key
from llm.watermark.scheme import Scheme

LEVEL = 1e-3  # of each Kolmogorov-Smirnov test
NUM_KEYS = 10_000
TEXT_TOKENS = 200
_KEYS_AT_ONCE = 500
_BOUND_Z = 3.0
_OFF_LEVEL = 1e-4
_SLOW = ("SynthID Bayesian", "KGW of 1,000 tokens")  # a fifth of the keys: no form, long lists
_SEARCHED_TOKENS = 400

Tokens = Int64[np.ndarray, " n"]


def human_texts(
    folder: Path, encode: Callable[[str], list[int]], num: int
) -> dict[str, list[Tokens]]:
    """Return token ids of so many texts of each kind."""
    wiki = (folder / "wikitext2" / "valid.txt").read_text(encoding="utf-8").split("\n")
    paragraphs = [line for line in wiki if len(line) > 1500]
    turns = [" ".join(lines) for lines in user_turns(folder, num)]
    loop = "I am sorry, I did not get that. Could you say it again, please? " * 30
    kinds = {"WikiText-2": paragraphs[:num], "SGD user turns": turns[:num], "repetitive": [loop]}
    return {
        kind: [np.array(encode(text)[:TEXT_TOKENS], np.int64) for text in texts]
        for kind, texts in kinds.items()
    }


def user_turns(folder: Path, num: int) -> Iterator[list[str]]:
    """Return what the users of so many dialogues of SGD say."""
    with (folder / "sgd" / "dev_600.jsonl").open(encoding="utf-8") as file:
        for _, line in zip(range(num), file, strict=False):
            turns = json.loads(line)["turns"]
            yield [turn["utterance"] for turn in turns if turn["speaker"] == "USER"]


def null_p_values(
    scheme: Scheme, texts: Sequence[Tokens], num_keys: int, seed: int
) -> Float64[np.ndarray, " k"]:
    """Return a p-value for each key, of one text or another; coarse ones are randomised."""
    rng = np.random.default_rng(seed)
    law = scheme.law
    p_values: list[float] = []
    known: dict[tuple[float, int], tuple[float, float]] = {}
    for start in range(0, num_keys, _KEYS_AT_ONCE):
        num = min(_KEYS_AT_ONCE, num_keys - start)
        keys = np.stack([sub_key(rng.bytes(16), scheme.label, 0) for _ in range(num)])
        scores = scheme.score(texts[start // _KEYS_AT_ONCE % len(texts)], keys)
        for total, count in zip(scores.totals().tolist(), scores.counts().tolist(), strict=True):
            if (total, count) not in known:
                tail = math.exp(law.log_tail(total, count))
                above = math.exp(law.log_tail(total + law.step, count)) if law.step else tail
                known[total, count] = (tail, above)
            tail, above = known[total, count]
            p_values.append(above + rng.random() * (tail - above))
    return np.array(p_values)


def detector_p_values(
    look: Callable[[WatermarkKey, int], float], num_keys: int, seed: int
) -> Float64[np.ndarray, " k"]:
    """Return the p-values that a call of a detector tells, for random keys."""
    rng = np.random.default_rng(seed)
    keys = [WatermarkKey(name="random", secret=rng.bytes(16)) for _ in range(num_keys)]
    return np.array([look(key, number) for number, key in enumerate(keys)])


def null_figures(
    texts: Mapping[str, Sequence[Tokens]],
    seed: int,
    *,
    num_keys: int = NUM_KEYS,
    is_asked: Callable[[str], bool] = lambda _: True,
) -> Iterator[Figure]:
    """Return what p-values of unmarked text look like."""
    for name, kind, p, is_exact in _all_p_values(texts, num_keys, seed, is_asked):
        outside = 0
        if is_exact:
            yield Figure(
                name=f"null, {name}, {kind}: KS p",
                value=float(stats.kstest(p, "uniform").pvalue),
                unit=f"of {len(p)} keys",
                target=LEVEL,
            )
        for alpha in ALPHAS:
            num_below = int((p <= alpha).sum())
            low, high = wilson(num_below, len(p), _BOUND_Z)
            outside += is_off(num_below, len(p), alpha, is_exact=is_exact)
            yield Figure(
                name=f"null, {name}, {kind}: at {alpha:g}",
                value=num_below / len(p),
                unit=f"share of {len(p)}",
                spread=(low, high),
                baseline=alpha,
            )
        yield Figure(
            name=f"null, {name}, {kind}: levels off by more than 1 of 10,000 chances",
            value=float(outside),
            unit="levels",
            target=0.0,
            higher_is_better=False,
        )


def is_off(num_below: int, num: int, alpha: float, *, is_exact: bool) -> bool:
    """Tell whether a share differs from its level by more than chance; of a bound, exceeds it."""
    side = "two-sided" if is_exact else "greater"
    return bool(stats.binomtest(num_below, num, alpha, alternative=side).pvalue < _OFF_LEVEL)


def _all_p_values(
    texts: Mapping[str, Sequence[Tokens]],
    num_keys: int,
    seed: int,
    is_asked: Callable[[str], bool],
) -> Iterator[tuple[str, str, Float64[np.ndarray, " k"], bool]]:
    for name, scheme in null_schemes().items():
        if not is_asked(name):
            continue
        num = num_keys // 5 if name in _SLOW else num_keys
        for kind, given in texts.items():
            small = isinstance(scheme, GreenLists) and scheme.vocabulary_size == SMALL_VOCABULARY
            asked = [text % SMALL_VOCABULARY for text in given] if small else given
            yield name, kind, null_p_values(scheme, asked, num, seed), True
    for name, kind, look, num, is_exact in _calls(texts, num_keys):
        if is_asked(name):
            yield name, kind, detector_p_values(look, num, seed + 1), is_exact


def _calls(
    texts: Mapping[str, Sequence[Tokens]], num_keys: int
) -> Iterator[tuple[str, str, Callable[[WatermarkKey, int], float], int, bool]]:
    scheme = Gumbel()

    def one(given: Sequence[Text]) -> Callable[[WatermarkKey, int], float]:
        return lambda key, i: Detector(scheme, [key]).detect(given[i % len(given)]).p_value

    for kind, given in texts.items():
        whole = [Text(token_ids=tuple(text.tolist())) for text in given]
        num = num_keys if kind == "WikiText-2" else num_keys // 5
        yield "16 sub-keys corrected", kind, one(whole), num, True
    rare = [_weighted(text) for text in texts["WikiText-2"]]
    yield "weights by token", "WikiText-2", one(rare), num_keys // 20, True
    replies = [
        Text(token_ids=tuple(text[i : i + 25].tolist()))
        for text in texts["SGD user turns"]
        for i in range(0, max(len(text) - 24, 1), 25)
    ][:6]
    yield (
        "conversation of six",
        "SGD user turns",
        lambda key, _: Detector(scheme, [key]).detect_conversation(replies).p_value,
        num_keys // 20,
        True,
    )
    many = np.concatenate(texts["WikiText-2"])[:_SEARCHED_TOKENS]
    long = Text(token_ids=tuple(many.tolist()))
    yield (
        "search in parts",
        "WikiText-2",
        lambda key, _: Detector(scheme, [key]).search(long).p_value,
        num_keys // 20,
        False,
    )


def _weighted(tokens: Tokens) -> Text:
    """Weigh tokens by how rare their id is, which no key knows."""
    weights = np.array([0.2, 0.5, 1.0, 2.0])[np.digitize(tokens, [500, 3000, 10_000])]
    return Text(token_ids=tuple(tokens.tolist()), weights=tuple(weights.tolist()))
