"""Constrained decoding: which schemas are taken, whether rightly, and what a mask costs.

Coverage: for each file of MaskBench and of the JSON-Schema-Test-Suite, schemas accepted and
refused, and given instances judged wrongly. Soundness: outputs of a model of random logits, and of
one that prefers what breaks JSON, judged by `jsonschema`. Cost: microseconds of a mask along the
valid instances, and milliseconds of compiling, with the chat model's tokenizer.

    python -m benchmarks.grammar [--data FOLDER] [--quick] [--json FILE] [--seed N]
"""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from api.settings import load_settings
from benchmarks.report import REPOSITORY, Figure, share, write
from benchmarks.schema_cases import Case, compact, read_cases
from llm.decoding.budget import BudgetedState, completer
from llm.decoding.grammar import Grammar, GrammarState
from llm.decoding.grammar_compiler import compile_grammar
from llm.decoding.grammar_spec import JsonSchema
from llm.decoding.vocabulary import Vocabulary, tokens_of
from llm.errors import ConstraintError, UnsupportedSchemaError
from llm.gguf import GGUFFile
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.tokenizer import tokenizer_from_gguf

DEFAULT_DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
QUICK = 17  # every so many-th case
SPARE = (0, 40)  # tokens above the fewest
TARGET_MASK_MICROSECONDS = 100.0
# 11,306 schemas, per the README of MaskBench: share passing, valid refused, invalid accepted
PUBLISHED = {
    "llguidance 0.7.10": (8_909, 20, 0),
    "xgrammar 0.1.17": (8_122, 1_408, 1_368),
    "llama-cpp 0.3.8": (6_505, 2_850, 649),
    "outlines-core 0.2.3": (7_050, 1_415, 822),
}
NUM_PUBLISHED = 11_306


@dataclass(slots=True)
class Tally:
    """What came of the cases of one file."""

    num_schemas: int = 0
    num_accepted: int = 0
    num_valid: int = 0
    num_invalid: int = 0
    valid_refused: list[str] = field(default_factory=list)
    invalid_accepted: list[str] = field(default_factory=list)
    num_outputs: int = 0
    outputs_wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Costs:
    """Seconds of each mask, of each compilation, and of finding a short output."""

    masks: list[float] = field(default_factory=list)
    compilations: list[float] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)


