"""Filtered searches: are they complete, do they hold the recall, and where exact search is quicker.

Rows are allowed at random, at shares from a half to one in ten thousand. Every backend is asked as
collections ask it (`index.planner.search_allowed`), at the least effort that holds .95 without a
filter.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.report import Figure
from index.flat import FlatBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.planner import EXACT_ROWS, nearest_of, search_allowed
from index.protocol import AnnBackend, Metric

K = 10
TARGET = 0.95
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
CUTOFFS = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
EFFORTS = {"hnsw": (32, 64, 128, 256, 512, 1024), "ivfpq": (8, 16, 32, 64, 128, 256), "flat": (1,)}
BUILDERS = {
    "flat": FlatBuilder(),
    "ivfpq": IvfPqBuilder(refined=20),
    "hnsw": HnswBuilder(m=16, ef_construction=100),
}
NUM_QUERIES = 50
SEED = 8


def filters(rows: np.ndarray, queries: np.ndarray) -> list[Figure]:
    """Return completeness and recall by share, and times on both sides of the cutoff."""
    queries = queries[:NUM_QUERIES]
    figures: list[Figure] = []
    masks = {share: _mask(len(rows), share) for share in SHARES}
    truth = {
        share: [
            nearest_of(rows, np.flatnonzero(allow), Metric.COSINE, query=query, k=K)[1]
            for query in queries
        ]
        for share, allow in masks.items()
    }
    everything = np.arange(len(rows))
    unfiltered = [nearest_of(rows, everything, Metric.COSINE, query=q, k=K)[1] for q in queries]
    print("| method | effort | share | allowed | complete | recall | ms p50 | ms p95 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, builder in BUILDERS.items():
        backend = builder.build(rows, Metric.COSINE, seed=SEED, threads=1)
        effort = _effort(name, backend, queries, unfiltered)
        for share, allow in masks.items():
            figures += _at_share(name, backend, rows, queries, effort, share, allow, truth[share])
        figures += _crossing(name, backend, rows, queries, effort)
    return figures


def _at_share(  # noqa: PLR0913
    name: str,
    backend: AnnBackend,
    rows: np.ndarray,
    queries: np.ndarray,
    effort: int,
    share: float,
    allow: np.ndarray,
    truth: list[np.ndarray],
) -> list[Figure]:
    num = int(allow.sum())
    found, times = [], []
    num_complete = 0
    for query in queries:
        began = time.thread_time()
        picked, scores = search_allowed(
            backend, rows, Metric.COSINE, query=query, k=K, effort=effort, allow=allow
        )
        times.append(1000 * (time.thread_time() - began))
        num_complete += len(picked) == min(K, num) and bool(allow[picked].all())
        found.append(scores)
    recall = _recall(found, truth)
    complete = num_complete / len(queries)
    p50, p95 = np.percentile(times, [50, 95])
    print(
        f"| {name} | {effort} | {share:.2%} | {num} | {complete:.0%} | {recall:.4f} | {p50:.2f}"
        f" | {p95:.2f} |",
        flush=True,
    )
    at = f"{name}, {share:.2%} allowed"
    return [
        Figure(name=f"{at}: complete answers", value=complete, unit="share", target=1.0),
        Figure(name=f"{at}: recall", value=recall, unit="share", target=TARGET),
        Figure(name=f"{at}: query p95", value=float(p95), unit="ms", higher_is_better=False),
    ]


def _crossing(
    name: str, backend: AnnBackend, rows: np.ndarray, queries: np.ndarray, effort: int
) -> list[Figure]:
    """Return the number of allowed rows up to which comparing them all is at least as quick."""
    crossing = 0
    for num in CUTOFFS:
        if num > len(rows):
            break
        allow = np.zeros(len(rows), bool)
        allow[np.random.default_rng(num).choice(len(rows), num, replace=False)] = True
        exact = _median(
            lambda query, allow=allow: nearest_of(
                rows, np.flatnonzero(allow), Metric.COSINE, query=query, k=K
            ),
            queries,
        )
        narrowed = _median(
            lambda query, allow=allow: backend.search(query[None], K, effort=effort, allow=allow),
            queries,
        )
        print(f"{name}: {num} allowed: exact {exact:.2f} ms, with a bitmap {narrowed:.2f} ms")
        if exact <= narrowed and crossing == max([0, *(c for c in CUTOFFS if c < num)]):
            crossing = num
    return [
        Figure(
            name=f"{name}: exact is as quick up to (the planner takes {EXACT_ROWS})",
            value=crossing,
            unit="rows",
        )
    ]


def _median(search: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    times = []
    for query in queries[:15]:
        began = time.thread_time()
        search(query)
        times.append(1000 * (time.thread_time() - began))
    return statistics.median(times)


def _effort(name: str, backend: AnnBackend, queries: np.ndarray, truth: list[np.ndarray]) -> int:
    for effort in EFFORTS[name]:
        _, scores = backend.search(queries, K, effort=effort)
        if _recall(list(scores), truth) >= TARGET:
            return effort
    return EFFORTS[name][-1]


def _recall(found: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """Return the share of the true neighbours' similarities that were reached."""
    num = sum(len(true) for true in truth)
    reached = sum(
        int((scores[: len(true)] >= true[-1] - 1e-9).sum())
        for scores, true in zip(found, truth, strict=True)
    )
    return reached / num


def _mask(num: int, share: float) -> np.ndarray:
    allow = np.zeros(num, bool)
    picked = np.random.default_rng(SEED).choice(num, max(1, round(num * share)), replace=False)
    allow[picked] = True
    return allow
