"""The text encoder beside sentence-transformers: texts a second, and whether int8 costs quality.

    python -m benchmarks.encoder [--quick] [--data FOLDER] [--json FILE]

Speed: the same texts, the same threads, sentence-transformers with its defaults, ours in float32
and in int8, in turn, round after round; medians with extremes. Texts are SciFact's abstracts, cut
to the 256 tokens that the model reads, and utterances of banking77. Quality: nDCG@10 of SciFact's
train queries over all abstracts, cut likewise, exact dense search; the spread of a difference is
the 95 % interval of a paired bootstrap. Vectors are kept in the cache folder. `--quick` measures
fewer texts in one round. The exit code is 1 when a target is missed.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from api.settings import load_settings
from benchmarks.report import Figure, write
from benchmarks.scifact import encoded, load_scifact, ndcg_and_recall
from benchmarks.vectors import DEFAULT_DATA
from llm.embedding import TextEncoder, load_text_encoder
from llm.model_catalog import DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.precision import Precision
from llm.thread_count import set_threads
from llm.tokenizer import raw_tokenizer

SEED = 9
_RESAMPLES = 10_000
_WINDOW = 256  # tokens, of all-MiniLM-L6-v2
_RIVAL = "sentence-transformers"

Encode = Callable[[list[str]], Any]


def ours(precision: Precision) -> TextEncoder:
    encoder = load_text_encoder(
        ModelStore(load_settings().home).path(DEFAULT_EMBEDDING_MODEL),
        name=DEFAULT_EMBEDDING_MODEL,
        precision=precision,
    )
    assert isinstance(encoder, TextEncoder)
    return encoder


def rivals() -> dict[str, Encode]:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, 200 MB

    folder = ModelStore(load_settings().home).path(DEFAULT_EMBEDDING_MODEL)
    theirs = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    exact, fast = ours("float32"), ours("int8")
    print(f"ours: {exact.runs_as}; {fast.runs_as}", flush=True)
    return {
        _RIVAL: theirs.encode,
        "float32": lambda texts: exact.encode(texts, "passage"),
        "int8": lambda texts: fast.encode(texts, "passage"),
    }


def cut(texts: Sequence[str]) -> list[str]:
    """Return what the model reads of the texts, as sentence-transformers cuts them."""
    folder = ModelStore(load_settings().home).path(DEFAULT_EMBEDDING_MODEL)
    tokenizer = raw_tokenizer(folder / "tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    out = []
    for text in texts:
        size, kept = _WINDOW, text
        encoding = tokenizer.encode(kept)
        while len(encoding.ids) > _WINDOW:  # more than once where the cut splits a word anew
            size, kept = size - 1, kept[: encoding.offsets[size - 2][1]]
            encoding = tokenizer.encode(kept)
        out.append(kept)
    return out


def speeds(data: Path, *, is_quick: bool) -> list[Figure]:
    encoders = rivals()
    num_abstracts, num_utterances, rounds = (16, 64, 1) if is_quick else (96, 768, 5)
    draws = np.random.default_rng(SEED)
    articles = load_scifact(data).articles
    picked = draws.choice(len(articles), num_abstracts, replace=False)
    abstracts = [f"{articles[i][1]} {articles[i][2]}" for i in picked]
    with (data / "banking77" / "train.csv").open(encoding="utf-8") as file:
        utterances = [row["text"] for row in csv.DictReader(file)]
    utterances = [utterances[i] for i in draws.choice(len(utterances), num_utterances, False)]
    figures = []
    for name, texts in (
        ("abstracts", cut(abstracts)),
        ("utterances", [" ".join(text.split()) for text in utterances]),
    ):
        figures += race(name, texts, encoders, rounds)
    return figures


def race(name: str, texts: list[str], encoders: Mapping[str, Encode], rounds: int) -> list[Figure]:
    found: dict[str, list[float]] = {rival: [] for rival in encoders}
    for number in range(rounds + 1):
        for rival, encode in encoders.items():
            started = time.perf_counter()
            encode(texts if number else texts[:8])  # first a warm-up
            if number:
                found[rival].append(len(texts) / (time.perf_counter() - started))
    figures = [
        Figure(
            name=f"{name}, {rival}",
            value=statistics.median(each),
            unit="texts/s",
            spread=(min(each), max(each)),
        )
        for rival, each in found.items()
    ]
    for rival, target in (("float32", None), ("int8", 1.8)):
        ratios = [a / b for a, b in zip(found[rival], found[_RIVAL], strict=True)]
        figures.append(
            Figure(
                name=f"{name}, {rival} over {_RIVAL}",
                value=statistics.median(ratios),
                unit="ratio",
                spread=(min(ratios), max(ratios)),
                baseline=1.0,
                target=target,
            )
        )
    return figures


def quality(data: Path) -> list[Figure]:
    facts = load_scifact(data)
    texts = cut([f"{title} {text}" for _, title, text in facts.articles])
    queries = list(facts.queries.values())
    gains: dict[str, list[float]] = {}
    worst = 1.0
    before: Float32[np.ndarray, "n d"] | None = None
    kinds: tuple[Precision, ...] = ("float32", "int8")
    for precision in kinds:
        vectors = encoded(texts, "scifact-cut", precision=precision)
        asked = encoded(queries, "scifact-queries", precision=precision)
        best = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, :100]
        found = dict(zip(facts.queries, best, strict=True))
        ranked = {query: [facts.articles[i][0] for i in rows] for query, rows in found.items()}
        gains[precision], _ = ndcg_and_recall(facts, ranked.__getitem__)
        if before is not None:
            worst = float((before * vectors).sum(axis=1).min())
        before = vectors
    lost = np.array(gains["int8"]) - np.array(gains["float32"])
    unit = f"mean of {len(queries)} queries"
    return [
        Figure(name="SciFact nDCG@10, float32", value=_mean(gains["float32"]), unit=unit),
        Figure(name="SciFact nDCG@10, int8", value=_mean(gains["int8"]), unit=unit, target=0.655),
        Figure(
            name="SciFact nDCG@10, int8 less float32",
            value=float(lost.mean()),
            unit=unit,
            spread=_interval(lost),
            target=-0.005,
        ),
        Figure(name="least cosine of an abstract's two vectors", value=worst, unit="cosine"),
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _interval(values: np.ndarray) -> tuple[float, float]:
    draws = np.random.default_rng(SEED)
    means = [values[draws.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Measure, print, write the JSON form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    threads = set_threads(arguments.threads)
    figures = [*speeds(arguments.data, is_quick=arguments.quick), *quality(arguments.data)]
    for figure in figures:
        spread = "" if figure.spread is None else "  [{:.4g}, {:.4g}]".format(*figure.spread)
        target = "" if figure.target is None else f"  (target {figure.target:g})"
        print(f"{figure.name}: {figure.value:.4g} {figure.unit}{spread}{target}")
    if arguments.json:
        write(arguments.json, figures, threads=threads, seed=SEED)
    missed = [figure.name for figure in figures if figure.met is False]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
