"""SciFact's 809 train queries: each lane alone, the default fusion, and two others.

A vector is of what the encoder reads of an abstract at once, 256 tokens, as sentence-transformers
cuts it; the mean of the windows of a long one finds less (nDCG@10 .624).

The default is the formula of `rag.retriever`; its lanes give 120 chunks each, and so they do to the
others: equal weights of scores mapped onto 0..1, and reciprocal ranks. None was fitted here. Gains
are over the better lane on the same queries, by paired bootstrap.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.encoder import cut
from benchmarks.index_hybrid import KnownVectors
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import SciFact, encoded, load_scifact, scifact_documents
from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.store import CollectionStore
from rag.fusion import best_first, by_ranks, by_scores
from rag.metrics import bootstrap_interval, ndcg_at_k, paired_bootstrap
from rag.retriever import retrieve

_NAME = "scifact"
_DEPTH = 120
_QUICK = 40
_WORDS, _DENSE, _DEFAULT = "words", "dense", "words and vectors, the default"
_SCORES, _RANKS = "words and vectors, by scores 0..1", "words and vectors, by ranks"
_TARGETS = {_DENSE: 0.655}


def scifact(options: Options) -> list[Figure]:
    """Return nDCG@10 of every way to rank, and its gain over the better lane."""
    facts = load_scifact(options.data)
    texts = cut([f"{title} {text}" for _, title, text in facts.articles])
    vectors = encoded(texts, "scifact-cut")
    asked = encoded(list(facts.queries.values()), "scifact-queries")
    embedder = KnownVectors(list(facts.queries.values()), asked)
    if options.is_quick:
        some = dict(list(facts.relevant.items())[:_QUICK])
        facts = replace(facts, relevant=some)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/a.sqlite")
        with writing(database) as connection:
            tables.metadata.create_all(connection)
        store = CollectionStore(database, threads=1)
        store.create(_NAME, embedder="known", fingerprint="known", dim=vectors.shape[1])
        collection = store.open(_NAME)
        collection.upsert_many(scifact_documents(facts, vectors), fingerprint="known")
        values = _values(facts, collection, embedder)
        store.close()
    figures = _figures(values, options.seed)
    for figure in figures:
        print(f"{figure.name}: {figure.value:.4f} {figure.spread}", flush=True)
    return figures


def _values(
    facts: SciFact, collection: StoredCollection, embedder: KnownVectors
) -> Mapping[str, Sequence[float]]:
    """Return the nDCG@10 of each query, by the way it was ranked."""
    found: dict[str, list[float]] = {
        name: [] for name in (_WORDS, _DENSE, _DEFAULT, _SCORES, _RANKS)
    }
    for query, relevant in facts.relevant.items():
        text = facts.queries[query]
        vector = embedder.encode([text], "query")[0]
        plain = text.replace('"', " ")  # as `retrieve` asks
        lanes = [
            {hit.uri: hit.score for hit in hits}
            for hits in (
                collection.search_terms(plain, _DEPTH),
                collection.search(vector, _DEPTH),
            )
        ]
        both = retrieve(text, collection, name=_NAME, embedder=embedder, k=10, priors={})
        rankings = {
            _WORDS: [*lanes[0]],
            _DENSE: [*lanes[1]],
            _DEFAULT: [passage.uri for passage in both.passages],
            _SCORES: best_first(by_scores(lanes)),
            _RANKS: best_first(by_ranks([[*lane] for lane in lanes])),
        }
        gains = dict.fromkeys(relevant, 1.0)
        for name, ranking in rankings.items():
            found[name].append(ndcg_at_k(ranking, gains, 10))
    return found


def _figures(values: Mapping[str, Sequence[float]], seed: int) -> list[Figure]:
    sure = {name: bootstrap_interval(found, seed=seed) for name, found in values.items()}
    better = max((_WORDS, _DENSE), key=lambda name: sure[name].value)
    targets = {**_TARGETS, _DEFAULT: sure[better].value}
    figures = [
        Figure(
            name=f"SciFact, nDCG@10: {name}",
            value=one.value,
            unit=f"mean of {one.n} queries",
            spread=(one.low, one.high),
            baseline=None if name in {_WORDS, _DENSE} else sure[better].value,
            target=targets.get(name),
        )
        for name, one in sure.items()
    ]
    for name in (_DEFAULT, _SCORES, _RANKS):
        gain = paired_bootstrap(values[name], values[better], seed=seed)
        figures.append(
            Figure(
                name=f"SciFact, nDCG@10: {name}, gain over {better}",
                value=gain.value,
                unit=f"mean of {gain.n} pairs",
                spread=(gain.low, gain.high),
            )
        )
    return figures
