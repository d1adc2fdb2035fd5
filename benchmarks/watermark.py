"""Watermarks: are p-values what they say, how often is a mark found, and what removes it.

Null: p-values of human text (WikiText-2, user turns of SGD) and of repetitive text over random
keys; the Kolmogorov-Smirnov test against uniform, and the shares at 1 % and 0.1 % with their Wilson
intervals. Power: the share of simulated replies that is found at 1 % false positives, by entropy
per token and length, beside what was predicted (`baseline`). Attacks: the same after edits. Cost:
microseconds of a mark for 300 candidates. Then the same on what the default model really says; see
`benchmarks/watermark_generations.py`.

    python -m benchmarks.watermark [--data FOLDER] [--quick] [--json FILE] [--seed N]
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import REPOSITORY, Figure, share, wilson, write
from benchmarks.watermark_attacks import attacks
from benchmarks.watermark_generations import (
    beginnings,
    json_figures,
    price_figures,
    real_power_figures,
)
from benchmarks.watermark_simulation import VOCABULARY, Simulation, step_probs
from llm.decoding.phases import Survivors
from llm.gguf import GGUFFile
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.tokenizer import tokenizer_from_gguf
from llm.watermark.contexts import Seeding
from llm.watermark.detector import Detector, Text
from llm.watermark.gumbel import Gumbel
from llm.watermark.keys import KeyRing, WatermarkKey, generate
from llm.watermark.kgw import GreenLists
from llm.watermark.power import PowerMeter
from llm.watermark.prf import sub_key
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID
from llm.watermark.unigram import Unigram

DEFAULT_DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
ALPHAS = (0.01, 0.001)
LEVEL = 1e-3  # of each Kolmogorov-Smirnov test
LENGTHS = (25, 50, 100, 200)
ENTROPIES = (0.5, 1.0, 2.0)
TOLERANCE = 0.05
TEXT_TOKENS = 200
ATTACKED_TOKENS = 200
_KEYS_AT_ONCE = 500

SCHEMES: dict[str, Scheme] = {
    "gumbel": Gumbel(),
    "gumbel, one sub-key": Gumbel(num_sub_keys=1),
    "SBW": GreenLists(),
    "SBW .25": GreenLists(gamma=0.25),
    "SBW left-hash": GreenLists(seeding=Seeding(width=1)),
    "SBW min-hash": GreenLists(seeding=Seeding(kind="min")),
    "SBW self-hash": GreenLists(seeding=Seeding(kind="self")),
    "SynthID mean": SynthID(statistic="mean"),
    "SynthID weighted": SynthID(),
    "unigram": Unigram(vocabulary_size=VOCABULARY),
}
SIMULATED = ("gumbel", "gumbel, one sub-key", "SBW", "SBW .25", "SynthID mean", "SynthID weighted")


def human_texts(
    folder: Path, encode: Callable[[str], list[int]], num: int
) -> dict[str, list[Int64[np.ndarray, " n"]]]:
    """Return token ids of so many texts of each kind."""
    wiki = (folder / "wikitext2" / "valid.txt").read_text(encoding="utf-8").split("\n")
    paragraphs = [line for line in wiki if len(line) > 1500]
    turns = [" ".join(lines) for lines in _user_turns(folder / "sgd" / "dev_600.jsonl", num)]
    loop = "I am sorry, I did not get that. Could you say it again, please? " * 30
    kinds = {"WikiText-2": paragraphs[:num], "SGD user turns": turns[:num], "repetitive": [loop]}
    return {
        kind: [np.array(encode(text)[:TEXT_TOKENS], np.int64) for text in texts]
        for kind, texts in kinds.items()
    }


def _user_turns(path: Path, num: int) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(num), file, strict=False):
            turns = json.loads(line)["turns"]
            yield [turn["utterance"] for turn in turns if turn["speaker"] == "USER"]


def null_p_values(
    scheme: Scheme, texts: Sequence[Int64[np.ndarray, " n"]], num_keys: int, seed: int
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


def null_figures(
    texts: dict[str, list[Int64[np.ndarray, " n"]]], num_keys: int, seed: int
) -> list[Figure]:
    """Return what p-values of unmarked text look like."""
    rows = []
    for name, scheme in SCHEMES.items():
        num = num_keys if name != "unigram" else num_keys // 10  # a list of the vocabulary a key
        for kind, given in texts.items():
            p = null_p_values(scheme, given, num, seed)
            test = stats.kstest(p, "uniform")
            rows.append(
                Figure(
                    name=f"null, {name}, {kind}: KS p",
                    value=float(test.pvalue),
                    unit=f"of {num} keys",
                    target=LEVEL,
                )
            )
            for alpha in ALPHAS:
                num_below = int((p <= alpha).sum())
                low, high = wilson(num_below, num, 3.0)
                rows.append(
                    Figure(
                        name=f"null, {name}, {kind}: at {alpha:g}",
                        value=num_below / num,
                        unit=f"share of {num}",
                        spread=(low, high),
                        baseline=alpha,
                    )
                )
    return rows


def power_figures(num: int, seed: int) -> list[Figure]:
    """Return how often simulated replies are found, beside the prediction."""
    rows = []
    for name in SIMULATED:
        for entropy in ENTROPIES:
            rows += _power_of(name, SCHEMES[name], entropy, num, seed)
    return rows


def _power_of(name: str, scheme: Scheme, entropy: float, num: int, seed: int) -> list[Figure]:
    simulation = Simulation(scheme, num, seed=seed)
    offers = step_probs(entropy, 64, simulation.rng)
    told = [scheme.expect(probs, seed=i) for i, probs in enumerate(offers)]
    meter = PowerMeter(scheme)
    rows = []
    unmarked = scheme.seeding.num_previous  # type: ignore[attr-defined]
    for position in range(LENGTHS[-1] + unmarked):
        simulation.step(np.broadcast_to(offers[position % 64], (num, offers.shape[1])))
        if position < unmarked:
            continue
        meter.add(told[position % 64])
        length = position + 1 - unmarked
        if length in LENGTHS:
            found = round(simulation.detected(ALPHAS[0]) * num)
            row = share(f"power, {name}, {entropy} nat, {length} tokens", found, num)
            predicted = meter.power(ALPHAS[0]).value
            rows.append(
                Figure(
                    name=row.name,
                    value=row.value,
                    unit=row.unit,
                    spread=row.spread,
                    baseline=predicted,
                )
            )
    return rows


def calibration(rows: Sequence[Figure], num: int) -> Figure:
    """Return the largest distance of a prediction from power, less the error of that share.

    Two standard errors of a share of `num` are taken off, as far as chance explains them.
    """
    away = [
        max(abs(row.value - row.baseline) - 2 * _error(row.baseline, num), 0.0)
        for row in rows
        if row.baseline is not None
    ]
    return Figure(
        name="power: largest error of a prediction, beyond two standard errors",
        value=max(away),
        unit="share",
        target=TOLERANCE,
        higher_is_better=False,
    )


def _error(chance: float, num: int) -> float:
    return math.sqrt(chance * (1 - chance) / num)


def attack_figures(human: Int64[np.ndarray, " n"], num: int, seed: int) -> list[Figure]:
    """Return how often a mark is found after an edit, at 1 % false positives per key."""
    rows = []
    for name in SIMULATED:
        scheme = SCHEMES[name]
        simulation = Simulation(scheme, num, seed=seed)
        for _ in range(ATTACKED_TOKENS):
            simulation.step(step_probs(1.0, num, simulation.rng))
        for attack in attacks(human.tolist()):
            rng = np.random.default_rng(seed)
            found = 0
            for number, tokens in enumerate(simulation.token_ids):
                key = WatermarkKey(name="ours", secret=simulation.secrets[number])
                detector = Detector(scheme, [key], least_scored=1)
                text = Text(token_ids=tuple(attack.edit(tokens.tolist(), rng)))
                look = detector.search if attack.name == "paste" else detector.detect
                found += look(text).p_value <= ALPHAS[0]
            rows.append(share(f"attack, {name}, {attack.name}", found, num))
    return rows


def cost_figures() -> list[Figure]:
    """Return what a mark costs a row of 300 survivors."""
    ids = np.random.default_rng(0).choice(VOCABULARY, 300, replace=False)
    survivors = Survivors(token_ids=ids, log_probs=np.log(np.full(300, 1 / 300)))
    rows = []
    for name, scheme in SCHEMES.items():
        mark = scheme.start(bytes(16), seed=0)
        for token in range(8):
            mark.take(token)
        spent = []
        for token in range(8, 508):
            begun = time.perf_counter()
            mark.reweight(survivors)
            mark.noise(ids)
            mark.take(token)
            spent.append(time.perf_counter() - begun)
        rows.append(
            Figure(
                name=f"cost, {name}",
                value=float(np.median(spent)) * 1e6,
                unit="microseconds, median",
                higher_is_better=False,
            )
        )
    return rows


def _shown(rows: list[Figure]) -> list[Figure]:
    for row in rows:
        beside = "" if row.baseline is None else f" (beside {row.baseline:.3g})"
        print(f"{row.name}: {row.value:.4g} {row.unit}{beside}", flush=True)
    return rows


def _generated(weights: Path, text: str, *, is_quick: bool) -> list[Figure]:
    ring = KeyRing((generate("benchmark"),))
    engine = build_engine(load_settings(), weights, ring)
    marker = engine.marker
    assert marker is not None
    prompts = beginnings(text, engine.model.tokenizer.encode, 16 if is_quick else 400)
    names = ("gumbel",) if is_quick else ("gumbel", "synthid", "sbw")
    rows = real_power_figures(engine, marker, prompts, names)
    rows += price_figures(engine, prompts[:200], names, rounds=2 if is_quick else 7)
    return rows + json_figures(engine, marker, 8 if is_quick else 200)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watermark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of both data sets")
    parser.add_argument("--quick", action="store_true", help="fewer keys and replies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)
    for name in ("wikitext2/valid.txt", "sgd/dev_600.jsonl"):
        if not (options.data / name).is_file():
            parser.error(f"there is no {name} below {options.data}")
    path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
    tokenizer = tokenizer_from_gguf(GGUFFile(path).metadata)
    texts = human_texts(options.data, tokenizer.encode, 20)

    rows: list[Figure] = []
    rows += _shown(null_figures(texts, 1000 if options.quick else 10_000, options.seed))
    num_replies = 40 if options.quick else 400
    power = _shown(power_figures(num_replies, options.seed))
    rows += [*power, *_shown([calibration(power, num_replies)])]
    foreign = np.concatenate(texts["WikiText-2"])[: 4 * ATTACKED_TOKENS]
    rows += _shown(attack_figures(foreign, 10 if options.quick else 200, options.seed))
    rows += _shown(cost_figures())
    text = (options.data / "wikitext2" / "valid.txt").read_text(encoding="utf-8")
    rows += _shown(_generated(path, text, is_quick=options.quick))
    if options.json is not None:
        write(options.json, rows, threads=1, seed=options.seed)
    missed = [row for row in rows if row.met is False]
    for row in missed:
        print(f"missed: {row.name}: {row.value:.4g}, wanted {row.target:g}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
