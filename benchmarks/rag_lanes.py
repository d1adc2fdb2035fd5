"""What each technique of a query plan gains and costs: SciFact, and rewrites on CANARD.

SciFact: 200 fixed train queries (`rag_scifact_ids.json`: drawn from the sorted ids by numpy's
default_rng(9)) over all 5,183 abstracts, each one chunk, vectors by the int8 encoder of the first
256 tokens. Every technique is as `rag.plan_tuning` tries it, with the own chat model; its gain is
over the plan without it, by paired bootstrap, and its seconds are wall-clock of a whole search with
the encoding of the query. Nothing was fitted on these queries: `lane_weight`, `mmr` and the numbers
of texts are what they were first set to.

CANARD: 200 turns that have others before them, drawn by the seed; as in the part `canard` a rewrite
is good where BM25 finds the entry of its own answer. The model's rewrite is beside the rule's.

`--quick`: 12 queries, 12 turns.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from api.bootstrap import embedder_alone, open_scorer
from api.search_bootstrap import planned_search
from api.settings import load_settings
from benchmarks.encoder import cut
from benchmarks.rag_canard import Turn, canard_store, load_canard, turn_ranks
from benchmarks.rag_options import Options
from benchmarks.report import Figure
from benchmarks.scifact import SciFact, encoded, load_scifact, scifact_documents
from index import tables
from index.database import open_database, writing
from index.store import CollectionStore
from llm.async_engine import AsyncEngine
from rag.dialogue_context import DialogueContext, by_subject
from rag.embedder import Embedder
from rag.metrics import Difference, bootstrap_interval, ndcg_at_k, paired_bootstrap
from rag.plan_tuning import TECHNIQUES
from rag.planned_search import PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.writer import ModelWriter
from rag.written_queries import rewritten

IDS = Path(__file__).with_name("rag_scifact_ids.json")
_NAME = "scifact"
_NUM_TURNS, _NUM_QUICK = 200, 12
_PATIENCE_S = 120.0  # what a technique gains is one question, whether it is in time another
_MEASURED = (
    "hyde",
    "paraphrases",
    "self_ask",
    "knowledge",
    "query-likelihood",
    "mmr",
    "distinct",
)


def lanes(options: Options) -> list[Figure]:
    """Return each technique's gain and seconds, and MRR@10 of rewrites."""
    settings = load_settings()
    engine = open_scorer(settings)
    try:
        figures = _rewrites(options, engine)
        figures += _techniques(options, engine, embedder_alone(settings))
    finally:
        engine.close()
    return figures


def _techniques(options: Options, engine: AsyncEngine, embedder: Embedder) -> list[Figure]:
    facts = load_scifact(options.data)
    ids: list[str] = json.loads(IDS.read_text(encoding="utf-8"))
    asked = ids[:_NUM_QUICK] if options.is_quick else ids
    figures: list[Figure] = []
    with _collection(facts, embedder) as store:
        search = planned_search(embedder, priors={}, store=store, model=engine, scorer=engine)
        usual, seconds = _run(search, store, facts, asked, DEFAULT_PLAN)
        sure = bootstrap_interval(usual, seed=options.seed)
        figures.append(
            Figure(
                name="SciFact, nDCG@10: the plan of a collection that nobody tuned",
                value=sure.value,
                unit=f"mean of {sure.n} queries",
                spread=(sure.low, sure.high),
            )
        )
        figures.append(_seconds("the plan of a collection that nobody tuned", seconds))
        _print(figures)
        for name in _MEASURED:
            plan = QueryPlan.from_changes({**TECHNIQUES[name], "lane_s": _PATIENCE_S})
            values, seconds = _run(search, store, facts, asked, plan)
            gain = paired_bootstrap(values, usual, seed=options.seed)
            new = [_gain(f"SciFact, nDCG@10: gain of {name}", gain), _seconds(name, seconds)]
            _print(new)
            figures += new
    return figures


