"""Searches by lanes with their explanation, over HTTP and from the command line."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api import bootstrap
from api.application import Application
from api.cli.main import main
from api.settings import load_settings
from api.state_database import state_database
from index.store import CollectionStore
from rag.ingest import Ingestor
from rag.pipeline import RetrievalPipeline
from rag.testing import HashingEmbedder
from tests.rag.question_corpus import documents

QUERY = "How long do carrots need in the steamer?"


@pytest.fixture
def manuals(application: Application) -> Application:
    application.ingestor.ingest_documents(documents(), "manuals")
    return application


def found(client: TestClient, **body: object) -> dict[str, object]:
    response = client.post("/v1/collections/manuals/search", json={"query": QUERY, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def test_each_passage_says_where_it_stands_in_each_lane(
    manuals: Application, client: TestClient
) -> None:
    answer = found(client, lanes=["dense", "terms"], explain=True)
    explain = answer["explain"]
    assert isinstance(explain, dict)
    assert [lane["name"] for lane in explain["lanes"]] == ["dense", "terms"]
    assert all(lane["ms"] >= 0 and lane["num_found"] > 0 for lane in explain["lanes"])
    assert set(explain["gate"]["features"]) >= {"nearest", "cover", "unknown"}
    assert explain["gate"]["decision"] in {"answer", "clarify", "abstain"}
    hits = answer["data"]
    assert isinstance(hits, list)
    assert hits[0]["uri"] == "steamer.md"
    best_terms = max(hit["lanes"]["terms"]["score"] for hit in hits if "terms" in hit["lanes"])
    for hit in hits:
        dense = hit["lanes"]["dense"]["score"]
        terms = hit["lanes"].get("terms", {"score": 0})["score"]
        assert hit["score"] == pytest.approx(dense + 0.4 * terms / best_terms, abs=1e-5)


def test_the_fused_order_is_that_of_answers(manuals: Application, client: TestClient) -> None:
    answered = RetrievalPipeline(manuals.store.open, manuals.embedder).find(QUERY, "manuals")
    hits = found(client, lanes=["terms", "dense"], k=10)["data"]
    assert isinstance(hits, list)
    assert [(hit["uri"], hit["start"]) for hit in hits] == [
        (passage.uri, passage.chunk.start) for passage in answered.passages
    ]
    assert all("lanes" not in hit for hit in hits)


def test_one_lane_alone_keeps_its_own_order_and_scores(
    manuals: Application, client: TestClient
) -> None:
    terms = found(client, lanes=["terms"], explain=True)
    hits = terms["data"]
    assert isinstance(hits, list)
    assert all(
        hit["lanes"]["terms"]["score"] == pytest.approx(hit["score"], abs=1e-5) for hit in hits
    )
    assert "gate" not in terms["explain"]  # type: ignore[operator]
    assert "fusion" not in terms["explain"]  # type: ignore[operator]
    assert found(client) == found(client, lanes=["dense"])


def test_a_filter_holds_for_both_lanes(manuals: Application, client: TestClient) -> None:
    where = {"eq": {"document.uri": "oven.md"}}
    hits = found(client, lanes=["dense", "terms"], filter=where, explain=True)["data"]
    assert isinstance(hits, list)
    assert {hit["uri"] for hit in hits} == {"oven.md"}


@pytest.mark.parametrize(
    "body",
    [
        {"lanes": []},
        {"lanes": ["hyde"]},
        {"lanes": ["dense", "terms", "dense"]},
        {"explain": "yes please"},
        {"as_of": 1, "explain": True},
        {"as_of": 1, "lanes": ["terms"]},
    ],
)
def test_what_cannot_be_searched_so_is_refused(
    manuals: Application, client: TestClient, body: dict[str, object]
) -> None:
    response = client.post("/v1/collections/manuals/search", json={"query": QUERY, **body})
    assert response.status_code == 400


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder with the collection `manuals`, and an embedder without weights."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    with state_database(load_settings()) as database:
        store = CollectionStore(database, threads=1)
        Ingestor(store, HashingEmbedder()).ingest_documents(documents(), "manuals")
        store.close()


def ends(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code


@pytest.mark.usefixtures("own_state")
def test_the_command_shows_passages_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    ends(0, "search", "manuals", QUERY, "--explain", "--k", "2")
    out = capsys.readouterr().out
    assert "Carrots need eleven minutes" in out
    assert "terms" in out
    assert "(rank 1)" in out
    assert "gate: " in out
    ends(0, "search", "manuals", QUERY, "--json", "--lanes", "terms")
    answer = json.loads(capsys.readouterr().out)
    assert answer["data"][0]["uri"] == "steamer.md"
    where = '{"eq": {"document.uri": "none.md"}}'
    ends(0, "search", "manuals", QUERY, "--filter", where)
    assert "nothing was found" in capsys.readouterr().out


@pytest.mark.usefixtures("own_state")
def test_what_is_wrong_with_a_search_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    ends(1, "search", "nothing", QUERY)
    assert "no collection" in capsys.readouterr().err
    ends(2, "search", "manuals", "  ")
    ends(2, "search", "manuals", QUERY, "--lanes", "hyde")
    ends(2, "search", "manuals", QUERY, "--filter", "{")
    ends(2, "search", "manuals", QUERY, "--filter", "[]")
    ends(1, "search", "manuals", QUERY, "--filter", '{"eq": 3}')
