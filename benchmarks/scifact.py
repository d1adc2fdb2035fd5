"""SciFact in the form of a collection: abstracts, train queries, judgements, vectors computed once.

An abstract is one chunk. One that is longer than the encoder's window gets the mean of its windows,
as a long question does.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from api.settings import load_settings
from index.distance import unit_rows
from index.protocol import Item, NewDocument
from llm.embedding import load_text_encoder
from llm.model_catalog import DEFAULT_EMBEDDING_MODEL
from llm.model_store import ModelStore
from llm.precision import Precision

_NOISE = 0.5  # of the size of the real spread: neighbours stay near, and no two are equal


@dataclass(frozen=True, slots=True, kw_only=True)
class SciFact:
    """Abstracts as (id, title, text); queries by id; the ids of the relevant abstracts."""

    articles: Sequence[tuple[str, str, str]]
    queries: Mapping[str, str]
    relevant: Mapping[str, frozenset[str]]


def load_scifact(data: Path) -> SciFact:
    """Read the corpus and the train queries that have judgements."""
    folder = data / "ir_scifact"
    articles = [(row["_id"], row["title"], row["text"]) for row in _lines(folder / "corpus.jsonl")]
    texts = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, article, grade = line.split("\t")
        relevant[query] |= {article} if int(grade) else set()
    judged = {query: frozenset(found) for query, found in relevant.items() if found}
    return SciFact(
        articles=articles, queries={query: texts[query] for query in judged}, relevant=judged
    )


def scifact_documents(scifact: SciFact, vectors: Float32[np.ndarray, "n d"]) -> list[NewDocument]:
    """Return the abstracts as documents of one chunk."""
    return [
        NewDocument(
            uri=uri,
            title=title,
            media_type="text/plain",
            source_sha256="",
            text=text,
            items=[Item(start=0, end=len(text.encode()))],
            vectors=vectors[i : i + 1],
        )
        for i, (uri, title, text) in enumerate(scifact.articles)
    ]


def ndcg_and_recall(
    scifact: SciFact, search: Callable[[str], Sequence[str]]
) -> tuple[list[float], list[float]]:
    """Return nDCG@10 and recall@100 of each query; `search` gives up to 100 ids, best first."""
    gains, recalls = [], []
    discounts = [1 / math.log2(rank + 1) for rank in range(1, 11)]
    for query, relevant in scifact.relevant.items():
        found = search(query)
        gain = sum(d for d, uri in zip(discounts, found, strict=False) if uri in relevant)
        gains.append(gain / sum(discounts[: len(relevant)]))
        recalls.append(len(relevant.intersection(found[:100])) / len(relevant))
    return gains, recalls


def encoded(
    texts: Sequence[str], name: str, *, precision: Precision = "float32"
) -> Float32[np.ndarray, "n d"]:
    """Return vectors of texts by the default encoder, from the cache where they are in it."""
    home = load_settings().home
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()
    kind = "" if precision == "float32" else f"-{precision}"
    path = home / "benchmark-vectors" / f"{name}{kind}-{digest}.npy"
    if not path.is_file():
        encoder = load_text_encoder(
            ModelStore(home).path(DEFAULT_EMBEDDING_MODEL),
            name=DEFAULT_EMBEDDING_MODEL,
            precision=precision,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new.npy")
        np.save(new, encoder.encode(texts, "query"))
        new.replace(path)
    vectors: Float32[np.ndarray, "n d"] = np.load(path)
    return vectors


def spread_vectors(
    real: Float32[np.ndarray, "n d"], num: int, *, seed: int = 8
) -> Float32[np.ndarray, "m d"]:
    """Return unit vectors around real ones: each one of them plus noise of their covariance."""
    draws = np.random.default_rng(seed)
    values, axes = np.linalg.eigh(np.cov(real, rowvar=False))
    shape = (axes * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)
    picked = real[draws.integers(0, len(real), num)]
    noise = draws.standard_normal((num, len(shape)), np.float32) @ shape
    return unit_rows(picked + _NOISE * noise)


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
