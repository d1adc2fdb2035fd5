"""`rag tune` and `rag show`, and that searches follow what was chosen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.application import Application
from api.cli.main import main
from api.plan_files import PLANS, KeptPlan, PlanFiles
from api.settings import load_settings
from api.state_database import state_database
from index.store import CollectionStore
from llm.chat import TextScores
from llm.testing import ScriptedChatModel
from rag.evaluation_set import EvaluationItem, Relevant, write_set
from rag.ingest import Ingestor
from rag.planned_search import PlannedSearch
from rag.query_plan import QueryPlan
from rag.testing import HashingEmbedder, ScriptedWriter, SharedWordScorer
from tests.api.conftest import local_client
from tests.rag.question_corpus import documents

QUERY = "How long do carrots need in the steamer?"


class Engine(ScriptedChatModel):
    """Writes the message again, scores by shared words, and is closed."""

    def score(self, prefix: str, continuations: Any, *, tenant: str = "") -> TextScores:
        """Return what the double says."""
        return SharedWordScorer().score(prefix, continuations, tenant=tenant)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with the collection `manuals`, models without weights, and questions."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    monkeypatch.setattr(bootstrap, "open_scorer", lambda _: Engine())
    with state_database(load_settings()) as database:
        store = CollectionStore(database, threads=1)
        Ingestor(store, HashingEmbedder()).ingest_documents(documents(), "manuals")
        store.close()
    items = [
        EvaluationItem(
            id=f"q{i}",
            query=f"{QUERY} {i}",
            kind="made",
            made_by="hand",
            relevant=(Relevant(uri="steamer.md", start=0, end=120),),
        )
        for i in range(20)
    ]
    write_set(tmp_path / "set.jsonl", items)
    return tmp_path


def ends(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code


def test_a_tuning_reports_each_technique_and_is_kept(
    own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, "rag", "tune", "manuals", "--queries", str(own_state / "set.jsonl"), "--json")
    report = json.loads(capsys.readouterr().out)
    trials = {trial["name"]: trial for trial in report["trials"]}
    assert trials["late-interaction"]["why"] == "the collection keeps no vectors of tokens"
    assert "CAUSERIE_CROSS_ENCODER" in trials["cross-encoder"]["why"]
    assert trials["rewrite by model"]["why"] == "no question has a dialogue before it"
    assert trials["hyde"]["gain"]["n"] == report["num_questions"] == 20
    assert report["plan"] == {}
    ends(0, "rag", "show", "manuals", "--json")
    assert json.loads(capsys.readouterr().out) == report
    ends(0, "rag", "show", "manuals")
    shown = capsys.readouterr().out
    assert "on 20 questions" in shown
    assert "query-likelihood" in shown


def test_a_dry_run_keeps_nothing_and_questions_may_come_from_rules(
    own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, "rag", "tune", "manuals", "--dry-run", "--queries", str(own_state / "set.jsonl"))
    assert "the usual one" in capsys.readouterr().out
    ends(0, "rag", "show", "manuals")
    assert "nobody tuned it" in capsys.readouterr().out
    ends(0, "rag", "tune", "manuals", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out)["questions_from"] == "made by rules"


@pytest.mark.usefixtures("own_state")
def test_a_collection_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ends(1, "rag", "show", "gone")
    assert "no collection" in capsys.readouterr().err


@pytest.mark.usefixtures("own_state")
def test_a_search_follows_the_plan_and_explains_it(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings()
    with state_database(settings) as database:
        store = CollectionStore(database, threads=1)
        files = PlanFiles(settings.state / PLANS, store.info)
        files.save("manuals", KeptPlan(plan=QueryPlan(hyde=1, rerank="query-likelihood")))
        store.close()
    ends(0, "search", "manuals", QUERY, "--explain", "--json")
    found = json.loads(capsys.readouterr().out)
    trace = found["explain"]["trace"]
    assert [lane["name"] for lane in trace["lanes"]] == ["dense", "terms", "hyde"]
    assert trace["rerank"]["problem"] == ""
    assert found["data"][0]["uri"] == "steamer.md"
    ends(0, "search", "manuals", QUERY, "--explain")
    assert "query-likelihood: " in capsys.readouterr().out
    ends(0, "search", "manuals", QUERY, "--lanes", "terms", "--explain", "--json")
    assert "trace" not in json.loads(capsys.readouterr().out)["explain"]


def test_a_search_over_http_follows_the_plan(application: Application) -> None:
    application.ingestor.ingest_documents(documents(), "manuals")
    writer = ScriptedWriter(["Vinegar removes limescale from the cold tank."] * 3)
    planned = replace(
        application,
        search=PlannedSearch(application.embedder, writer=writer),
        plan_of=lambda _: QueryPlan(hyde=1, lane_weight=9.0),
    )
    body = {"query": "Which is sour?", "lanes": ["dense", "terms"], "explain": True}
    with local_client(planned) as client:
        answer = client.post("/v1/collections/manuals/search", json=body).json()
        filtered = {**body, "filter": {"eq": {"document.uri": "oven.md"}}}
        narrowed = client.post("/v1/collections/manuals/search", json=filtered).json()
    assert "vinegar" in answer["data"][0]["text"]
    assert answer["data"][0]["lanes"]["hyde"]["rank"] == 1
    assert answer["explain"]["trace"]["problems"] == []
    assert "trace" not in narrowed["explain"]
    assert {hit["uri"] for hit in narrowed["data"]} == {"oven.md"}