class Bench:
    """Runs the cases on one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, *, seed: int) -> None:
        self.vocabulary = vocabulary
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.refusals: Counter[str] = Counter()
        self.costs = Costs()
        self._rng = np.random.default_rng(seed)
        self._mask = np.empty(vocabulary.num_words, np.int32)
        harms = [
            sum(byte in b'"\\{}[]:,-+.eE' or byte > 127 for byte in data)
            for data in vocabulary.token_bytes
        ]
        self._harm = np.array(harms, float)
        self._harm[list(vocabulary.eos_ids)] = -1.0

    def run(self, case: Case) -> None:
        """Compile, judge the instances, generate."""
        tally = self.tallies[case.file]
        tally.num_schemas += 1
        begun = time.perf_counter()
        try:
            grammar = compile_grammar(JsonSchema.of(case.schema), self.vocabulary)
        except ConstraintError as error:
            if isinstance(error, UnsupportedSchemaError):
                self.refusals[error.keyword] += 1
            else:
                self.refusals[type(error).__name__] += 1
            return
        self.costs.compilations.append(time.perf_counter() - begun)
        tally.num_accepted += 1
        for instance in case.instances:
            text = compact(instance.value, case.schema)
            taken = self._takes(grammar.start(forcing=False), text)
            if instance.valid:
                tally.num_valid += 1
            else:
                tally.num_invalid += 1
            if taken != instance.valid:
                wrong = tally.invalid_accepted if taken else tally.valid_refused
                wrong.append(f"{case.name}: {text[:120]}")
        if not re.search(r"\\\\p\{", json.dumps(case.schema)):  # which Python's `re` cannot read
            self._generate(case, grammar, tally)

    def _takes(self, state: GrammarState, text: str) -> bool:
        for token in self.vocabulary.encode_plain(text):
            begun = time.perf_counter()
            state.fill(self._mask)
            self.costs.masks.append(time.perf_counter() - begun)
            if not self._mask[token >> 5] >> (token & 31) & 1:
                return False
            state.advance(token)
        return state.is_accepting

    def _generate(self, case: Case, grammar: Grammar, tally: Tally) -> None:
        begun = time.perf_counter()
        try:
            fewest = completer(grammar, 64).fewest()
        except ConstraintError:
            tally.outputs_wrong.append(f"{case.name}: no short output was found")
            return
        self.costs.searches.append(time.perf_counter() - begun)
        for spare in SPARE:
            for adversarial in (False, True):
                text = self._output(grammar, fewest + spare, adversarial=adversarial)
                tally.num_outputs += 1
                try:
                    sound = case.is_valid(json.loads(text))
                except ValueError:
                    sound = False
                if not sound:
                    tally.outputs_wrong.append(f"{case.name}: {text[:120]!r}")

    def _output(self, grammar: Grammar, max_tokens: int, *, adversarial: bool) -> bytes:
        state = BudgetedState(grammar, self.vocabulary, max_tokens)
        written = b""
        while state.tokens_left:
            state.fill(self._mask)
            tokens = tokens_of(self._mask)
            score = self._rng.random(len(tokens))
            if adversarial:
                score += self._harm[tokens]
            token = tokens[int(score.argmax())]
            if state.try_advance(token):
                if state.is_finished:
                    break
                written += self.vocabulary.token_bytes[token]
        return written


def table(tallies: dict[str, Tally]) -> str:
    """Return a Markdown table by file, with the published figures of others below."""
    lines = [
        "| file | schemas | accepted | valid refused | invalid accepted | outputs wrong |",
        "|---|---|---|---|---|---|",
    ]
    for file, tally in tallies.items():
        cells = [
            file,
            str(tally.num_schemas),
            f"{tally.num_accepted} ({100 * tally.num_accepted / tally.num_schemas:.0f} %)",
            f"{len(tally.valid_refused)} of {tally.num_valid}",
            f"{len(tally.invalid_accepted)} of {tally.num_invalid}",
            f"{len(tally.outputs_wrong)} of {tally.num_outputs}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Published for all {NUM_PUBLISHED} schemas of MaskBench (of which these are a part):",
        "",
        "| engine | schemas passing | with valid refused | with invalid accepted |",
        "|---|---|---|---|",
    ]
    for engine, (passing, refused, accepted) in PUBLISHED.items():
        percent = 100 * passing / NUM_PUBLISHED
        lines.append(f"| {engine} | {passing} ({percent:.0f} %) | {refused} | {accepted} |")
    return "\n".join(lines)


def figures(bench: Bench) -> list[Figure]:
    """Return coverage by file, what was judged wrongly, and the costs."""
    rows = []
    for file, tally in bench.tallies.items():
        rows.append(share(f"schemas accepted, {file}", tally.num_accepted, tally.num_schemas))
        for name, wrong, target in (
            ("valid instances refused", tally.valid_refused, None),
            ("invalid instances accepted", tally.invalid_accepted, 0.0),
            ("outputs wrong", tally.outputs_wrong, 0.0),
        ):
            rows.append(
                Figure(
                    name=f"{name}, {file}",
                    value=float(len(wrong)),
                    unit="count",
                    target=target,
                    higher_is_better=False,
                )
            )
    costs = bench.costs
    for name, seconds, scale, unit, target in (
        ("mask", costs.masks, 1e6, "µs", TARGET_MASK_MICROSECONDS),
        ("compiling", costs.compilations, 1e3, "ms", None),
        ("finding a short output", costs.searches, 1e3, "ms", None),
    ):
        rows += [
            Figure(
                name=f"{name}, p{percent}",
                value=scale * float(np.percentile(seconds, percent)),
                unit=unit,
                target=target if percent <= 95 else None,
                higher_is_better=False,
            )
            for percent in ((50, 95, 99) if seconds else ())
        ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grammar",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of both data sets")
    parser.add_argument("--quick", action="store_true", help=f"every {QUICK}th case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)

    cases = read_cases(options.data)
    if not cases:
        parser.error(f"there are no cases below {options.data}")
    path = ModelStore(load_settings().home).path(DEFAULT_CHAT_MODEL)
    vocabulary = Vocabulary(tokenizer_from_gguf(GGUFFile(path).metadata))
    bench = Bench(vocabulary, seed=options.seed)
    for number, case in enumerate(cases[:: QUICK if options.quick else 1], start=1):
        bench.run(case)
        if number % 50 == 0:
            print(f"\r{number} cases", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(bench.tallies), "\n")
    print(
        "refused for:", ", ".join(f"{name} {n}" for name, n in bench.refusals.most_common()), "\n"
    )
    for tally in bench.tallies.values():
        for name, wrong in (
            ("valid refused", tally.valid_refused),
            ("invalid accepted", tally.invalid_accepted),
            ("output wrong", tally.outputs_wrong),
        ):
            for line in wrong:
                print(f"{name}: {line}")
    rows = figures(bench)
    print("\n".join(f"{row.name}: {row.value:.4g} {row.unit}" for row in rows if ", p" in row.name))
    if options.json is not None:
        write(options.json, rows, threads=1, seed=options.seed)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
