"""Every index method: recall, speed, build time and memory, beside the libraries themselves.

    python -m benchmarks.index [--part methods|overhead|tuner|million|filters|scifact|hybrid]
        [--num N] [--million N] [--methods NAME,...] [--data FOLDER] [--json FILE]

The vectors are all-MiniLM-L6-v2's of distinct utterances and sentences; the queries are others of
them, that no index holds. A million is made from them (`benchmarks.vectors`). Searches run on one
thread, and their times are that thread's processor time, which other programs do not count in; a
query alone unless it says otherwise. They are medians over rounds in which all rivals take turns;
`spread` holds the extremes of the rounds. The memory of a million rows is that of a process that
imports `index` alone. Without `--part`, filters, scifact and hybrid are left out. The exit code is
1 when a target is missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.index_filters import filters
from benchmarks.index_hybrid import hybrid, scifact
from benchmarks.index_million import million
from benchmarks.index_peers import (
    built_usearch,
    raw_flat,
    raw_hnswlib,
    raw_usearch,
    refined,
)
from benchmarks.report import Figure, write
from benchmarks.scifact import encoded, load_scifact, spread_vectors
from benchmarks.vectors import DEFAULT_DATA, NUM_BASE, real_vectors
from index.faiss_runtime import faiss, read_faiss
from index.flat import FlatBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.methods import METHODS
from index.protocol import AnnBackend, AnnBuilder, Metric
from index.recall import recall_of
from index.scalar import ScalarBuilder
from index.tuner import tune
from index.tuning import Choice, Target

SEED = 8
K = 10
BUILD_THREADS = 1
NUM_QUERIES = 1_000
TUNED_P95_MS = 2.0
TIMED = 100
ROUNDS = 5
EFFORTS = {
    "flat": (1,),
    "hnsw": (16, 32, 64, 128, 256),
    "ivfpq": (4, 8, 16, 32, 64, 128),
    "scalar": (1, 2, 4),
    "pq": (2, 5, 10, 20),
    "lsh": (64, 256, 1024, 4096),
    "kdforest": (64, 256, 1024, 4096),
    "nsw": (32, 64, 128, 256),
    "gpu": (4, 8, 16, 32, 64),
}
BUILDERS: Mapping[str, AnnBuilder] = {
    **{name: method() for name, method in METHODS.items() if name != "gpu"},
    "hnsw": HnswBuilder(m=16, ef_construction=100),
}


class Rows:
    """Vectors, held-out queries and the truth about them."""

    def __init__(self, data: Path, num: int) -> None:
        vectors = np.array(real_vectors(data))
        self.x = vectors[:num]
        self.queries = vectors[NUM_BASE:][:NUM_QUERIES]
        self.unseen = vectors[NUM_BASE:][NUM_QUERIES:]
        exact = FlatBuilder().build(self.x, Metric.COSINE, seed=0, threads=1)
        self.true_scores = exact.search(self.queries, K)[1]
        self.unseen_scores = exact.search(self.unseen, K)[1]

    def recall(self, found: np.ndarray) -> float:
        """Return the recall of rows found by a library, by our own similarities."""
        scores = np.einsum("bd,bkd->bk", self.queries, self.x[found]).astype(np.float64)
        kth = self.true_scores[:, -1:]
        return float((scores >= kth - 1e-5).mean())


def medians(
    rivals: Mapping[str, Callable[[np.ndarray], object]], queries: np.ndarray, batch: int
) -> dict[str, tuple[float, float, float]]:
    """Return milliseconds a call: median, least and greatest round of each; all take turns."""
    rounds: dict[str, list[float]] = {name: [] for name in rivals}
    calls = [queries[at : at + batch] for at in range(0, min(len(queries), TIMED * batch), batch)]
    for number in range(ROUNDS + 1):
        for name, search in rivals.items():
            times = []
            for call in calls[: max(TIMED // batch, 5)]:
                began = time.thread_time()
                search(call)
                times.append(1000 * (time.thread_time() - began))
            if number:  # the first warms up
                rounds[name].append(statistics.median(times))
    return {n: (statistics.median(t), min(t), max(t)) for n, t in rounds.items()}


def built(builder: AnnBuilder, rows: Rows, folder: Path | None = None) -> tuple[AnnBackend, float]:
    """Return the index, loaded for one thread, and the seconds that all threads took to build it.

    Its files stay in `folder`, where there is one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(exist_ok=True)
        began = time.perf_counter()
        backend = builder.build(rows.x, Metric.COSINE, seed=SEED, threads=BUILD_THREADS)
        seconds = time.perf_counter() - began
        backend.save(place)
        return builder.load(place, rows.x, Metric.COSINE, threads=1, mmap=False), seconds


