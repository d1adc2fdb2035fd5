"""The trace of a turn over HTTP: there where it is asked for, with lanes and places."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.application import Application
from api.testing import application_of_doubles
from dialog.agent import DialogAgent
from llm.testing import ScriptedChatModel
from rag.pipeline import RetrievalPipeline
from rag.planned_search import PlannedSearch
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from rag.testing import ScriptedWriter
from rag.writer import ModelWriter, Writer
from tests.api.conftest import local_client
from tests.api.tiny_service import tiny_service
from tests.rag.question_corpus import documents

QUESTION = "How long do carrots need in the steamer?"


def answering(
    application: Application, plan: QueryPlan = DEFAULT_PLAN, writer: Writer | None = None
) -> Application:
    """Return the application with the real dialogue over its collection."""
    application.ingestor.ingest_documents(documents(), "manuals")
    retrieval = RetrievalPipeline(
        application.store.open,
        application.embedder,
        plan_of=lambda _: plan,
        search=PlannedSearch(application.embedder, writer=writer),
    )
    model = ScriptedChatModel(["I do not know."] * 9)
    return replace(application, agent=DialogAgent(model, retrieval, application.sessions))


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    with application_of_doubles(tmp_path) as application:
        yield application


def ask(application: Application, *said: str, **causerie: Any) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(said)
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    body = {"messages": messages, "causerie": {"collection": "manuals", **causerie}}
    model = application.chat_model.name
    with local_client(application) as client:
        response = client.post("/v1/chat/completions", json={"model": model, **body})
    assert response.status_code == 200, response.text
    own: dict[str, Any] = response.json()["choices"][0]["message"]["causerie"]
    return own


def test_a_turn_tells_how_its_passages_were_found(application: Application) -> None:
    trace = ask(answering(application), QUESTION, trace=True)["trace"]
    assert (trace["asked"], trace["query"]) == (QUESTION, QUESTION)
    assert [lane["name"] for lane in trace["lanes"]] == ["dense", "terms"]
    assert all(lane["ms"] > 0 and lane["queries"] == [QUESTION] for lane in trace["lanes"])
    assert trace["problems"] == []
    first = trace["passages"][0]
    assert (first["uri"], first["rank"]) == ("steamer.md", 1)
    assert set(first["lanes"]) == {"dense", "terms"}


def test_it_is_left_out_where_nobody_asks(application: Application) -> None:
    assert "trace" not in ask(answering(application), QUESTION)


def test_a_follow_up_tells_what_it_became(application: Application) -> None:
    turns = ("Who recommended citric acid?", "Ada Blackwood recommended citric acid.")
    trace = ask(answering(application), *turns, "When was she born in London?", trace=True)["trace"]
    assert trace["query"] == "When was she born in London? Kettle K1"


def test_a_late_lane_is_told_and_the_answer_comes(application: Application) -> None:
    plan = QueryPlan(hyde=2, lane_s=0.2)
    own = ask(answering(application, plan, ScriptedWriter(delay_s=60)), QUESTION, trace=True)
    (problem,) = own["trace"]["problems"]
    assert problem.startswith("hyde: late")
    assert own["trace"]["passages"][0]["uri"] == "steamer.md"


def test_a_lane_writes_on_the_engine_itself(tmp_path: Path) -> None:
    with tiny_service(tmp_path, context_size=512) as service:
        writer = ModelWriter(service.chat_model)
        plan = QueryPlan(hyde=3, paraphrases=1, lane_s=60)
        trace = ask(answering(service, plan, writer), QUESTION, trace=True)["trace"]
    lanes = {lane["name"]: lane for lane in trace["lanes"]}
    assert trace["problems"] == []
    assert lanes["hyde"]["num_found"] > 0
    assert 1 <= len(lanes["hyde"]["queries"]) <= 3
