"""How fast the engine reads and writes, beside llama.cpp where asked.

Prefill: tokens of a prompt read a second. Decode at batch n: tokens written a second by n requests
together, counted from when all have begun, greedily, nothing shared between them. Text encoder:
passages of about 200 tokens embedded a second. Each figure is the median of several rounds, its
spread the slowest and the fastest.

    python -m benchmarks.engine [--quick] [--json FILE] [--threads N] [--rounds N]
                                [--peer llama.cpp]

With `--peer` the same prompts go, in the same rounds, to llama.cpp, which is built from source on
first use and runs in processes of its own, in several quantisations, with and without flash
attention, on as many threads as ours. Ratios are of medians; perplexities stand beside them.
"""

import argparse
import contextlib
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from api.settings import load_settings
from benchmarks import comparison, llama_cpp, perplexity
from benchmarks.llama_cpp_build import PeerError, find_or_build, peers_folder
from benchmarks.our_engine import OurEngine
from benchmarks.report import Figure, write
from benchmarks.rounds import Contender, Race, Task, race
from llm.embedding import load_text_encoder
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.thread_count import set_threads
from llm.tokenizer import TextTokenizer
from rag.embedder import Embedder
from rag.python_reference import language_topics

PREFILL_TOKENS = 512
PROMPT_TOKENS = 64
NEW_TOKENS = 48
DECODE_TARGETS = {1: 1.0, 8: 1.8, 16: 2.2}
PREFILL_TARGET = 1.7
SEED = 7
_BEGINNING = 8  # tokens, fewer than a block of the cache holds
_TRIES = 100
_WINDOWS = 16
_QUICK_WINDOWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured, and how each number format reads WikiText-2 (empty without a peer)."""

    races: Sequence[Race]
    encoder: Figure
    scores: Sequence[perplexity.Score]

    def figures(self) -> list[Figure]:
        """Return everything for the report."""
        speeds = comparison.figures(self.races, self.scores)
        return [*speeds, self.encoder, *perplexity.figures(self.scores)]


class Prompts:
    """Pieces of real text as token ids; no two begin alike, so that no cache can help."""

    def __init__(self, tokenizer: TextTokenizer, text: str) -> None:
        self._token_ids = tokenizer.encode(text)
        self._rng = random.Random(SEED)
        self._drawn: dict[tuple[str, int], list[list[int]]] = {}
        self._beginnings: set[tuple[int, ...]] = set()

    def of_round(self, name: str, number: int, count: int, length: int) -> list[list[int]]:
        """Return the `count` prompts of a task's round: the same for all who ask.

        Raises:
            ValueError: the text has no more pieces that begin in a new way.
        """
        if (name, number) not in self._drawn:
            self._drawn[name, number] = [self._new_piece(length) for _ in range(count)]
        return self._drawn[name, number]

    def _new_piece(self, length: int) -> list[int]:
        last = len(self._token_ids) - length
        for _ in range(_TRIES if last >= 0 else 0):
            start = self._rng.randint(0, last)
            beginning = tuple(self._token_ids[start : start + _BEGINNING])
            if beginning not in self._beginnings:
                self._beginnings.add(beginning)
                return self._token_ids[start : start + length]
        raise ValueError(
            f"a text of {len(self._token_ids)} tokens is too short for another prompt of {length}"
        )


def tasks_over(prompts: Prompts) -> list[Task]:
    """Return what is measured."""

    def prefill(contender: Contender, number: int) -> float:
        (prompt,) = prompts.of_round("prefill", number, 1, PREFILL_TOKENS)
        return PREFILL_TOKENS / contender.prefill(prompt)

    def decode(batch: int, contender: Contender, number: int) -> float:
        drawn = prompts.of_round(f"decode {batch}", number, batch, PROMPT_TOKENS)
        decoded = contender.decode(drawn, NEW_TOKENS)
        return decoded.num_tokens / decoded.seconds

    return [
        Task(name=f"prefill of {PREFILL_TOKENS} tokens", run=prefill, target=PREFILL_TARGET),
        *(
            Task(
                name=f"decode at batch {batch}",
                run=partial(decode, batch),
                target=target,
            )
            for batch, target in DECODE_TARGETS.items()
        ),
    ]


def measure(threads: int, *, num_rounds: int, num_windows: int, with_peer: bool) -> Result:
    """Load everything, read WikiText-2 where there is a peer, and let all race."""
    store = ModelStore(load_settings().home)
    weights = store.path(DEFAULT_CHAT_MODEL)
    ours = OurEngine.load(weights, threads=threads)
    _say(f"{DEFAULT_CHAT_MODEL} runs as {ours.about}")
    text = "\n\n".join(document.text for document in language_topics())
    with contextlib.ExitStack() as stack:
        peers = stack.enter_context(_open_peer(weights, threads)) if with_peer else {}
        scores = _read_text(weights, ours, peers, num_windows) if peers else []
        near = comparison.faithful(scores)
        races = race(
            tasks_over(Prompts(ours.tokenizer, text)),
            ours,
            _settings_of(peers),
            num_rounds=num_rounds,
            grade=lambda setting: "near" if comparison.model_name(setting) in near else "far",
            on_round=lambda number: _say(
                f"round {number} of {num_rounds}" if number > 0 else "warming up"
            ),
        )
    encoder = load_text_encoder(store.path(DEFAULT_EMBEDDING_MODEL), name=DEFAULT_EMBEDDING_MODEL)
    return Result(races=races, encoder=embedding_speed(encoder, num_rounds), scores=scores)


@contextlib.contextmanager
def _open_peer(weights: Path, threads: int) -> Iterator[dict[str, llama_cpp.LlamaCpp]]:
    peers = peers_folder()
    python = find_or_build(peers, _say)
    quantisations = llama_cpp.QUANTISATIONS
    with llama_cpp.open_models(python, weights, quantisations, peers, threads=threads) as models:
        _say(f"llama.cpp: {next(iter(models.values())).system_info()}")
        yield {f"{perplexity.PEER} {name}": model for name, model in models.items()}


def _settings_of(peers: Mapping[str, llama_cpp.LlamaCpp]) -> dict[str, Contender]:
    return {
        comparison.setting_name(name, flash_attention=flash): llama_cpp.Setting(
            model=model, flash_attention=flash
        )
        for name, model in peers.items()
        for flash in (True, False)
    }


def _read_text(
    weights: Path, ours: OurEngine, peers: Mapping[str, llama_cpp.LlamaCpp], num_windows: int
) -> list[perplexity.Score]:
    _say(f"reading {num_windows} windows of WikiText-2")
    text = perplexity.DEFAULT_DATA.read_text(encoding="utf-8")
    windows = perplexity.windows_of(text, ours.tokenizer, num_windows, perplexity.CONTEXT)
    return perplexity.measure(perplexity.our_contenders(weights, ours) | dict(peers), windows)


def embedding_speed(encoder: Embedder, num_rounds: int) -> Figure:
    """Return how many passages are embedded a second."""
    passages = [document.text[:800] for document in language_topics()[:32]]
    speeds = []
    for _ in range(num_rounds + 1):  # the first one warms up
        started = time.perf_counter()
        encoder.encode(passages, "query")
        speeds.append(len(passages) / (time.perf_counter() - started))
    return Figure(
        name="text encoder",
        value=statistics.median(speeds[1:]),
        unit="passages/s",
        spread=(min(speeds[1:]), max(speeds[1:])),
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _print(result: Result) -> None:
    if result.scores:
        print(comparison.table(result.races, result.scores), end="\n\n")
        print(comparison.settings_table(result.races, result.scores), end="\n\n")
        print(perplexity.table(result.scores))
        return
    print("| what | median | slowest | fastest |\n|---|---|---|---|")
    for row in result.figures():
        low, high = row.spread or (row.value, row.value)
        print(f"| {row.name} | {row.value:.1f} {row.unit} | {low:.1f} | {high:.1f} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write the JSON form where asked; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    parser.add_argument("--rounds", type=int, default=None, metavar="N")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--peer", choices=[perplexity.PEER], default=None)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    options = parser.parse_args(arguments)
    threads = set_threads(options.threads)
    try:
        result = measure(
            threads,
            num_rounds=options.rounds or (3 if options.quick else 9),
            num_windows=_QUICK_WINDOWS if options.quick else _WINDOWS,
            with_peer=options.peer is not None,
        )
    except PeerError as error:
        _say(str(error))
        return 2
    _print(result)
    rows = result.figures()
    if options.json:
        write(options.json, rows, threads=threads, seed=SEED)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