def methods(rows: Rows, wanted: set[str]) -> list[Figure]:
    """Return the curve of each method, its build time and bytes."""
    figures = []
    print(f"| method | build s | MB beside rows | effort | recall@{K} | ms a query |")
    print("|---|---|---|---|---|---|")
    for name, builder in BUILDERS.items():
        if name not in wanted:
            continue
        backend, build_s = built(builder, rows)
        figures.append(Figure(name=f"{name}: build", value=build_s, unit="s"))
        figures.append(
            Figure(name=f"{name}: beside the rows", value=backend.nbytes() / 1e6, unit="MB")
        )
        for effort in EFFORTS[name]:
            few = slice(0, 200 if name in {"lsh", "kdforest", "nsw", "pq"} else NUM_QUERIES)
            _, scores = backend.search(rows.queries[few], K, effort=effort)
            recall = recall_of(scores, rows.true_scores[few]).value
            times = []
            for i in range(TIMED // 2):
                began = time.thread_time()
                backend.search(rows.queries[i : i + 1], K, effort=effort)
                times.append(1000 * (time.thread_time() - began))
            p50 = statistics.median(times)
            figures.append(Figure(name=f"{name} {effort}: recall", value=recall, unit="share"))
            figures.append(
                Figure(name=f"{name} {effort}: query", value=p50, unit="ms", higher_is_better=False)
            )
            print(
                f"| {name} | {build_s:.1f} | {backend.nbytes() / 1e6:.1f} | {effort}"
                f" | {recall:.4f} | {p50:.3f} |",
                flush=True,
            )
    return figures


def overhead(rows: Rows) -> list[Figure]:
    """Return how long we take beside the library underneath, at batch 1 and 100."""
    ef, nprobe, factor = 64, 16, 20
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary)
        flat, _ = built(FlatBuilder(), rows)
        scalar, _ = built(ScalarBuilder(), rows, files / "scalar")
        graph = HnswBuilder(m=16, ef_construction=100, library="hnswlib")
        hnsw, _ = built(graph, rows, files / "hnsw")
        ivfpq, _ = built(IvfPqBuilder(refined=factor), rows, files / "ivfpq")
        lists = read_faiss(files / "ivfpq" / "lists.faiss")
        codes = read_faiss(files / "scalar" / "codes.faiss")
        by_hnswlib = raw_hnswlib(files / "hnsw" / "graph.bin", rows.x.shape[1], ef)
    by_usearch = built_usearch(rows.x, threads=BUILD_THREADS)
    inner = faiss.SearchParametersPreTransform(
        index_params=faiss.SearchParametersIVF(nprobe=nprobe)
    )
    pairs: dict[str, tuple[Callable[[np.ndarray], object], Callable[[np.ndarray], object]]] = {}

    def pair(name: str, backend: AnnBackend, effort: int, peer: Callable[..., object]) -> None:
        pairs[name] = (lambda q: backend.search(q, K, effort=effort), lambda q: peer(q, K))

    pair("flat", flat, 1, raw_flat(rows.x))
    pair("hnsw", hnsw, ef, by_hnswlib)
    pair("ivfpq", ivfpq, nprobe, refined(lists, rows.x, factor, inner))
    pair("scalar", scalar, 4, refined(codes, rows.x, 4, None))
    figures = []
    print("\n| method | batch | ours ms | library ms | ratio | wanted |")
    print("|---|---|---|---|---|---|")
    for name, (ours, theirs) in pairs.items():
        for batch, allowed in ((1, 1.3), (100, 1.1)):
            found = medians({"ours": ours, "theirs": theirs}, rows.queries, batch)
            ratio = found["ours"][0] / found["theirs"][0]
            figures.append(
                Figure(
                    name=f"{name}: ours over the library, batch {batch}",
                    value=ratio,
                    unit="times",
                    spread=(
                        found["ours"][1] / found["theirs"][1],
                        found["ours"][2] / found["theirs"][2],
                    ),
                    target=allowed,
                    higher_is_better=False,
                )
            )
            print(
                f"| {name} | {batch} | {found['ours'][0]:.3f} | {found['theirs'][0]:.3f}"
                f" | {ratio:.2f} | {allowed} |",
                flush=True,
            )
    for effort in EFFORTS["hnsw"]:
        search = raw_usearch(by_usearch, effort)
        ms = medians({"usearch": lambda q, s=search: s(q, K)}, rows.queries, 1)["usearch"][0]
        recall = rows.recall(search(rows.queries, K))
        figures.append(Figure(name=f"usearch {effort}: recall", value=recall, unit="share"))
        figures.append(Figure(name=f"usearch {effort}: query", value=ms, unit="ms"))
        print(f"usearch ef {effort}: recall {recall:.4f}, {ms:.3f} ms")
    return figures