def _run(
    search: PlannedSearch,
    store: CollectionStore,
    facts: SciFact,
    asked: Sequence[str],
    plan: QueryPlan,
) -> tuple[list[float], list[float]]:
    collection = store.open(_NAME)
    values, seconds = [], []
    for query in asked:
        began = time.perf_counter()
        found = search.run(facts.queries[query], collection, name=_NAME, k=10, plan=plan)
        seconds.append(time.perf_counter() - began)
        if found.trace.problems:
            raise RuntimeError(f"a figure without its lane is none: {found.trace.problems}")
        gains = dict.fromkeys(facts.relevant[query], 1.0)
        values.append(ndcg_at_k([one.uri for one in found.passages], gains, 10))
    return values, seconds


def _rewrites(options: Options, engine: AsyncEngine) -> list[Figure]:
    turns, entries = load_canard(options.data)
    followed = [turn for turn in turns if turn.before]
    num = _NUM_QUICK if options.is_quick else _NUM_TURNS
    draws = np.random.default_rng(options.seed)
    some = [followed[i] for i in sorted(draws.choice(len(followed), num, replace=False).tolist())]
    writer = ModelWriter(engine)
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = canard_store(Path(folder), entries)
        collection = store.open("canard")

        def by_rule(turn: Turn) -> str:
            context = DialogueContext(exchanges=turn.before)
            return by_subject(turn.question, context, collection)

        def by_model(turn: Turn) -> str:
            began = time.perf_counter()
            deadline = time.monotonic() + _PATIENCE_S
            found = rewritten(turn.question, turn.before, writer, deadline=deadline)
            seconds.append(time.perf_counter() - began)
            return found

        ways: Mapping[str, Callable[[Turn], str]] = {
            "last turn": lambda turn: turn.question,
            "rule, as chats do": by_rule,
            "model": by_model,
            "human": lambda turn: turn.rewrite,
        }
        ranks = {name: turn_ranks(some, way, collection).tolist() for name, way in ways.items()}
        store.close()
    figures = []
    for name, values in ranks.items():
        sure = bootstrap_interval(values, seed=options.seed)
        figures.append(
            Figure(
                name=f"CANARD, {num} follow-ups, MRR@10: {name}",
                value=sure.value,
                unit=f"mean of {sure.n} turns",
                spread=(sure.low, sure.high),
            )
        )
    gain = paired_bootstrap(ranks["model"], ranks["rule, as chats do"], seed=options.seed)
    figures.append(_gain("CANARD, MRR@10: gain of the model over the rule", gain))
    figures.append(_seconds("a rewrite by the model", seconds))
    _print(figures)
    return figures


@contextmanager
def _collection(facts: SciFact, embedder: Embedder) -> Iterator[CollectionStore]:
    texts = cut([f"{title} {text}" for _, title, text in facts.articles])
    vectors = encoded(texts, "scifact-cut", precision="int8")
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/a.sqlite")
        with writing(database) as connection:
            tables.metadata.create_all(connection)
        store = CollectionStore(database, threads=1)
        store.create(
            _NAME, embedder=embedder.name, fingerprint=embedder.fingerprint, dim=embedder.dim
        )
        store.open(_NAME).upsert_many(
            scifact_documents(facts, vectors), fingerprint=embedder.fingerprint
        )
        yield store
        store.close()


def _gain(name: str, gain: Difference) -> Figure:
    return Figure(
        name=name,
        value=gain.value,
        unit=f"mean of {gain.n} pairs",
        spread=(gain.low, gain.high),
    )


def _seconds(name: str, seconds: Sequence[float]) -> Figure:
    low, high = np.percentile(seconds, [5, 95])
    return Figure(
        name=f"seconds a query: {name}",
        value=float(np.mean(seconds)),
        unit="s",
        spread=(float(low), float(high)),
        higher_is_better=False,
    )


def _print(figures: Sequence[Figure]) -> None:
    for figure in figures:
        low, high = figure.spread or (figure.value, figure.value)
        print(f"{figure.name}: {figure.value:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)
