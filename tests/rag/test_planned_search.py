"""Plans on a stored collection: each lane, what is left out, what stays as it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from index import tables
from index.collection import StoredCollection
from index.database import open_database, writing
from index.store import CollectionStore
from rag.dialogue_context import DialogueContext
from rag.document import Passage
from rag.ingest import Ingestor
from rag.planned_search import Planned, PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.reranker import QueryLikelihood
from rag.retriever import retrieve
from rag.subject import Exchange
from rag.testing import HashingEmbedder, ScriptedWriter, SharedWordScorer
from tests.rag.question_corpus import documents

EMBEDDER = HashingEmbedder(dim=512)
QUESTION = "How long do carrots need in the steamer?"


@pytest.fixture
def manuals(tmp_path: Path) -> Iterator[StoredCollection]:
    database = open_database(f"sqlite:///{tmp_path}/a.sqlite")
    with writing(database) as connection:
        tables.metadata.create_all(connection)
    store = CollectionStore(database, threads=1)
    Ingestor(store, EMBEDDER).ingest_documents(documents(), "manuals")
    yield store.open("manuals")
    store.close()


def find(
    collection: Any,
    question: str = QUESTION,
    plan: QueryPlan = DEFAULT_PLAN,
    *,
    k: int = 3,
    context: DialogueContext | None = None,
    writer: ScriptedWriter | None = None,
    **parts: Any,
) -> Planned:
    search = PlannedSearch(EMBEDDER, writer=writer, **parts)
    return search.run(
        question,
        collection,
        name="manuals",
        k=k,
        plan=plan,
        context=context or DialogueContext(),
    )


def lane(found: Planned, name: str) -> Any:
    (one,) = [one for one in found.trace.lanes if one.name == name]
    return one


def test_the_default_plan_is_the_fused_search_and_nothing_else(manuals: StoredCollection) -> None:
    found = find(manuals)
    plain = retrieve(QUESTION, manuals, name="manuals", embedder=EMBEDDER, k=3, priors={})
    assert found.passages == plain.passages
    assert found.nearest == plain.nearest
    assert found.query == QUESTION
    assert [one.name for one in found.trace.lanes] == ["dense", "terms"]
    assert all(one.queries == (QUESTION,) for one in found.trace.lanes)
    assert all(one.num_found > 0 and one.seconds > 0 for one in found.trace.lanes)
    first = found.trace.passages[0]
    assert (first.uri, first.rank, set(first.lanes)) == ("steamer.md", 1, {"dense", "terms"})
    assert found.trace.problems == ()


def test_drafts_are_averaged_with_the_question(manuals: StoredCollection) -> None:
    question = "The light is broken"
    draft = "Let it cool down completely, then unscrew the glass cover of the lamp."
    plan = QueryPlan(hyde=1, lane_weight=4.0)
    found = find(manuals, question, plan, writer=ScriptedWriter([draft]))
    assert lane(found, "hyde").queries == (draft,)
    assert "lamp" in found.passages[0].chunk.text
    assert "lamp" not in find(manuals, question).passages[0].chunk.text
    assert found.trace.passages[0].lanes["hyde"].rank == 1


def test_paraphrases_are_searched_and_fused_by_ranks(manuals: StoredCollection) -> None:
    writer = ScriptedWriter(["unscrew the glass cover of the lamp", "the lamp of the oven"])
    plan = QueryPlan(paraphrases=2, lane_weight=4.0)
    found = find(manuals, "The light is broken", plan, writer=writer)
    assert len(lane(found, "paraphrases").queries) == 2
    assert "lamp" in found.passages[0].chunk.text
    assert [task.seed for task in writer.tasks] == [0, 1]


def test_sub_questions_know_what_was_found_for_those_before(manuals: StoredCollection) -> None:
    writer = ScriptedWriter(["Who supplies flour?", "None.", "never"])
    found = find(manuals, "Whom do I telephone?", QueryPlan(self_ask=4), writer=writer)
    assert lane(found, "self_ask").queries == ("Who supplies flour?",)
    first, second = writer.tasks
    assert "Intermediate answer" not in first.text
    assert "Saltmarsh Mill" in second.text


def test_self_ask_ends_at_its_bound(manuals: StoredCollection) -> None:
    writer = ScriptedWriter([f"Question {i}?" for i in range(9)])
    found = find(manuals, plan=QueryPlan(self_ask=2), writer=writer)
    assert len(lane(found, "self_ask").queries) == 2


def test_what_the_model_knows_is_searched_for_and_is_no_passage(manuals: StoredCollection) -> None:
    said = "Vinegar removes limescale from a cold tank."
    plan = QueryPlan(knowledge=True, lane_weight=4.0)
    found = find(manuals, "What is it good for?", plan, writer=ScriptedWriter([said]))
    assert "vinegar" in found.passages[0].chunk.text
    assert [one.chunk.text for one in found.knowledge] == [said]
    assert found.trace.knowledge == (said,)
    assert {one.origin for one in found.knowledge} == {"model"}
    assert {one.origin for one in found.passages} == {"source"}


@pytest.mark.parametrize("name", ["hyde", "paraphrases", "self_ask"])
def test_a_lane_without_a_model_is_left_out_and_said_so(
    manuals: StoredCollection, name: str
) -> None:
    found = find(manuals, plan=QueryPlan.from_changes({name: 2}))
    assert [p.uri for p in found.passages] == [p.uri for p in find(manuals).passages]
    assert lane(found, name).problem.startswith("failed: PlanError: no model")
    assert found.trace.problems[0].startswith(f"{name}: failed")


def test_a_late_lane_is_left_out_and_the_answer_comes(manuals: StoredCollection) -> None:
    writer = ScriptedWriter(["x"], delay_s=60)
    found = find(manuals, plan=QueryPlan(hyde=1, lane_s=0.2), writer=writer)
    assert [p.uri for p in found.passages] == [p.uri for p in find(manuals).passages]
    assert found.trace.problems[0].startswith("hyde: late")


@pytest.mark.parametrize("fusion", ["scores", "ranks"])
def test_other_fusions_rank_and_keep_every_lane_in_the_trace(
    manuals: StoredCollection, fusion: Any
) -> None:
    plan = QueryPlan(fusion=fusion, hyde=1)
    found = find(manuals, plan=plan, writer=ScriptedWriter(["Carrots need eleven minutes."]))
    assert found.trace.fusion == fusion
    assert found.passages[0].uri == "steamer.md"
    assert set(found.trace.passages[0].lanes) == {"dense", "terms", "hyde"}
    scores = [passage.score for passage in found.passages]
    assert scores == sorted(scores, reverse=True)


def test_a_reranker_reorders_and_says_how_long_it_took(manuals: StoredCollection) -> None:
    rerankers = {"query-likelihood": QueryLikelihood(SharedWordScorer())}
    plan = QueryPlan(rerank="query-likelihood", rerank_depth=5)
    found = find(manuals, plan=plan, rerankers=rerankers)
    assert found.trace.rerank is not None
    assert (found.trace.rerank.depth, found.trace.rerank.problem) == (5, "")
    assert found.passages[0].uri == "steamer.md"
    missing = find(manuals, plan=plan)
    assert missing.trace.problems[0].startswith("query-likelihood: failed: PlanError")
    assert missing.passages[0].uri == "steamer.md"


def test_mmr_prefers_what_is_new(manuals: StoredCollection) -> None:
    question = "The tank of this kettle holds litres of fresh tap water"
    first, second, *_ = find(manuals, question, k=4).passages
    varied = find(manuals, question, QueryPlan(mmr=0.1), k=4)
    assert varied.passages[0].chunk == first.chunk
    assert varied.passages[1].chunk != second.chunk
    assert varied.trace.mmr == 0.1


def cited(collection: StoredCollection, question: str) -> tuple[Passage, ...]:
    return find(collection, question).passages[:1]


def test_what_was_cited_stays_a_candidate_of_a_follow_up(manuals: StoredCollection) -> None:
    old = cited(manuals, "Who recommended citric acid?")
    context = DialogueContext(
        exchanges=(Exchange(question="Who recommended citric acid?", answer="Ada Blackwood."),),
        cited=(old,),
    )
    follow_up = "Does she bake it in the oven with bread?"
    found = find(manuals, follow_up, QueryPlan(rewrite="questions"), k=1, context=context)
    assert lane(found, "carried").num_found == 1
    assert old[0].chunk in [passage.chunk for passage in found.passages]
    alone = find(manuals, "How is bread baked in the oven?", k=1, context=context)
    assert "carried" not in [one.name for one in alone.trace.lanes]
    changed = replace(old[0], chunk=replace(old[0].chunk, text="x" * len(old[0].chunk.text)))
    stale = replace(context, cited=((changed, replace(old[0], document_id="gone")),))
    found = find(manuals, follow_up, QueryPlan(rewrite="questions"), k=1, context=stale)
    assert lane(found, "carried").num_found == 0


CONTEXT = DialogueContext(
    exchanges=(
        Exchange(
            question="Who recommended citric acid?",
            answer="The inventor Ada Blackwood recommended citric acid.",
        ),
    )
)


@pytest.mark.parametrize(
    ("question", "rewrite", "query"),
    [
        ("When was she born in London?", "subject", "When was she born in London? Kettle K1"),
        ("Why?", "subject", "Who recommended citric acid? Why? Kettle K1"),
        (
            "When was she born in London?",
            "questions",
            "Who recommended citric acid? When was she born in London?",
        ),
        ("When was she born in London?", "model", "When was Ada Blackwood born?"),
        (QUESTION, "subject", QUESTION),
    ],
)
def test_a_follow_up_is_made_to_stand_alone(
    manuals: StoredCollection, question: str, rewrite: Any, query: str
) -> None:
    writer = ScriptedWriter(["Rewritten question: When was Ada Blackwood born?"])
    plan = QueryPlan(rewrite=rewrite)
    found = find(manuals, question, plan, context=CONTEXT, writer=writer)
    assert (found.query, found.trace.query, found.trace.asked) == (query, query, question)


def test_where_the_model_is_late_the_rule_rewrites(manuals: StoredCollection) -> None:
    writer = ScriptedWriter(["x"], delay_s=60)
    plan = QueryPlan(rewrite="model", lane_s=0.2)
    found = find(manuals, "When was she born in London?", plan, context=CONTEXT, writer=writer)
    assert found.query == "When was she born in London? Kettle K1"
    assert found.trace.problems[0].startswith("rewrite: late")
