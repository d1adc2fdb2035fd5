"""Task-oriented dialogue: trackers on public corpora, calibration, what a turn costs.

    python -m benchmarks.dialog [--data PATH] [--quick | --full] [--part PART]... [--add]
                                [--dialogues N] [--json FILE]

Parts: `rules` (the recogniser on WOZ 2.0 and CamRest by part), `calibration` (SGD dev whole, each
half calibrated on the other), `task` (MultiWOZ 2.1 val whole: states, inform, success, book),
`constrained-sgd` and `constrained-multiwoz` (100 dialogues each whose ids are committed in
`dialog_ids.json`; `--dialogues N` takes the first N, `--full` the whole corpora; the recogniser on
the same dialogues stands beside), `cost` (tokens computed per turn by turn number), `turn` (the
milliseconds of a turn tracked by rules). Spreads are 95 % intervals, of joint goal accuracy by
bootstrap over dialogues. The file is written after each part; `--add` keeps the figures that it
holds of the same commit, so that parts can be run one after the other.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.dialog_costs import cost, turn_ms
from benchmarks.dialog_tracking import SEED, Corpora, calibration, constrained, rules, task
from benchmarks.report import REPOSITORY, Figure, read, write
from llm.async_engine import AsyncEngine
from llm.engine import Engine
from llm.model_store import ModelStore

PARTS = ("rules", "calibration", "task", "constrained-sgd", "constrained-multiwoz", "cost", "turn")
DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")


class Bench:
    """What the parts have in common; the model is loaded when a part wants it."""

    def __init__(self, corpora: Corpora, num: int | None, *, is_quick: bool) -> None:
        self._corpora = corpora
        self._num = num
        self._is_quick = is_quick
        self._open: AsyncEngine | None = None
        self.parts: dict[str, Callable[[], list[Figure]]] = {
            "rules": lambda: rules(corpora),
            "calibration": lambda: calibration(corpora),
            "task": lambda: task(corpora),
            "constrained-sgd": lambda: constrained(
                corpora, "sgd", self._scorer, self._count, self._num
            ),
            "constrained-multiwoz": lambda: constrained(
                corpora, "multiwoz", self._scorer, self._count, self._num
            ),
            "cost": lambda: cost(self._scorer, 10 if is_quick else 40),
            "turn": lambda: turn_ms(3 if is_quick else 10),
        }

    @cached_property
    def _engine(self) -> Engine:
        settings = load_settings()
        return build_engine(settings, ModelStore(settings.home).path(settings.chat_model))

    @property
    def _scorer(self) -> AsyncEngine:
        if self._open is None:
            self._open = AsyncEngine(self._engine)
        return self._open

    def _count(self, text: str) -> int:
        return len(self._engine.model.tokenizer.encode(text))

    def close(self) -> None:
        """End the model's thread."""
        if self._open is not None:
            self._open.close()


def main() -> int:
    """Measure the parts asked for, all by default; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be repeated")
    parser.add_argument("--dialogues", type=int, default=100, help="for the constrained tracker")
    parser.add_argument("--quick", action="store_true", help="20 dialogues of each corpus")
    parser.add_argument("--full", action="store_true", help="the constrained tracker on all")
    parser.add_argument(
        "--add", action="store_true", help="keep the figures of the JSON file, of the same commit"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    num = None if args.full else min(args.dialogues, 2) if args.quick else args.dialogues
    bench = Bench(Corpora(args.data, 20 if args.quick else None), num, is_quick=args.quick)
    figures: list[Figure] = []
    if args.add and args.json is not None and args.json.is_file():
        figures = read(args.json, seed=SEED)
    print("| what | value | 95 % or range | wanted |\n|---|---|---|---|")
    try:
        for part in args.part or PARTS:
            measured = bench.parts[part]()
            figures += measured
            print("\n".join(map(_row, measured)), flush=True)
            if args.json is not None:  # after each part, so that a long run is not lost
                threads = load_settings().threads or os.cpu_count() or 1
                write(args.json, figures, threads=threads, seed=SEED)
    finally:
        bench.close()
    missed = [figure.name for figure in figures if figure.met is False]
    for name in missed:
        print(f"missed: {name}", file=sys.stderr)
    return 1 if missed else 0


def _row(figure: Figure) -> str:
    spread = "" if figure.spread is None else f"{figure.spread[0]:.3f} to {figure.spread[1]:.3f}"
    sign = ">=" if figure.higher_is_better else "<="
    wanted = "" if figure.target is None else f"{sign} {figure.target:g}"
    return f"| {figure.name} | {figure.value:.3f} {figure.unit} | {spread} | {wanted} |"


if __name__ == "__main__":
    sys.exit(main())
