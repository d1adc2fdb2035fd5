"""The bank's documents: which of them does a customer's brief need?

48 briefs (`user_scenario.instructions`) and the documents each one requires, of 698. Asked as one
query, and as one query a sentence, fused by ranks or by normalised scores; nothing is fitted.
Figures are means over briefs of the share of the required documents that is found.
"""

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import encoded
from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.protocol import Item, NewDocument
from index.store import CollectionStore
from rag.fusion import best_first, by_ranks, by_scores
from rag.metrics import bootstrap_interval, paired_bootstrap, recall_at_k

_NAME = "bank"
_KS = (10, 25, 50)
_DEPTH = 100
_QUICK = 8
_END = re.compile(r"(?<=[.!?])\s+|\n+")
_FEWEST_WORDS = 4
_WHOLE = "the whole brief by words"


def bank(options: Options) -> list[Figure]:
    """Return the recall of each way to ask, beside that of the whole brief as one query."""
    folder = options.data / "tau2" / "banking_knowledge"
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    tasks = [task for task in tasks if task["required_documents"]]
    if options.is_quick:
        tasks = tasks[:_QUICK]
    briefs = [str(task["user_scenario"]["instructions"]) for task in tasks]
    parts = [sentences(brief) for brief in briefs]
    texts = [f"{row['title']}\n{row['text']}" for row in documents]
    vectors = encoded(texts, "bank")
    asked = dict.fromkeys(part for brief in parts for part in brief)
    known = dict(zip(asked, encoded([*asked], "bank-sentences"), strict=True))
    with tempfile.TemporaryDirectory() as place:
        store = _store(Path(place), documents, vectors)
        rankings = _rankings(store.open(_NAME), briefs, parts, known)
        store.close()
    required = [frozenset(task["required_documents"]) for task in tasks]
    figures = [
        figure
        for k in _KS
        for figure in _figures(
            {
                name: [recall_at_k(r, need, k) for r, need in zip(found, required, strict=True)]
                for name, found in rankings.items()
            },
            k,
            options.seed,
        )
    ]
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f} {figure.spread}", flush=True)
    return figures


def sentences(brief: str) -> list[str]:
    """Return the sentences of a brief that say something, each once."""
    found = dict.fromkeys(part.strip().replace('"', " ") for part in _END.split(brief))
    return [part for part in found if len(part.split()) >= _FEWEST_WORDS] or [brief]


def _rankings(
    collection: StoredCollection,
    briefs: Sequence[str],
    parts: Sequence[Sequence[str]],
    known: dict[str, np.ndarray],
) -> dict[str, list[list[str]]]:
    def terms(query: str) -> dict[str, float]:
        return {hit.uri: hit.score for hit in collection.search_terms(query, _DEPTH)}

    def near(query: str) -> dict[str, float]:
        return {hit.uri: hit.score for hit in collection.search(known[query], _DEPTH)}

    words = [[terms(part) for part in brief] for brief in parts]
    dense = [[near(part) for part in brief] for brief in parts]
    both = [[*a, *b] for a, b in zip(words, dense, strict=True)]
    found = {_WHOLE: [[*terms(brief.replace('"', " "))] for brief in briefs]}
    for name, lanes in (("words", words), ("vectors", dense), ("words and vectors", both)):
        found[f"sentences by {name}, fused by ranks"] = [_by_ranks(one) for one in lanes]
        found[f"sentences by {name}, fused by scores"] = [
            best_first(by_scores(one)) for one in lanes
        ]
    return found


def _by_ranks(lanes: Sequence[dict[str, float]]) -> list[str]:
    return best_first(by_ranks([[*lane] for lane in lanes]))


def _figures(values: dict[str, list[float]], k: int, seed: int) -> list[Figure]:
    figures = []
    for name, found in values.items():
        sure = bootstrap_interval(found, seed=seed)
        base = bootstrap_interval(values[_WHOLE], seed=seed).value
        gain = paired_bootstrap(found, values[_WHOLE], seed=seed)
        print(f"  {name}: {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
        figures.append(
            Figure(
                name=f"bank, recall@{k}: {name}",
                value=sure.value,
                unit=f"mean of {sure.n} briefs",
                spread=(sure.low, sure.high),
                baseline=None if name == _WHOLE else base,
            )
        )
    return figures


def _store(folder: Path, rows: Sequence[dict[str, str]], vectors: np.ndarray) -> CollectionStore:
    database = open_database(f"sqlite:///{folder}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    store = CollectionStore(database, threads=1)
    store.create(_NAME, embedder="known", fingerprint="known", dim=vectors.shape[1])
    documents = [
        NewDocument(
            uri=row["_id"],
            title=row["title"],
            media_type="text/plain",
            source_sha256="",
            text=row["text"],
            items=[Item(start=0, end=len(row["text"].encode()))],
            vectors=vectors[i : i + 1],
        )
        for i, row in enumerate(rows)
    ]
    store.open(_NAME).upsert_many(documents, fingerprint="known")
    return store
