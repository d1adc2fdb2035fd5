"""How far heads move what is written, and at what price: share of positive texts, perplexity.

    python -m benchmarks.steering [--quick] [--data FOLDER] [--text FILE] [--json FILE]

The decoder goes on from starts of WikiText-2 paragraphs that a judge calls neither positive nor
negative (.4 to .6); the judge then reads what was written, without the start. It is a logistic
classifier on vectors of all-MiniLM-L6-v2, trained on labelled sentences that no head has seen; its
accuracy on others still is printed. Perplexity is of the same texts under the decoder itself, as it
is without steering, temperature or truncation. All settings share their random numbers. Intervals
are Wilson's, at 95 %, and that of FUDGE above RAD is of the differences when the starts are drawn
again. The exit code is 1 when a target is missed.
"""

import argparse
import itertools
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import REPOSITORY, Figure, share, wilson, write
from benchmarks.sentiment_judge import Judge, train_judge
from benchmarks.trade_off import Point, advantage, frontier, perplexity_at, share_at
from llm.chat import Completion
from llm.decoding.spec import DecodeSpec, Experts, Speculation, Steer
from llm.embedding import load_text_encoder
from llm.engine import Engine
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.request import Part, Request
from llm.sampling_params import SamplingParams
from llm.thread_count import set_threads

