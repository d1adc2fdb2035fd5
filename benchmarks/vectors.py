"""Vectors to measure an index on: real ones of sentences, computed once; many made from them.

The real ones are all-MiniLM-L6-v2's of distinct utterances and sentences. They are kept in the
cache folder in parts, so that an interrupted run goes on where it was.

    python -m benchmarks.vectors [--num 102000] [--threads 1] [--data FOLDER]
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from api.settings import load_settings
from benchmarks.report import REPOSITORY
from benchmarks.sentences import distinct_sentences
from index.distance import unit_rows
from index.flat import FlatBackend, FlatBuilder
from index.protocol import Metric
from llm.embedding import load_text_encoder
from llm.model_catalog import DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.thread_count import set_threads

DEFAULT_DATA = Path(os.environ.get("CAUSERIE_DATA") or REPOSITORY.parent / "shared" / "data")
NUM_BASE, NUM_QUERIES = 100_000, 2_000
_PART = 2_000
_MOST_TRIALS, _NEAR_ENOUGH = 8, 0.005  # of the bisection, in cosine
_MADE = 50_000


def real_vectors(
    data: Path, num: int = NUM_BASE + NUM_QUERIES, *, threads: int = 1
) -> Float32[np.ndarray, "n d"]:
    """Return unit vectors of the first `num` sentences, mapped from the cache or computed now.

    Raises:
        ValueError: there are fewer sentences.
    """
    folder = load_settings().home / "benchmark-vectors"
    name = hashlib.blake2b(f"{num} {_listing(data)}".encode(), digest_size=8).hexdigest()
    whole = folder / f"{name}.npy"
    if not whole.is_file():
        texts = distinct_sentences(data)
        if len(texts) < num:
            raise ValueError(f"{data} holds {len(texts)} distinct sentences, {num} are wanted")
        folder.mkdir(parents=True, exist_ok=True)
        _compute(texts[:num], folder / f"{name}-parts", whole, threads)
    found: Float32[np.ndarray, "n d"] = np.load(whole, mmap_mode="r")
    return found


def made_vectors(
    real: Float32[np.ndarray, "n d"], num: int, *, seed: int = 8
) -> tuple[Float32[np.ndarray, "m d"], float, float]:
    """Return `num` unit vectors made from real ones, and the similarity of a 10th neighbour twice.

    The first is that of real vectors in the real set, the second that of made ones in the made set.
    A made vector is a real one plus noise with the covariance of the real ones, whose size is
    bisected until the two agree. The vectors are kept in a file in the cache folder, mapped.
    """
    rng = np.random.default_rng(seed)
    exact = FlatBuilder()
    some = rng.choice(len(real), 200, replace=False)
    wanted = _tenth(exact.build(real, Metric.COSINE, seed=0, threads=1), real[some])
    covariance = np.cov(real[rng.choice(len(real), 20_000, replace=False)], rowvar=False)
    values, axes = np.linalg.eigh(covariance)
    shape = (axes * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)
    path = load_settings().home / "benchmark-vectors" / f"made-{num}-{seed}-{len(real)}-whole.npy"

    def fill(out: Float32[np.ndarray, "m d"], size: float) -> None:
        draws = np.random.default_rng(seed + 1)
        for at in range(0, num, _MADE):
            count = min(_MADE, num - at)
            picked = real[draws.integers(0, len(real), count)]
            noise = draws.standard_normal((count, len(shape)), np.float32) @ shape
            out[at : at + count] = unit_rows(picked + size * noise)

    if not path.is_file():
        new = path.with_suffix(".new")
        out = np.lib.format.open_memmap(new, "w+", np.float32, (num, real.shape[1]))
        low, high = 0.0, 2.0
        for _ in range(_MOST_TRIALS):
            # On the whole set: several made of one real vector are neighbours of each other.
            size = (low + high) / 2
            fill(out, size)
            index = exact.build(out, Metric.COSINE, seed=0, threads=1)
            reached = _tenth(index, np.asarray(out[:50]))
            if abs(reached - wanted) < _NEAR_ENOUGH:
                break
            low, high = (size, high) if reached > wanted else (low, size)
        out.flush()
        new.replace(path)
    made = np.load(path, mmap_mode="r")
    index = exact.build(made, Metric.COSINE, seed=0, threads=1)
    return made, wanted, _tenth(index, np.asarray(made[:50]))


def _tenth(backend: FlatBackend, queries: Float32[np.ndarray, "b d"]) -> float:
    """Return the mean similarity of the 10th neighbour that is not the query itself."""
    return float(backend.search(queries, 11)[1][:, 10].mean())


def _compute(texts: Sequence[str], parts: Path, whole: Path, threads: int) -> None:
    set_threads(threads)
    path = ModelStore(load_settings().home).path(DEFAULT_EMBEDDING_MODEL)
    encoder = load_text_encoder(path, name=DEFAULT_EMBEDDING_MODEL)
    parts.mkdir(exist_ok=True)
    for start in range(0, len(texts), _PART):
        part = parts / f"{start:08}.npy"
        if not part.is_file():
            vectors = encoder.encode(texts[start : start + _PART], "passage")
            _save(part, vectors)
            print(f"\rembedded {start + len(vectors)} of {len(texts)}", end="", file=sys.stderr)
    _save(whole, np.concatenate([np.load(path) for path in sorted(parts.iterdir())]))
    for part in parts.iterdir():
        part.unlink()
    parts.rmdir()


def _save(path: Path, vectors: Float32[np.ndarray, "n d"]) -> None:
    """Write under another name first: a part is whole or not there."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.save(file, np.ascontiguousarray(vectors, np.float32))
    new.replace(path)


def _listing(data: Path) -> str:
    """Name the data by what is in it, without reading all of it."""
    files = sorted(path for path in data.rglob("*") if path.is_file())
    return " ".join(f"{path.relative_to(data)}:{path.stat().st_size}" for path in files)


def main() -> None:
    """Fill the cache."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num", type=int, default=NUM_BASE + NUM_QUERIES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    arguments = parser.parse_args()
    vectors = real_vectors(arguments.data, arguments.num, threads=arguments.threads)
    print(f"\n{len(vectors)} vectors of {vectors.shape[1]} components")


if __name__ == "__main__":
    main()
