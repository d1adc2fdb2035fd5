"""How fast the engine reads and writes, one request at a time (batch 1).

Prefill: tokens of a prompt read a second. Decode: tokens written a second after the prompt. Text
encoder: passages of about 200 tokens embedded a second. Each figure is the median of several
rounds, its spread the slowest and the fastest; the three are measured in turn, so that a slow
minute of the machine touches all of them.

    python -m benchmarks.engine [--quick] [--json FILE] [--threads N] [--rounds N]
"""

import argparse
import statistics
import time
from pathlib import Path

from api.settings import load_settings
from benchmarks.report import Figure, write
from llm.chat import Completion, Message
from llm.checkpoint import load_decoder
from llm.embedding import load_text_encoder
from llm.engine import Engine
from llm.model_catalog import DEFAULT_CHAT_MODEL, DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.sampling_params import SamplingParams
from llm.thread_count import fastest_decode_threads, set_threads
from rag.python_reference import language_topics

PREFILL_TOKENS = 512
DECODE_TOKENS = 64
SEED = 7


def prompt_of(engine: Engine, num_tokens: int, salt: int) -> list[int]:
    """Return real text as token ids; `salt` first, so that no cache of another round fits."""
    text = language_topics()[3].text * 4
    chat = [Message(role="user", content=f"{salt}. {text}")]
    return engine._template.encode(chat)[:num_tokens]  # noqa: SLF001


def run(engine: Engine, prompt: list[int], max_tokens: int) -> Completion:
    """Generate greedily and return the completion."""
    end = list(engine.generate(prompt, SamplingParams(max_tokens=max_tokens, seed=SEED)))[-1]
    assert isinstance(end, Completion)
    return end


def measure(threads: int | None, rounds: int) -> tuple[list[Figure], int]:
    """Return the figures and the number of threads used."""
    used = set_threads(threads)
    store = ModelStore(load_settings().home)
    decoder = load_decoder(store.path(DEFAULT_CHAT_MODEL))
    decode_threads = threads or fastest_decode_threads(decoder.model, used)
    print(f"{used} threads, single tokens on {decode_threads}; fp32, {DEFAULT_CHAT_MODEL}\n")
    engine = Engine(decoder, name=DEFAULT_CHAT_MODEL, decode_threads=decode_threads)
    encoder = load_text_encoder(store.path(DEFAULT_EMBEDDING_MODEL), name=DEFAULT_EMBEDDING_MODEL)
    passages = [document.text[:800] for document in language_topics()[:32]]
    prefill, decode, embed = [], [], []
    for round_number in range(rounds + 1):  # the first one warms up
        read = run(engine, prompt_of(engine, PREFILL_TOKENS, round_number), 1)
        written = run(engine, prompt_of(engine, 64, 1000 + round_number), DECODE_TOKENS)
        started = time.perf_counter()
        encoder.encode(passages, "query")
        embed_s = time.perf_counter() - started
        if round_number:
            prefill.append(PREFILL_TOKENS / read.prefill_s)
            # the first token comes from the prefill; the rest each take one step
            decode.append((written.usage.completion_tokens - 1) / written.decode_s)
            embed.append(len(passages) / embed_s)
    return [
        figure(f"prefill of {PREFILL_TOKENS} tokens", prefill, "tokens/s"),
        figure("decode at batch 1", decode, "tokens/s"),
        figure("text encoder", embed, "passages/s"),
    ], used


def figure(name: str, values: list[float], unit: str) -> Figure:
    """Return median, slowest and fastest."""
    return Figure(
        name=name,
        value=statistics.median(values),
        unit=unit,
        spread=(min(values), max(values)),
    )


def main() -> None:
    """Measure, print a table, write the JSON form where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    parser.add_argument("--rounds", type=int, default=None, metavar="N")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    figures, threads = measure(arguments.threads, arguments.rounds or (3 if arguments.quick else 9))
    print("| what | median | slowest | fastest |\n|---|---|---|---|")
    for row in figures:
        low, high = row.spread or (row.value, row.value)
        print(f"| {row.name} | {row.value:.1f} {row.unit} | {low:.1f} | {high:.1f} |")
    if arguments.json:
        write(arguments.json, figures, threads=threads, seed=SEED)


if __name__ == "__main__":
    main()
