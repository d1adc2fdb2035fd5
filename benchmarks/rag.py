"""Retrieval and answers: each figure beside its baseline, in one run.

    python -m benchmarks.rag [--part NAME] ... [--quick] [--data FOLDER] [--json FILE]

Each part lives in its own module, `benchmarks/rag_NAME.py`, and says there what it measures, on
what. `--quick` takes a small sample of each, fixed by the seed, and is for trying the command: its
figures are not to be quoted. The exit code is 1 when a target is missed.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.rag_bank import bank
from benchmarks.rag_canard import canard
from benchmarks.rag_dstc11 import dstc11
from benchmarks.rag_facts import facts
from benchmarks.rag_lanes import lanes
from benchmarks.rag_late_interaction import late_interaction
from benchmarks.rag_options import Options
from benchmarks.rag_scifact import scifact
from benchmarks.rag_turn_100k import turn_100k
from benchmarks.rag_verifier import verifier
from benchmarks.rag_xquad import xquad
from benchmarks.report import Figure, write
from benchmarks.vectors import DEFAULT_DATA

SEED = 9
PARTS: Mapping[str, Callable[[Options], list[Figure]]] = {
    "bank": bank,
    "canard": canard,
    "dstc11": dstc11,
    "facts": facts,
    "scifact": scifact,
    "verifier": verifier,
    "xquad": xquad,
    "late_interaction": late_interaction,
    "lanes": lanes,
    "turn_100k": turn_100k,
}


def main() -> None:
    """Measure the parts that are asked for, print their tables, write the JSON form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=[*PARTS], default=None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    options = Options(data=arguments.data, is_quick=arguments.quick, seed=SEED)
    figures: list[Figure] = []
    for name in arguments.part or PARTS:
        print(f"\n## {name}", flush=True)
        figures += PARTS[name](options)
    if arguments.json:
        write(arguments.json, figures, threads=2, seed=SEED)
    missed = [figure.name for figure in figures if figure.met is False]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
