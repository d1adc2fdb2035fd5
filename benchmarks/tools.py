"""Tools and the tool agent: calls that parse, attacks that fail, steps that cost little.

    python -m benchmarks.tools [--data FOLDER] [--num N | --all] [--part NAME …] [--json FILE]

`--data` is the leaderboard's folder. `calls` puts its questions to the default model in three ways,
`injections` attacks the agent, `costs` times its loop. 1 is returned when a target is missed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks import agent_costs, function_calls, injections
from benchmarks.decoding import print_table
from benchmarks.report import Figure, write
from llm.async_engine import AsyncEngine
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore

DEFAULT_DATA = Path(os.environ.get("CAUSERIE_DATA", "../shared/data")) / "bfcl_v4"
PARTS = ("calls", "injections", "costs")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:  # a log: a line a step
        print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write the JSON form where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tools",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="the leaderboard's folder")
    parser.add_argument("--num", type=int, default=60, metavar="N", help="questions a category")
    parser.add_argument("--all", action="store_true", help="all questions")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given again")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)

    settings = load_settings(threads=options.threads)
    core = build_engine(settings, ModelStore(settings.home).path(DEFAULT_CHAT_MODEL))
    core.controls.warm_up()
    engine = AsyncEngine(core)
    parts = options.part or PARTS
    figures: list[Figure] = []
    try:
        if "costs" in parts:
            figures += agent_costs.overhead()
            figures += agent_costs.kept_cache(engine, on_progress=_progress)
        if "injections" in parts:
            num = None if options.all else options.num
            figures += injections.measure(engine, on_progress=_progress, num=num)
        if "calls" in parts:
            answers = function_calls.measure(
                engine,
                options.data,
                num=None if options.all else options.num,
                on_progress=_progress,
            )
            figures += function_calls.figures_of(answers)
    finally:
        engine.close()
    _progress("")
    print_table(figures)
    if options.json is not None:
        write(options.json, figures, threads=options.threads or os.cpu_count() or 1, seed=0)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