TARGET_SHARE = 0.85
DEARER = 1.15
NUM_PROMPTS, NUM_QUICK_PROMPTS = 200, 40
NUM_TOKENS = 30
TOP_P = 0.9
NEUTRAL = (0.4, 0.6)
# Half an octave apart where the two meet: a straight line between far settings wrongs either.
FUDGE_WEIGHTS = (1.0, 2.0, 4.0, 5.6, 8.0, 11.3, 16.0, 32.0)
REWARD_WEIGHTS = (5.0, 7.1, 10.0, 14.1, 20.0, 28.3, 40.0, 80.0)
EXPERT_WEIGHTS = (0.5, 1.0, 2.0, 4.0)
EXPERTS = ("positive_expert", "negative_expert")
UNSTEERED, FUDGE, REWARD, GUIDED = "unsteered", "FUDGE", "RAD", "experts"
_DATA_SETS = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
DEFAULT_DATA = _DATA_SETS / "sentiment_labelled_sentences"
DEFAULT_TEXT = _DATA_SETS / "wikitext2" / "valid.txt"
_START_WORDS, _LEAST_WORDS = 12, 20
_DRAWS_SEED = 0
_NO_DRAFTS = Speculation(drafter="off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way of steering and how strongly."""

    method: str
    weight: float
    spec: DecodeSpec


def settings_of(heads: Sequence[str], weights: Mapping[str, Sequence[float]]) -> list[Setting]:
    """Return the unsteered setting and all weights of each method whose heads are there."""
    found = [Setting(method=UNSTEERED, weight=0, spec=DecodeSpec(speculation=_NO_DRAFTS))]
    for weight in weights.get(FUDGE, ()):
        steer = Steer(scorer="positive", weight=weight)
        spec = DecodeSpec(steer=(steer,), speculation=_NO_DRAFTS)
        found.append(Setting(method=FUDGE, weight=weight, spec=spec))
    for weight in weights.get(REWARD, ()):
        steer = Steer(scorer="reward:positive", weight=weight, method="reward")
        spec = DecodeSpec(steer=(steer,), speculation=_NO_DRAFTS)
        found.append(Setting(method=REWARD, weight=weight, spec=spec))
    if set(EXPERTS) <= set(heads):
        for weight in weights.get(GUIDED, ()):
            experts = Experts(expert=EXPERTS[0], anti_expert=EXPERTS[1], weight=weight)
            spec = DecodeSpec(experts=experts, speculation=_NO_DRAFTS)
            found.append(Setting(method=GUIDED, weight=weight, spec=spec))
    return found


def starts_of(text: str) -> list[str]:
    """Return the first words of the paragraphs, spelt as ordinary text, without unknown words."""
    found = []
    for line in text.split("\n"):
        words = _plain(line.strip()).split()
        begun = words[:_START_WORDS]
        if len(words) >= _LEAST_WORDS and "<unk>" not in begun and not line.strip().startswith("="):
            found.append(" ".join(begun))
    return list(dict.fromkeys(found))


def _plain(line: str) -> str:
    joined = re.sub(r" @([-,.])@ ", r"\1", line)
    return re.sub(r" ([,.;:!?')\]])", r"\1", joined)


def neutral_starts(text: str, judge: Judge, num: int) -> list[str]:
    """Return at most `num` starts that the judge cannot place.

    Raises:
        ValueError: there is none.
    """
    starts = starts_of(text)
    if not starts:
        raise ValueError(f"the text holds no paragraph of {_LEAST_WORDS} words or more")
    said = judge.positive(starts)
    low, high = NEUTRAL
    kept = [start for start, p in zip(starts, said, strict=True) if low <= p <= high]
    if not kept:
        raise ValueError("the judge finds no start of a paragraph neutral")
    return kept[:num]


def measure(
    engine: Engine,
    judge: Judge,
    starts: Sequence[str],
    settings: Sequence[Setting],
    *,
    seed: int,
    on_point: Callable[[Point], None] = lambda _: None,
) -> list[Point]:
    """Let the engine go on from all starts in all settings."""
    points = []
    for setting in settings:
        completions, token_ids = _continued(engine, starts, setting.spec, seed)
        texts = [completion.text for completion in completions]
        surprises = [
            float(np.mean([-one.log_prob for one in done.log_probs])) for done in completions
        ]
        prices = [completion.steer_kl or 0.0 for completion in completions]
        points.append(
            Point(
                method=setting.method,
                weight=setting.weight,
                is_positive=tuple((judge.positive(texts) > 0.5).tolist()),
                surprises=tuple(surprises),
                kl=float(np.mean(prices)),
                distinct=distinct_pairs(token_ids),
                example=texts[0],
            )
        )
        on_point(points[-1])
    return points


def distinct_pairs(texts: Sequence[Sequence[int]]) -> float:
    """Return how many different pairs of neighbours there are, over how many pairs."""
    pairs = [pair for text in texts for pair in itertools.pairwise(text)]
    return len(set(pairs)) / len(pairs) if pairs else math.nan


def _continued(
    engine: Engine, starts: Sequence[str], spec: DecodeSpec, seed: int
) -> tuple[list[Completion], list[list[int]]]:
    tokenizer = engine.model.tokenizer
    special = tuple(sorted(tokenizer.special_ids))
    begin = min(tokenizer.eos_ids)  # stands between documents
    ends: dict[int, Part | Exception] = {}
    token_ids: list[list[int]] = []
    size = engine.limits.max_running
    for first in range(0, len(starts), size):
        requests: list[Request] = []
        for i, start in enumerate(starts[first : first + size], start=first):
            params = SamplingParams(
                temperature=1.0,
                top_p=TOP_P,
                seed=seed + i,
                max_tokens=NUM_TOKENS,
                banned_token_ids=special,
                logprobs=True,
            )
            prompt = [begin, *tokenizer.encode(start)]
            heard: Callable[[Part | Exception], None] = _listener(ends, i)
            requests.append(engine.add_request(prompt, params, heard, spec=spec))
        while engine.has_work:
            engine.step()
        token_ids += [request.sequence.token_ids[-NUM_TOKENS:] for request in requests]
    return [_completed(ends[i]) for i in range(len(starts))], token_ids


def _listener(ends: dict[int, Part | Exception], number: int) -> Callable[[Part | Exception], None]:
    def hear(part: Part | Exception) -> None:
        ends[number] = part

    return hear


def _completed(end: Part | Exception) -> Completion:
    if isinstance(end, Exception):
        raise end
    assert isinstance(end, Completion)
    return end


def figures(points: Sequence[Point], judge: Judge) -> list[Figure]:
    """Return all points, and what the targets are about."""
    base = next(point for point in points if point.method == UNSTEERED)
    rows = [share("accuracy of the judge, held-out sentences", judge.num_right, judge.num_held_out)]
    for point in points:
        name = point.method if point is base else f"{point.method}, weight {point.weight:g}"
        rows.append(share(f"positive texts, {name}", point.num_positive, point.num))
        rows.append(_plain_figure(f"perplexity, {name}", point.perplexity, "perplexity"))
        rows.append(_plain_figure(f"KL from the unsteered, {name}", point.kl, "nats a token"))
    for method in (FUDGE, REWARD, GUIDED):
        own = [point for point in points if point.method == method]
        if own:
            best = max(point.share for point in own)
            line = frontier(points, (method, UNSTEERED))
            target = TARGET_SHARE if method == FUDGE else None
            rows += [
                Figure(name=f"largest share, {method}", value=best, unit="share", target=target),
                Figure(
                    name=f"share at +{100 * (DEARER - 1):.0f} % perplexity, {method}",
                    value=share_at(line, DEARER * base.perplexity),
                    unit="share",
                ),
                _plain_figure(
                    f"perplexity at a share of {TARGET_SHARE}, {method}",
                    perplexity_at(line, TARGET_SHARE),
                    "perplexity",
                ),
            ]
    return rows + _advantage(points)


def _advantage(points: Sequence[Point]) -> list[Figure]:
    """Return how far FUDGE is above RAD, at the perplexities between which both have settings.

    The target is not to be behind by more than half the interval.
    """
    if not {FUDGE, REWARD} <= {point.method for point in points}:
        return []
    found = advantage(points, FUDGE, REWARD, UNSTEERED, seed=_DRAWS_SEED)
    low, high = found.interval
    name = "FUDGE above RAD at equal perplexity"
    return [
        Figure(
            name=f"{name}, mean",
            value=found.mean,
            unit="share",
            spread=found.interval,
            target=-(high - low) / 2,
        ),
        Figure(name=f"{name}, least", value=found.least, unit="share"),
        Figure(name=f"{name}, largest", value=found.largest, unit="share"),
    ]


def _plain_figure(name: str, value: float, unit: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, higher_is_better=False)


def line_of(point: Point) -> str:
    """Return a row of the table."""
    low, high = wilson(point.num_positive, point.num)
    cells = [
        point.method,
        f"{point.weight:g}",
        f"{point.share:.3f} ({low:.2f}-{high:.2f})",
        f"{point.perplexity:.2f}",
        f"{point.kl:.3f}",
        f"{point.distinct:.2f}",
        point.example.replace("\n", " ").replace("|", "/")[:90],
    ]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| method | weight | positive | perplexity | KL a token | distinct pairs | the first text |\n"
    "|---|---|---|---|---|---|---|"
)


