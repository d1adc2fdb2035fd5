"""Watermarks: are p-values true, how often is a mark found, what removes it, what does it cost.

Parts, each in a module of its own: `null` (random keys on unmarked texts), `simulation` (power on
made-up distributions beside the prediction and the design's table), `edits` (of tokens, of the
same), `distortion` (an enumerable model), `model` (replies of the default model: power beside its
prediction), `chat` (its answers, by prediction), `attacks` (edits, synonyms, tokenising again, a
paraphrase of its replies), `step` (its time), `price` (perplexity, diversity), `forms` (JSON by
both detectors; slots, citations and JSON with the mark on and off). They take hours of a slow
machine: `--add` puts one after the other into one file, and `--keep` keeps the model's replies, so
that an interrupted run goes on where it was.

    python -m benchmarks.watermark [--data FOLDER] [--part NAME]… [--only ROW]… [--scheme NAME]…
                                   [--replies N]
                                   [--keep FOLDER [--kept-only]]
                                   [--tokens N] [--rounds N] [--quick] [--json FILE] [--seed N]
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.our_engine import OurEngine
from benchmarks.report import REPOSITORY, Figure, read, write
from benchmarks.watermark_forms import identity_figures, json_figures
from benchmarks.watermark_generations import (
    ROWS,
    TEMPERATURE,
    Drawing,
    Reply,
    beginnings,
    chat_figures,
    real_power_figures,
    replies,
)
from benchmarks.watermark_kept import KeptReplies
from benchmarks.watermark_null import human_texts, null_figures, user_turns
from benchmarks.watermark_power import power_figures
from benchmarks.watermark_price import distortion_figures, quality_figures
from benchmarks.watermark_robustness import real_attack_figures, simulated_attack_figures
from benchmarks.watermark_step import LENGTH, step_figures
from llm.engine import Engine
from llm.gguf import GGUFFile
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.tokenizer import tokenizer_from_gguf
from llm.watermark.bayesian import bayesian_synthid
from llm.watermark.keys import KeyRing, WatermarkKey
from llm.watermark.marker import Marker
from llm.watermark.scheme import Scheme
from llm.watermark.synthid import SynthID

DEFAULT_DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
SCHEMES = ("gumbel", "synthid", "sbw")
_ATTACKED = 48
_PRICED = 200
_PRICED_TOKENS = 40
_KEY = WatermarkKey(name="benchmark", secret=bytes(range(16)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    keys: int = 10_000
    simulated: int = 400
    replies: int = 400
    tokens: int = 200
    rounds: int = 15
    enumerated: int = 40_000

    def quick(self) -> "Sizes":
        """Return what shows that everything runs."""
        return Sizes(keys=500, simulated=40, replies=8, tokens=50, rounds=2, enumerated=2000)


@dataclass(kw_only=True)
class Bench:
    """What the parts have in common; the model is loaded when a part wants it."""

    data: Path
    seed: int
    sizes: Sizes
    schemes: Sequence[str] = SCHEMES
    only: Sequence[str] = ()
    keep: Path | None = None
    draws: bool = True
    said: dict[str, list[Reply]] = field(default_factory=dict)

    def is_asked(self, name: str) -> bool:
        """Whether a row of nulls or of simulated power is to be measured."""
        return not self.only or name in self.only

    @cached_property
    def engine(self) -> Engine:
        """The default model with a key of the benchmark, so that runs can be repeated."""
        path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
        return build_engine(load_settings(), path, KeyRing((_KEY,)))

    @property
    def marker(self) -> Marker:
        """What marks the replies of the model."""
        marker = self.engine.marker
        assert marker is not None
        return marker

    @cached_property
    def texts(self) -> dict[str, list[np.ndarray]]:
        """Human texts as tokens of the default model."""
        path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
        encode = tokenizer_from_gguf(GGUFFile(path).metadata).encode
        return human_texts(self.data, encode, 20)

    @property
    def foreign(self) -> list[int]:
        """Tokens of a text that nobody marked."""
        joined: list[int] = np.concatenate(self.texts["WikiText-2"])[:800].tolist()
        return joined

    def prompts(self, num: int) -> list[list[int]]:
        """Return beginnings of lines of WikiText-2."""
        text = (self.data / "wikitext2" / "valid.txt").read_text(encoding="utf-8")
        return beginnings(text, self.engine.model.tokenizer.encode, num)

    def replies_of(self, name: str, num: int) -> list[Reply]:
        """Return marked replies, those that there are already where they are enough.

        With a folder to keep them in they are written to it as they come; where none are to be
        drawn, those that are kept are all, however few.
        """
        known = self.said.setdefault(name, [])
        drawing = Drawing(num_tokens=self.sizes.tokens, temperatures=(TEMPERATURE,))
        kept = None if self.keep is None else self._kept(self.keep, name)
        if kept is not None:
            known[:] = kept.replies
        while self.draws and len(known) < num:
            first = len(known)
            prompts = self.prompts(self.sizes.replies)[first : min(first + ROWS, num)]
            drawn = replies(self.engine, prompts, name, drawing, first=first)
            known.extend(drawn)
            if kept is not None:
                kept.add(drawn)
        return known[:num]

    def _kept(self, folder: Path, name: str) -> KeptReplies:
        drawn = {
            "scheme": name,
            "model": DEFAULT_CHAT_MODEL,
            "num_prompts": self.sizes.replies,
            "num_tokens": self.sizes.tokens,
            "temperature": TEMPERATURE,
            "key": self.marker.ring.current.id,
        }
        return KeptReplies(folder / f"{name}.jsonl", drawn)

    def turns(self, num: int) -> list[str]:
        """Return first turns of users."""
        return [turns[0] for turns in user_turns(self.data, num)]


def _null(bench: Bench) -> Iterator[Figure]:
    yield from null_figures(
        bench.texts, bench.seed, num_keys=bench.sizes.keys, is_asked=bench.is_asked
    )


def _simulation(bench: Bench) -> Iterator[Figure]:
    yield from power_figures(bench.sizes.simulated, bench.seed, is_asked=bench.is_asked)


def _edits(bench: Bench) -> Iterator[Figure]:
    attacked = max(bench.sizes.simulated // 4, 10)
    yield from simulated_attack_figures(bench.foreign, attacked, bench.seed)


def _distortion(bench: Bench) -> Iterator[Figure]:
    yield from distortion_figures(bench.sizes.enumerated, bench.seed)


def _model(bench: Bench) -> Iterator[Figure]:
    said = {name: bench.replies_of(name, bench.sizes.replies) for name in bench.schemes}
    others: dict[str, Scheme] = {
        "synthid, mean": SynthID(statistic="mean"),
        "synthid, Bayesian": bayesian_synthid(),
    }
    yield from real_power_figures(bench.marker, said, others)


def _chat(bench: Bench) -> Iterator[Figure]:
    turns = bench.turns(bench.sizes.replies)
    yield from chat_figures(bench.engine, bench.marker, turns, num_tokens=80)


def _attacks(bench: Bench) -> Iterator[Figure]:
    num = min(_ATTACKED, bench.sizes.replies)
    said = {name: bench.replies_of(name, num) for name in bench.schemes}
    yield from real_attack_figures(bench.engine, bench.marker, said, bench.foreign, bench.seed)


def _price(bench: Bench) -> Iterator[Figure]:
    prompts = bench.prompts(min(_PRICED, bench.sizes.replies))
    num_tokens = min(bench.sizes.tokens, _PRICED_TOKENS)
    yield from quality_figures(
        bench.engine, prompts, bench.schemes, bench.seed, num_tokens=num_tokens
    )


def _step(bench: Bench) -> Iterator[Figure]:
    texts = [text.tolist() for text in bench.texts["WikiText-2"] if len(text) >= LENGTH]
    # an engine of its own: its cache is written without being asked
    path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
    read = OurEngine(build_engine(load_settings(), path)).logits
    yield from step_figures(
        bench.engine, bench.marker, read, texts, bench.schemes, rounds=bench.sizes.rounds
    )


def _forms(bench: Bench) -> Iterator[Figure]:
    yield from json_figures(bench.engine, bench.marker, min(bench.sizes.replies, 200), bench.seed)
    passages = [" ".join(turns)[:300] for turns in user_turns(bench.data, 4)]
    yield from identity_figures(bench.engine, bench.turns(min(bench.sizes.replies, 32)), passages)


PARTS: Mapping[str, Callable[[Bench], Iterator[Figure]]] = {
    "null": _null,
    "simulation": _simulation,
    "edits": _edits,
    "distortion": _distortion,
    "forms": _forms,
    "step": _step,
    "price": _price,
    "chat": _chat,
    "model": _model,
    "attacks": _attacks,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watermark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of both data sets")
    parser.add_argument(
        "--part", action="append", choices=list(PARTS), help="only this; may be repeated"
    )
    parser.add_argument(
        "--scheme", action="append", help=f"of the model's replies; default: {' '.join(SCHEMES)}"
    )
    parser.add_argument(
        "--only", action="append", default=[], help="a row of null or simulation; may be repeated"
    )
    parser.add_argument(
        "--add", action="store_true", help="keep the figures of the JSON file, of the same commit"
    )
    parser.add_argument("--replies", type=int, default=None, help="of each scheme; default 400")
    parser.add_argument(
        "--keep", type=Path, default=None, metavar="FOLDER", help="of the model's replies"
    )
    parser.add_argument(
        "--kept-only", action="store_true", help="draw no more replies than there are in it"
    )
    parser.add_argument("--tokens", type=int, default=None, help="of each reply; default 200")
    parser.add_argument("--rounds", type=int, default=None, help="of timed draws; default 15")
    parser.add_argument("--quick", action="store_true", help="fewer keys and replies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)
    for name in ("wikitext2/valid.txt", "sgd/dev_600.jsonl"):
        if not (options.data / name).is_file():
            parser.error(f"there is no {name} below {options.data}")
    if options.kept_only and options.keep is None:
        parser.error("--kept-only needs --keep FOLDER")
    bench = Bench(
        data=options.data,
        seed=options.seed,
        sizes=_sizes(options),
        schemes=tuple(options.scheme or SCHEMES),
        only=tuple(options.only),
        keep=options.keep,
        draws=not options.kept_only,
    )
    rows: list[Figure] = []
    if options.add and options.json is not None and options.json.is_file():
        rows = read(options.json, seed=options.seed)
    for part in options.part or PARTS:
        for row in PARTS[part](bench):
            rows.append(row)
            beside = "" if row.baseline is None else f" (beside {row.baseline:.3g})"
            print(f"{row.name}: {row.value:.4g} {row.unit}{beside}", flush=True)
        if options.json is not None:  # after each part, so that a long run is not lost
            write(options.json, rows, threads=1, seed=options.seed)
    missed = [row for row in rows if row.met is False]
    for row in missed:
        print(f"missed: {row.name}: {row.value:.4g}, wanted {row.target:g}")
    return 1 if missed else 0


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = Sizes().quick() if options.quick else Sizes()
    given = {name: getattr(options, name) for name in ("replies", "tokens", "rounds")}
    return replace(sizes, **{name: value for name, value in given.items() if value is not None})


if __name__ == "__main__":
    sys.exit(main())
