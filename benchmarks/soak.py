"""Many streams for minutes on end: nothing fails, nothing is left behind, nothing slows down.

64 clients on threads of their own stream from one engine, each asking again as soon as it has its
answer; some leave early, some cancel. At the end no block may be in use and the blocks must agree
with the tables. Throughput is compared with the limit: the same engine stepped by nobody else, at
the same number of sequences.

    python -m benchmarks.soak [--quick] [--seconds N] [--streams N] [--json FILE]
"""

import argparse
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from api.bootstrap import build_engine
from api.settings import load_settings
from benchmarks.report import Figure, write
from llm.async_engine import AsyncEngine
from llm.chat import Completion
from llm.engine import Engine
from llm.model_catalog import DEFAULT_CHAT_MODEL
from llm.model_store import ModelStore
from llm.preparation import Submission
from llm.sampling_params import SamplingParams

SEED = 5
PROMPT_TOKENS = 48
NEW_TOKENS = 64
_IDLE_S = 30.0
_LEAVING = 0.02


@dataclass
class Tally:
    """What all clients have seen; guarded by `lock`."""

    tokens: int = 0
    answers: int = 0
    left: int = 0
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def prompt(chance: random.Random) -> list[int]:
    """Return random tokens, so that no cache helps."""
    return [chance.randrange(20, 40_000) for _ in range(PROMPT_TOKENS)]


def client(engine: AsyncEngine, number: int, until: float, tally: Tally) -> None:
    """Stream answer after answer."""
    chance = random.Random(1000 * SEED + number)
    while time.monotonic() < until:
        leaves = chance.random() < _LEAVING
        params = SamplingParams(
            temperature=0.8, top_p=0.95, seed=chance.randrange(2**32), max_tokens=NEW_TOKENS
        )
        try:
            stream = engine.generate(Submission(prompt_ids=prompt(chance), params=params))
            for i, part in enumerate(stream):
                if isinstance(part, Completion):
                    with tally.lock:
                        tally.answers += 1
                        tally.tokens += part.usage.completion_tokens
                elif leaves and i > chance.randrange(NEW_TOKENS):
                    stream.close()  # type: ignore[attr-defined]
                    with tally.lock:
                        tally.left += 1
                    break
        except Exception as error:  # noqa: BLE001  # every kind counts
            with tally.lock:
                tally.errors.append(repr(error))


def limit(engine: Engine, streams: int, rounds: int) -> float:
    """Return tokens a second with as many sequences and nobody listening."""
    chance = random.Random(SEED)
    params = SamplingParams(temperature=0.8, top_p=0.95, seed=SEED, max_tokens=NEW_TOKENS)
    tokens, started = 0, time.perf_counter()
    for _ in range(rounds):
        ends = engine.generate_batch([prompt(chance) for _ in range(streams)], params)
        tokens += sum(end.usage.completion_tokens for end in ends)
    return tokens / (time.perf_counter() - started)


def soak(engine: AsyncEngine, streams: int, seconds: float) -> tuple[Tally, float]:
    """Run the clients; return what they saw, and tokens a second while all were there."""
    tally, started = Tally(), time.monotonic()
    threads = [
        threading.Thread(target=client, args=(engine, i, started + seconds, tally))
        for i in range(streams)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 20)  # all have begun
    tokens, since = engine.statistics.generated_tokens, time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        time.sleep(min(10.0, seconds / 4, max(0.0, started + seconds - now)))
        state = engine.state()
        print(
            f"{time.monotonic() - started:5.0f} s  running {state.running},"
            f" waiting {state.waiting}, blocks {state.used_blocks}, answers {tally.answers},"
            f" errors {len(tally.errors)}",
            flush=True,
        )
    speed = (engine.statistics.generated_tokens - tokens) / (time.monotonic() - since)
    for thread in threads:
        thread.join()
    return tally, speed


def leaked(engine: AsyncEngine) -> int:
    """Return the blocks in use once nothing runs; waits for the last ones to end."""
    until = time.monotonic() + _IDLE_S
    while time.monotonic() < until:
        state = engine.state()
        if not (state.running or state.waiting or state.used_blocks):
            return 0
        time.sleep(0.1)
    return engine.state().used_blocks


def main() -> None:
    """Measure, print a table, write the JSON form where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 seconds")
    parser.add_argument("--seconds", type=float, default=None, help="default: 300")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (20.0 if arguments.quick else 300.0)
    settings = load_settings()
    inner = build_engine(settings, ModelStore(settings.home).path(DEFAULT_CHAT_MODEL))
    print(f"{inner.model.compute.reason}\n")
    inner.model.tokenizer.eos_ids = frozenset()
    rounds = 2 if arguments.quick else 8
    before = limit(inner, arguments.streams, rounds)
    engine = AsyncEngine(inner)
    tally, speed = soak(engine, arguments.streams, seconds)
    blocks = leaked(engine)
    engine.close()
    inner.check()
    after = limit(inner, arguments.streams, rounds)
    share = 100 * speed / ((before + after) / 2)
    print("\n".join(sorted(set(tally.errors))[:5]))
    figures = [
        Figure(
            name=f"errors in {seconds:.0f} s of {arguments.streams} streams",
            value=len(tally.errors),
            unit="",
            target=0,
            higher_is_better=False,
        ),
        Figure(
            name="blocks in use afterwards",
            value=blocks,
            unit="",
            target=0,
            higher_is_better=False,
        ),
        Figure(
            name="throughput of the streams, of the batch limit",
            value=share,
            unit="%",
            baseline=(before + after) / 2,
            target=90.0,
        ),
        Figure(name="throughput of the streams", value=speed, unit="tokens/s"),
        Figure(name="answers", value=tally.answers, unit=""),
        Figure(name="streams left early", value=tally.left, unit=""),
    ]
    print("| what | value | wanted |\n|---|---|---|")
    for row in figures:
        wanted = "" if row.target is None else f"{row.target:g}"
        print(f"| {row.name} | {row.value:.1f} {row.unit} | {wanted} |")
    if arguments.json:
        write(arguments.json, figures, threads=inner.model.compute.threads, seed=SEED)


if __name__ == "__main__":
    main()