def run(
    engine: Engine, judge: Judge, text: str, *, num: int, is_quick: bool, seed: int
) -> tuple[list[Point], list[Figure]]:
    """Measure everything and print the table."""
    starts = neutral_starts(text, judge, num)
    right, all_ = judge.num_right, judge.num_held_out
    print(f"the judge is right on {right} of {all_} held-out sentences ({right / all_:.1%})")
    print(f"{len(starts)} starts, {NUM_TOKENS} tokens each, top_p {TOP_P}\n\n{HEADER}")
    every = 2 if is_quick else 1
    weights = {FUDGE: FUDGE_WEIGHTS, REWARD: REWARD_WEIGHTS, GUIDED: EXPERT_WEIGHTS}
    settings = settings_of(
        [card.name for card in engine.controls.heads.cards if card.kind == "adapter"],
        {method: values[every - 1 :: every] for method, values in weights.items()},
    )
    points = measure(
        engine, judge, starts, settings, seed=seed, on_point=lambda p: print(line_of(p), flush=True)
    )
    rows = figures(points, judge)
    print()
    for row in rows:
        if not row.name.startswith(("positive", "perplexity,", "KL")):
            mark = {True: " (reached)", False: " (MISSED)", None: ""}[row.met]
            print(f"{row.name}: {row.value:.3f} {row.unit}{mark}")
    return points, rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.steering",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="labelled sentences")
    parser.add_argument("--text", type=Path, default=DEFAULT_TEXT, help="where texts begin")
    parser.add_argument("--quick", action="store_true", help=f"{NUM_QUICK_PROMPTS} starts")
    parser.add_argument("--prompts", type=int, default=None, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)

    threads = set_threads(options.threads)
    store = ModelStore(load_settings().home)
    encoder = load_text_encoder(store.path(DEFAULT_EMBEDDING_MODEL), name=DEFAULT_EMBEDDING_MODEL)
    judge = train_judge(options.data, encoder)
    engine = build_engine(load_settings(threads=threads), store.path(DEFAULT_CHAT_MODEL))
    _, rows = run(
        engine,
        judge,
        options.text.read_text(encoding="utf-8"),
        num=options.prompts or (NUM_QUICK_PROMPTS if options.quick else NUM_PROMPTS),
        is_quick=options.quick,
        seed=options.seed,
    )
    if options.json is not None:
        write(options.json, rows, threads=threads, seed=options.seed)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
