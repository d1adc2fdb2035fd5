"""A million vectors: recall and speed, and the memory of a process that only searches.

Each index is built and saved here; another process, that imports `index` alone, maps the vectors,
loads the index and searches.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from benchmarks.report import REPOSITORY, Figure
from benchmarks.vectors import made_vectors
from index.flat import FlatBuilder
from index.hnsw import HnswBuilder
from index.ivfpq import IvfPqBuilder
from index.protocol import AnnBuilder, Metric
from index.recall import recall_of
from index.scalar import ScalarBuilder

K = 10
THREADS = 1
ALLOWED_ANON_MB, WANTED_RECALL = 600.0, 0.90
_EFFORTS = {"flat": (1,), "scalar": (1, 4), "ivfpq": (8, 16, 32, 64, 128), "hnsw": (32, 64, 128)}
_BUILDERS: tuple[AnnBuilder, ...] = (
    FlatBuilder(),
    ScalarBuilder(),
    IvfPqBuilder(num_lists=1024, refined=40),
    HnswBuilder(m=16, ef_construction=60),
)
_SEARCHER = """
import json, statistics, sys, time
import numpy as np
from pathlib import Path
from index.methods import builder_of
from index.protocol import Metric
folder, rows_file, queries_file, name, parameters, efforts = sys.argv[1:]
rows = np.load(rows_file, mmap_mode="r")
queries = np.load(queries_file)
builder = builder_of(name, json.loads(parameters))
began = time.perf_counter()
backend = builder.load(Path(folder), rows, Metric.COSINE, threads=1)
out = {"load_s": time.perf_counter() - began, "runs": []}
for effort in json.loads(efforts):
    scores, times = [], []
    for i in range(len(queries)):
        began = time.perf_counter()
        scores.append(backend.search(queries[i : i + 1], 10, effort=effort)[1][0].tolist())
        times.append(1000 * (time.perf_counter() - began))
    status = Path("/proc/self/status").read_text()
    kb = {k: int(status.split(k + ":")[1].split()[0]) for k in ("RssAnon", "VmRSS")}
    p95 = float(np.quantile(times, .95))
    out["runs"].append({"effort": effort, "scores": scores, "p50": statistics.median(times),
                        "p95": p95, **kb})
json.dump(out, sys.stdout)
"""


def million(
    real: Float32[np.ndarray, "n d"],
    queries: Float32[np.ndarray, "q d"],
    num: int,
    wanted: set[str],
) -> list[Figure]:
    """Return the figures of each method over `num` made vectors."""
    made, tenth_real, tenth_made = made_vectors(real, num)
    print(
        f"\n{num} made vectors; a 10th neighbour is as near as {tenth_made:.4f} (real"
        f" {tenth_real:.4f})"
    )
    exact = FlatBuilder().build(made, Metric.COSINE, seed=0, threads=1)
    true_scores = exact.search(queries, K)[1]
    figures = [
        Figure(name="10th neighbour, made", value=tenth_made, unit="cosine", baseline=tenth_real)
    ]
    print("| method | build s | effort | recall@10 | p50 ms | p95 ms | RssAnon MB | VmRSS MB |")
    print("|---|---|---|---|---|---|---|---|")
    for builder in _BUILDERS:
        if builder.name in wanted:
            figures += _one(builder, made, queries, true_scores)
    return figures


def _one(
    builder: AnnBuilder,
    made: np.ndarray,
    queries: np.ndarray,
    true_scores: np.ndarray,
) -> list[Figure]:
    name = builder.name
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        folder.mkdir()
        np.save(Path(temporary) / "queries.npy", queries)
        began = time.perf_counter()
        builder.build(made, Metric.COSINE, seed=8, threads=THREADS).save(folder)
        build_s = time.perf_counter() - began
        header = json.loads((folder / "header.json").read_text())
        arguments = [
            *(str(folder), str(made.filename), f"{temporary}/queries.npy", name),  # type: ignore[attr-defined]
            *(json.dumps(header["parameters"]), json.dumps(_EFFORTS[name])),
        ]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _SEARCHER, *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
    figures = [Figure(name=f"million {name}: build and save", value=build_s, unit="s")]
    reached: tuple[float, float] | None = None
    for run in json.loads(done.stdout)["runs"]:
        recall = recall_of(np.array(run["scores"]), true_scores).value
        anon, rss = run["RssAnon"] / 1024, run["VmRSS"] / 1024
        label = f"million {name} {run['effort']}"
        figures += [
            Figure(name=f"{label}: recall", value=recall, unit="share"),
            Figure(name=f"{label}: p50", value=run["p50"], unit="ms"),
            Figure(name=f"{label}: p95", value=run["p95"], unit="ms"),
            Figure(name=f"{label}: RssAnon", value=anon, unit="MB"),
            Figure(name=f"{label}: VmRSS", value=rss, unit="MB"),
        ]
        if reached is None and recall >= WANTED_RECALL:
            reached = (recall, anon)
        print(
            f"| {name} | {build_s:.0f} | {run['effort']} | {recall:.4f} | {run['p50']:.2f}"
            f" | {run['p95']:.2f} | {anon:.0f} | {rss:.0f} |",
            flush=True,
        )
    if name == "ivfpq":
        recall, anon = reached or (0.0, float("inf"))
        figures += [
            Figure(
                name="million ivfpq: recall@10 within the memory",
                value=recall,
                unit="share",
                target=WANTED_RECALL,
            ),
            Figure(
                name="million ivfpq: RssAnon",
                value=anon,
                unit="MB",
                target=ALLOWED_ANON_MB,
                higher_is_better=False,
            ),
        ]
    return figures
