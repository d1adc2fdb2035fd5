"""Tuning on collections in which it is known what helps: a writer who knows, one who misleads."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.store import CollectionStore
from rag.document import Document, Passage, sha256_hex
from rag.errors import PlanError
from rag.evaluation_set import EvaluationItem, Relevant
from rag.ingest import Ingestor
from rag.plan_tuning import TECHNIQUES, PlanTuner, Trial, TunedPlan
from rag.planned_search import PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.reranker import ranked
from rag.testing import HashingEmbedder
from rag.writer import WritingTask

EMBEDDER = HashingEmbedder(dim=512)
NUM = 24
NAMES = [f"{a}{b}" for a in ("bar", "dol", "fen", "gim", "kul", "mor") for b in "aeio"]
TEXTS = {name: f"The {name} engine runs on {name[::-1]} fuel and hums." for name in NAMES}
# A question says nothing that stands in its document; the number is what a writer tells it by.
ITEMS = [
    EvaluationItem(
        id=name,
        query=f"Which machine has the number {number}?",
        kind="made",
        made_by="hand",
        relevant=(Relevant(uri=f"{name}.txt"),),
    )
    for number, name in enumerate(NAMES)
]
ANSWERS = {item.query: TEXTS[item.id] for item in ITEMS}


class Knowing:
    """A `Writer` that knows each answer, after `delay_s`."""

    name = "knowing"

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s

    def write(self, tasks: Sequence[WritingTask], *, deadline: float) -> list[str]:
        """Return the text that answers each."""
        del deadline
        time.sleep(self.delay_s)
        return [ANSWERS.get(task.text, "none") for task in tasks]


class Reversing:
    """A reranker that puts the worst first."""

    name = "query-likelihood"

    def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return them the other way round."""
        del query
        return ranked(passages, [float(passage.rank) for passage in passages])


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[StoredCollection]:
    database = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    store = CollectionStore(database, threads=1)
    documents = [
        Document(
            uri=f"{name}.txt",
            title=name,
            text=text,
            media_type="text/plain",
            source_sha256=sha256_hex(text.encode()),
        )
        for name, text in TEXTS.items()
    ]
    Ingestor(store, EMBEDDER).ingest_documents(documents, "machines")
    yield store.open("machines")
    store.close()


def tuned(
    collection: StoredCollection, only: Sequence[str], *, budget_ms: float = 5_000, **parts: Any
) -> TunedPlan:
    search = PlannedSearch(EMBEDDER, **parts)
    tuner = PlanTuner(search, collection, "machines", ITEMS, budget_ms=budget_ms, seed=1)
    return tuner.tune({name: "not asked for" for name in TECHNIQUES if name not in only})


def trial(found: TunedPlan, name: str) -> Trial:
    (one,) = [one for one in found.trials if one.name == name]
    return one


def test_what_surely_helps_is_turned_on_with_its_gain_and_cost(machines: StoredCollection) -> None:
    found = tuned(machines, ["hyde", "distinct"], writer=Knowing())
    hyde = trial(found, "hyde")
    assert hyde.is_on
    assert hyde.gain is not None
    assert hyde.gain.low > 0
    assert 0 < hyde.median_ms <= hyde.p95_ms
    assert trial(found, "distinct").why == "no gain that is sure"
    assert trial(found, "mmr").why == "not asked for"
    assert found.plan == QueryPlan(hyde=4, lane_s=5.0)
    assert found.usual.value < 0.5
    assert found.to_json()["plan"] == {"hyde": 4}


def test_what_is_surely_worse_stays_off(machines: StoredCollection) -> None:
    clear = [
        EvaluationItem(
            id=name,
            query=TEXTS[name],
            kind="made",
            made_by="hand",
            relevant=(Relevant(uri=f"{name}.txt"),),
        )
        for name in NAMES
    ]
    search = PlannedSearch(EMBEDDER, rerankers={"query-likelihood": Reversing()})
    tuner = PlanTuner(search, machines, "machines", clear, seed=1)
    found = tuner.tune({name: "no" for name in TECHNIQUES if name != "query-likelihood"})
    assert trial(found, "query-likelihood").why == "surely worse"
    assert found.plan == DEFAULT_PLAN


def test_what_helps_and_is_never_in_time_stays_off(machines: StoredCollection) -> None:
    found = tuned(machines, ["hyde"], budget_ms=100, writer=Knowing(0.3))
    assert not trial(found, "hyde").is_on
    assert "left out in 24 of 24 questions (hyde: late" in trial(found, "hyde").why
    assert found.plan == DEFAULT_PLAN


def test_of_several_that_help_the_best_way_together_is_kept(machines: StoredCollection) -> None:
    found = tuned(machines, ["hyde", "paraphrases"], writer=Knowing())
    on = {one.name for one in found.trials if one.is_on}
    assert on
    both = [one for one in found.trials if " + " in one.name]
    assert len(both) == 1
    if both[0].is_on:
        assert (found.plan.hyde, found.plan.paraphrases) == (4, 3)
    else:
        assert len(on) == 1
        assert "not beside" in " ".join(one.why for one in found.trials)


def test_a_technique_without_what_it_needs_is_told(machines: StoredCollection) -> None:
    found = tuned(machines, ["hyde", "rewrite by model"])
    assert "no model is at hand" in trial(found, "hyde").why
    assert trial(found, "rewrite by model").why == "no question has a dialogue before it"


def test_few_questions_tell_nothing(machines: StoredCollection) -> None:
    with pytest.raises(PlanError, match="3 answerable questions are too few"):
        PlanTuner(PlannedSearch(EMBEDDER), machines, "machines", ITEMS[:3])
