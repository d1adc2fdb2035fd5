"""Controlled decoding on real weights: what it costs, what drafts save, how far steering moves.

    python -m benchmarks.decoding [--quick] [--json FILE] [--data FILE] [--text FILE]

`--data` holds passages with questions in SQuAD's form, `--labelled` labelled sentences, `--text`
the text whose lines are continued. With `--part` one of the three parts is measured alone.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks import steering
from benchmarks.control_costs import (
    control_costs,
    draft_speeds,
    engine_of,
    flips,
    load_quoted,
)
from benchmarks.report import Figure, write
from benchmarks.sentiment_judge import train_judge
from llm.embedding import load_text_encoder
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.thread_count import set_threads

DATA = Path(os.environ.get("CAUSERIE_DATA", "../shared/data"))
DEFAULT_DATA = DATA / "xquad" / "xquad.en.first24.json"
PARTS = ("costs", "drafts", "steering")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def print_table(figures: Sequence[Figure]) -> None:
    """Print one line a figure."""
    print(f"\n{'figure':66} {'value':>9}  {'spread':>15}  {'target':>8}")
    for figure in figures:
        spread = "" if figure.spread is None else f"{figure.spread[0]:.3f}-{figure.spread[1]:.3f}"
        sign = ">=" if figure.higher_is_better else "<="
        target = "" if figure.target is None else f"{sign} {figure.target:g}"
        mark = {True: "reached", False: "MISSED", None: ""}[figure.met]
        print(
            f"{figure.name:66} {figure.value:9.3f}  {spread:>15}  {target:>8}  {mark}"
            f"  {figure.unit}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="passages with questions")
    parser.add_argument("--labelled", type=Path, default=steering.DEFAULT_DATA)
    parser.add_argument("--text", type=Path, default=steering.DEFAULT_TEXT)
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given again")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, answers and starts")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)

    parts = options.part or PARTS
    threads = set_threads(options.threads)
    store = ModelStore(load_settings().home)
    weights = store.path(DEFAULT_CHAT_MODEL)
    engine = engine_of(weights, threads=threads)
    print(f"{engine.model.name}: {engine.model.compute.reason}")
    figures: list[Figure] = []
    if "costs" in parts:
        figures += control_costs(engine, rounds=2 if options.quick else 9, on_progress=_progress)
    if "drafts" in parts:
        questions = load_quoted(options.data, 5 if options.quick else 40)
        figures += draft_speeds(engine, questions, on_progress=_progress)
        figures.append(flips(engine, questions[:10], new_tokens=48))
        if not options.quick:
            exact = load_settings(threads=threads, precision="float32", determinism="fast")
            figures.append(flips(build_engine(exact, weights), questions[:10], new_tokens=24))
    _progress("")
    if figures:
        print_table(figures)
    if "steering" in parts:
        encoder = load_text_encoder(
            store.path(DEFAULT_EMBEDDING_MODEL), name=DEFAULT_EMBEDDING_MODEL
        )
        _, rows = steering.run(
            engine,
            train_judge(options.labelled, encoder),
            options.text.read_text(encoding="utf-8"),
            num=steering.NUM_QUICK_PROMPTS if options.quick else steering.NUM_PROMPTS,
            is_quick=options.quick,
            seed=options.seed,
        )
        figures += [replace(row, name=f"steering: {row.name}") for row in rows]
    if options.json is not None:
        write(options.json, figures, threads=threads, seed=options.seed)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
