"""What the engine costs beside the model: memory, Python's share of a step, waste in the cache.

Memory is the resident set after 100 requests, minus what it was after the imports, the weights and
the cache in full. The share is all of a batch-8 step that is not the forward pass: scheduling,
arrays, drawing, text. Waste is the share of positions in the blocks of 24 chats that hold nothing.

    python -m benchmarks.footprint [--quick] [--json FILE]
"""

import argparse
import gc
import random
import statistics
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import Figure, write
from llm.engine import Engine
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.native_runner import NativeRunner
from llm.paged_cache import BLOCK
from llm.sampling_params import SamplingParams

SEED = 11
ALLOWED_MB = 150.0


def resident_mb() -> float:
    """Return the resident set of this process in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell the resident set")


def prompts(number: int, length: int) -> list[list[int]]:
    """Return prompts of random tokens, none the beginning of another."""
    chance = random.Random(SEED)
    return [[chance.randrange(20, 40_000) for _ in range(length)] for _ in range(number)]


def memory(engine: Engine, before_mb: float, requests: int) -> Figure:
    """Run requests of mixed lengths, then compare the resident set with what it must hold."""
    runner = engine.model.compute.runner
    assert isinstance(runner, NativeRunner), "this figure is about the compiled path"
    held_mb = runner.nbytes / 2**20
    for i in range(0, requests, 10):
        some = [prompt[: 50 + 37 * i % 400] for prompt in prompts(10, 450)]
        engine.generate_batch([[i + 1, *p] for p in some], SamplingParams(max_tokens=16))
    gc.collect()
    over = resident_mb() - before_mb - held_mb
    print(
        f"imports {before_mb:.0f} MB, weights and cache {held_mb:.0f} MB,"
        f" now {resident_mb():.0f} MB"
    )
    return Figure(
        name=f"memory over imports, weights and cache after {requests} requests",
        value=over,
        unit="MB",
        target=ALLOWED_MB,
        higher_is_better=False,
    )


def overhead(engine: Engine, rounds: int, params: SamplingParams, name: str) -> Figure:
    """Return the share of a batch-8 decode step outside the forward pass."""
    shares = []
    counts = engine.statistics
    for turn in range(rounds):
        for prompt in prompts(8, 60):
            engine.add_request([turn + 1, *prompt], params, lambda _: None)
        while any(r.sequence.num_generated == 0 for r in engine.requests):
            engine.step()
        step_s, forward_s = counts.step_s, counts.forward_s
        while engine.has_work:
            engine.step()
        step_s, forward_s = counts.step_s - step_s, counts.forward_s - forward_s
        shares.append(100 * (step_s - forward_s) / step_s)
    return Figure(
        name=f"share of a batch-8 step outside the model, {name}",
        value=statistics.median(shares),
        unit="%",
        spread=(min(shares), max(shares)),
        target=10.0,
        higher_is_better=False,
    )


def waste(engine: Engine) -> Figure:
    """Return the share of held positions that hold nothing, with 24 chats of 300 to 900 tokens."""
    chance = random.Random(SEED)
    held, used = 0, 0
    for prompt in prompts(24, 900):
        length = chance.randrange(300, 900)
        engine.add_request(prompt[:length], SamplingParams(max_tokens=24), lambda _: None)
    while engine.has_work:
        engine.step()
        running = [r.sequence for r in engine.requests if r.sequence.num_generated > 0]
        if len(running) == 24:
            used += sum(sequence.num_computed for sequence in running)
            held += BLOCK * engine.state().used_blocks
    return Figure(
        name="positions of the cache that are held and hold nothing",
        value=100 * (held - used) / held,
        unit="%",
        target=5.0,
        higher_is_better=False,
    )


def main() -> None:
    """Measure, print a table, write the JSON form where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 11")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 11
    before_mb = resident_mb()
    settings = load_settings()
    engine = build_engine(settings, ModelStore(settings.home).path(DEFAULT_CHAT_MODEL))
    print(f"{engine.model.compute.reason}\n")
    engine.model.tokenizer.eos_ids = frozenset()
    figures = [
        memory(engine, before_mb, 100),
        overhead(engine, rounds, SamplingParams(max_tokens=48), "greedy"),
        overhead(
            engine,
            rounds,
            SamplingParams(max_tokens=48, temperature=0.7, top_p=0.9, seed=SEED),
            "temperature .7, top-p .9",
        ),
        waste(engine),
    ]
    print("| what | value | wanted |\n|---|---|---|")
    for row in figures:
        print(f"| {row.name} | {row.value:.1f} {row.unit} | <= {row.target:g} |")
    if arguments.json:
        write(arguments.json, figures, threads=engine.model.compute.threads, seed=SEED)


if __name__ == "__main__":
    main()