def tuner(rows: Rows) -> list[Figure]:
    """Return the tuner's choice beside the best of a sweep, timed in turns on other queries.

    It is asked for less than exact search takes here: else that would be the choice.
    """
    target = Target(recall=0.95, k=K, p95_ms=TUNED_P95_MS)
    began = time.perf_counter()
    tuning = tune(
        rows.x,
        Metric.COSINE,
        target=target,
        seed=SEED,
        threads=BUILD_THREADS,
        on_progress=lambda label, done, total: print(f"\r{label} {done}/{total}", end=""),
    )
    print(f"\ntuned in {time.perf_counter() - began:.0f} s: {tuning.choice}")
    picked, _ = built(tuning.choice.builder, rows)
    _, scores = picked.search(rows.unseen, K, effort=tuning.choice.effort)
    recall = recall_of(scores, rows.unseen_scores).value
    best: tuple[float, Choice, AnnBackend] | None = None
    for method in (HnswBuilder, IvfPqBuilder, ScalarBuilder):
        for candidate in method.space(len(rows.x), rows.x.shape[1]):
            backend, _ = built(candidate.builder, rows)
            for effort in candidate.efforts:
                _, found = backend.search(rows.unseen, K, effort=effort)
                if recall_of(found, rows.unseen_scores).value < target.recall:
                    continue
                ms = medians(
                    {"it": lambda q, b=backend, e=effort: b.search(q, K, effort=e)}, rows.unseen, 1
                )["it"][0]
                if best is None or ms < best[0]:
                    choice = Choice(method=method.name, parameters={}, effort=effort)
                    best = (ms, choice, backend)
                break
    assert best is not None, "no method of the sweep holds the target"
    _, choice, backend = best
    found = medians(
        {
            "tuned": lambda q: picked.search(q, K, effort=tuning.choice.effort),
            "best": lambda q: backend.search(q, K, effort=choice.effort),
        },
        rows.unseen,
        1,
    )
    print(f"best of the sweep: {choice}; {found}; recall of the tuned {recall:.4f}")
    return [
        Figure(
            name="the tuner's choice over the best of a sweep",
            value=found["tuned"][0] / found["best"][0],
            unit="times",
            target=1.3,
            higher_is_better=False,
        ),
        Figure(
            name="recall of the tuner's choice on unseen queries, asked .95",
            value=recall,
            unit="share",
            target=0.94,
        ),
    ]


def main() -> None:
    """Measure what is asked, print tables, write the JSON form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", default=None, metavar="NAME")
    parser.add_argument("--num", type=int, default=NUM_BASE)
    parser.add_argument("--million", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--methods", default=",".join(BUILDERS))
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args()
    parts = arguments.part or ["methods", "overhead", "tuner", "million"]
    figures: list[Figure] = []
    if "scifact" in parts:
        figures += scifact(arguments.data)
    if "hybrid" in parts:
        figures += hybrid(arguments.data, arguments.num)
    if "filters" in parts:
        figures += filters(*made_rows(arguments.data, arguments.num))
    if {"methods", "overhead", "tuner", "million"} & set(parts):
        figures += of_vectors(arguments, parts)
    if arguments.json:
        write(arguments.json, figures, threads=1, seed=SEED)
    missed = [figure.name for figure in figures if figure.met is False]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def made_rows(data: Path, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows made from SciFact's vectors, and others to ask for."""
    articles = load_scifact(data).articles
    real = encoded([f"{title}\n{text}" for _, title, text in articles], "scifact")
    vectors = spread_vectors(real, num + NUM_QUERIES)
    return vectors[:num], vectors[num:]


def of_vectors(arguments: argparse.Namespace, parts: Sequence[str]) -> list[Figure]:
    """Return the figures of the parts that measure index methods on real vectors."""
    rows = Rows(arguments.data, arguments.num)
    figures: list[Figure] = []
    if "methods" in parts:
        figures += methods(rows, set(arguments.methods.split(",")))
    if "overhead" in parts:
        figures += overhead(rows)
    if "tuner" in parts:
        figures += tuner(rows)
    if "million" in parts:
        figures += million(
            rows.x, rows.queries[:200], arguments.million, set(arguments.methods.split(","))
        )
    return figures


if __name__ == "__main__":
    main()
