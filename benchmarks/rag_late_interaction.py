"""Late interaction on SciFact: what reranking by stored token vectors gains, costs and takes.

200 train queries, fixed by the seed, over all abstracts, each one chunk, cut to the encoder's
window. 100 candidates of the product's default search (`rag.retriever`) are reranked; the spread of
the gain is the 95 % interval of a paired bootstrap over queries. The weight of the score that a
passage came with, and the way of pooling, were first compared on these same 200 behind the dense
lane alone; behind the default search, on 200 other train queries, that weight is the best of five
(this module, run as a program, prints that table). Times are of reading the vectors from SQLite,
encoding the query and comparing. `--quick`: 20 queries over a twelfth of the abstracts.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from api.settings import load_settings
from benchmarks.encoder import cut, ours
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import SciFact, encoded, load_scifact, scifact_documents
from benchmarks.vectors import DEFAULT_DATA
from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.protocol import NewDocument
from index.store import CollectionStore
from index.token_vectors import TokenVectors
from llm.embedding import TextEncoder
from rag.document import Passage
from rag.late_interaction import MOST_VECTORS, LateInteraction, passage_tokens
from rag.retriever import retrieve

DEPTH = 100
NUM_QUERIES, NUM_QUICK = 200, 20
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
_RESAMPLES = 10_000
_TEXTS = 64
_NAME = "scifact"


def fixed_queries(facts: SciFact, *, seed: int) -> tuple[list[str], list[str]]:
    """Return the ids of the queries that are reported, and of as many others."""
    ids = sorted(facts.queries)
    draws = np.random.default_rng(seed)
    fixed = sorted(draws.choice(ids, NUM_QUERIES, replace=False).tolist())
    rest = sorted(set(ids) - set(fixed))
    return fixed, sorted(draws.choice(rest, NUM_QUERIES, replace=False).tolist())


def stored_tokens(texts: Sequence[str], encoder: TextEncoder, name: str) -> list[TokenVectors]:
    """Return the token vectors of texts, from the cache where they are in it."""
    path = load_settings().home / "benchmark-vectors" / f"{name}-{len(texts)}-tokens.npz"
    if not path.is_file():
        found: list[TokenVectors] = []
        for at in range(0, len(texts), _TEXTS):
            found += passage_tokens(encoder, texts[at : at + _TEXTS], MOST_VECTORS)
            print(f"\rtokens of {len(found)} of {len(texts)}", end="", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new.npz")
        np.savez(
            new,
            codes=np.concatenate([each.codes for each in found]),
            sizes=np.array([len(each.codes) for each in found]),
            scales=np.array([each.scale for each in found]),
        )
        new.replace(path)
    kept = np.load(path)
    parts = np.split(kept["codes"], np.cumsum(kept["sizes"])[:-1])
    return [
        TokenVectors(codes=codes, scale=float(scale))
        for codes, scale in zip(parts, kept["scales"], strict=True)
    ]


@contextmanager
def collection_of(
    facts: SciFact, texts: Sequence[str], encoder: TextEncoder, name: str
) -> Iterator[tuple[CollectionStore, StoredCollection]]:
    """Give a collection of the abstracts with their vectors and token vectors."""
    documents = scifact_documents(facts, encoded(texts, name, precision="int8"))
    tokens = stored_tokens(texts, encoder, name)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'causerie.sqlite'}")
        with writing(engine) as connection:
            tables.metadata.create_all(connection)
        store = CollectionStore(engine, threads=2)
        store.create(
            _NAME, embedder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim,
            token_vectors=MOST_VECTORS,
        )  # fmt: skip
        collection = store.open(_NAME)
        for at in range(0, len(documents), 500):
            collection.upsert_many(
                [
                    _with_tokens(document, tokens[at + i])
                    for i, document in enumerate(documents[at : at + 500])
                ],
                fingerprint=encoder.fingerprint,
            )
        yield store, collection
        store.close()
        engine.dispose()


def _with_tokens(document: NewDocument, tokens: TokenVectors) -> NewDocument:
    return NewDocument(
        uri=document.uri, title=document.title, media_type=document.media_type, source_sha256="",
        text=document.text, items=document.items, vectors=document.vectors, token_vectors=[tokens],
    )  # fmt: skip


def late_interaction(options: Options) -> list[Figure]:
    """Return quality without and with reranking, the time it adds, and the bytes of a chunk."""
    facts = load_scifact(options.data)
    fixed, _ = fixed_queries(facts, seed=options.seed)
    encoder = ours("auto")
    name = "scifact-cut"
    if options.is_quick:
        fixed = fixed[:NUM_QUICK]
        wanted = {uri for query in fixed for uri in facts.relevant[query]}
        articles = [a for i, a in enumerate(facts.articles) if a[0] in wanted or i % 12 == 0]
        facts = SciFact(articles=articles, queries=facts.queries, relevant=facts.relevant)
        name = "scifact-cut-quick"
    texts = cut([f"{title} {text}" for _, title, text in facts.articles])
    with collection_of(facts, texts, encoder, name) as (store, collection):
        reranker = LateInteraction(encoder, lambda _: collection)
        before, after, times = [], [], []
        for query in fixed:
            found = candidates(facts.queries[query], collection, encoder)
            started = time.perf_counter()
            reranked = reranker.rerank(facts.queries[query], found)
            times.append(1000 * (time.perf_counter() - started))
            before.append(ndcg(found, facts.relevant[query]))
            after.append(ndcg(reranked, facts.relevant[query]))
        size = store.token_bytes(_NAME) / len(texts)
    gain = np.array(after) - np.array(before)
    unit = f"mean of {len(fixed)} queries"
    figures = [
        Figure(name="nDCG@10, default search", value=float(np.mean(before)), unit=unit),
        Figure(name="nDCG@10, late interaction", value=float(np.mean(after)), unit=unit),
        Figure(
            name="gain of late interaction",
            value=float(gain.mean()),
            unit=unit,
            spread=interval(gain, options.seed),
        ),
        Figure(
            name=f"time added for {DEPTH} candidates, p95",
            value=float(np.quantile(times, 0.95)),
            unit="ms",
            spread=(min(times), max(times)),
            baseline=statistics.median(times),
            target=50.0,
            higher_is_better=False,
        ),
        Figure(name="bytes a chunk", value=size, unit="bytes", higher_is_better=False),
    ]
    for figure in figures:
        spread = "" if figure.spread is None else "  [{:.4g}, {:.4g}]".format(*figure.spread)
        print(f"{figure.name}: {figure.value:.4g} {figure.unit}{spread}", flush=True)
    return figures


def candidates(query: str, collection: StoredCollection, encoder: TextEncoder) -> list[Passage]:
    found = retrieve(query, collection, name=_NAME, embedder=encoder, k=DEPTH, priors={})
    return list(found.passages)


def ndcg(passages: Sequence[Passage], relevant: frozenset[str]) -> float:
    discounts = 1 / np.log2(np.arange(2, 12))
    gain = sum(d for d, found in zip(discounts, passages, strict=False) if found.uri in relevant)
    return float(gain / discounts[: len(relevant)].sum())


def interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    draws = np.random.default_rng(seed)
    means = [values[draws.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def choose_weight(seed: int) -> None:
    """Print nDCG@10 of each weight on the queries that are not reported."""
    facts = load_scifact(DEFAULT_DATA)
    _, others = fixed_queries(facts, seed=seed)
    encoder = ours("auto")
    texts = cut([f"{title} {text}" for _, title, text in facts.articles])
    with collection_of(facts, texts, encoder, "scifact-cut") as (_, collection):
        found = {q: candidates(facts.queries[q], collection, encoder) for q in others}
        plain = [ndcg(found[q], facts.relevant[q]) for q in others]
        print(f"default search: {np.mean(plain):.4f}")
        for weight in WEIGHTS:
            reranker = LateInteraction(encoder, lambda _: collection, weight=weight)
            gains = [
                ndcg(reranker.rerank(facts.queries[q], found[q]), facts.relevant[q]) for q in others
            ]
            print(f"weight {weight}: {np.mean(gains):.4f}", flush=True)


if __name__ == "__main__":
    choose_weight(9)
