"""`eval build` and `eval run`: a set from the documents, its figures, a gate."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api import bootstrap, evaluation_bootstrap
from api.cli.main import main
from api.evaluation_desk import RunPlan, run_plan
from api.feedback import FeedbackStore, RatedAnswer
from api.settings import load_settings
from api.state_database import state_database
from index.store import CollectionStore
from llm.testing import ScriptedChatModel
from rag.evaluation import Answered
from rag.evaluation_set import EvaluationItem, Relevant, read_set
from rag.ingest import Ingestor
from rag.testing import HashingEmbedder
from tests.rag.question_corpus import documents


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database of a state folder with the collection `manuals`."""
    monkeypatch.setenv("CAUSERIE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation_bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    with state_database(load_settings()) as opened:
        store = CollectionStore(opened, threads=1)
        Ingestor(store, HashingEmbedder()).ingest_documents(documents(), "manuals")
        store.close()
        yield opened


def ends(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code


def test_a_set_is_built_and_run_and_both_are_told(
    database: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, "eval", "build", "manuals", "--num", "20", "--seed", "3")
    out = capsys.readouterr().out
    assert "trap: 1 of 4; the documents yield no more" in out
    items = read_set(tmp_path / "state" / "evaluation" / "manuals.jsonl")
    assert {item.kind for item in items} == {"heading", "cloze", "entity", "trap", "unanswerable"}
    ends(0, "eval", "run", "manuals", "--json", "figures.json")
    out = capsys.readouterr().out
    assert "abstention AUROC" in out
    assert "citation precision" in out
    found = json.loads(Path("figures.json").read_text())
    assert found["comparison"] is None
    assert found["summary"]["rows"]["cloze"]["recall"]["value"] > 0.7
    assert len(found["run"]["results"]) == len(items)
    assert list((tmp_path / "state" / "evaluation").glob("*.partial")) == []


def test_what_is_held_out_is_not_found(database: Engine) -> None:
    with evaluation_bootstrap.answering(load_settings(), "", "manuals") as (answerer, _):
        asked = EvaluationItem(
            id="1",
            query="What is Saltmarsh Mill?",
            kind="unanswerable",
            made_by="hand",
            answerable=False,
        )
        assert answerer.answer(asked).passages[0].uri == "oven.md"
        hidden = answerer.answer(replace(asked, held_out=("oven.md",)))
        assert {passage.uri for passage in hidden.passages} == {"kettle.md", "steamer.md"}
        assert hidden.confidence < answerer.answer(asked).confidence


def test_the_gate_closes_where_documents_are_gone(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, "eval", "build", "manuals", "--num", "20", "--kinds", "heading,cloze", "--out", "s")
    ends(0, "eval", "run", "manuals", "--set", "s", "--accept", "--gate")
    ends(0, "eval", "run", "manuals", "--set", "s", "--gate")
    assert "surely worse: nothing" in capsys.readouterr().out
    store = CollectionStore(database, threads=1)
    collection = store.open("manuals")
    for uri in ("oven.md", "kettle.md"):
        record = collection.find(uri)
        assert record is not None
        collection.delete(record.id)
    store.close()
    ends(3, "eval", "run", "manuals", "--set", "s", "--gate", "--accept")
    ends(3, "eval", "run", "manuals", "--set", "s", "--gate", "--html", "report.html")
    page = Path("report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 4
    assert "surely worse: recall" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "surely worse: " in (out := capsys.readouterr().out)
    assert "recall" in out.split("surely worse: ")[1]
    ends(3, "eval", "run", "manuals", "--set", "s", "--gate")  # the loss was not accepted


def test_a_gate_is_fitted_kept_used_and_taken_away(
    database: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "embedder_alone", lambda _: HashingEmbedder())
    ends(1, "eval", "gate", "manuals")
    assert "python -m api eval build manuals" in capsys.readouterr().err
    ends(0, "eval", "build", "manuals", "--num", "90", "--seed", "3")
    ends(0, "eval", "gate", "manuals", "--dry-run")
    out = capsys.readouterr().out
    assert "present gate" in out
    assert "nothing was kept" in out

    def gate() -> float:
        ends(0, "search", "manuals", "How much water does the tank hold?", "--explain", "--json")
        found: float = json.loads(capsys.readouterr().out)["explain"]["gate"]["p_answerable"]
        return found

    shipped = gate()
    ends(0, "eval", "gate", "manuals", "--force", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["kept"] is True
    assert told["fitted"]["num_answerable"] == told["present"]["num_answerable"] > 10
    assert gate() != shipped
    with evaluation_bootstrap.gate_fitting(load_settings(), "", "manuals") as (_, gates):
        assert gates.gate_of("manuals").is_calibrated
    ends(0, "eval", "gate", "manuals", "--reset")
    assert "shipped is used again" in capsys.readouterr().out
    assert gate() == shipped


def test_what_cannot_be_run_is_one_sentence(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(1, "eval", "run", "manuals")
    assert "python -m api eval build manuals" in capsys.readouterr().err
    ends(1, "eval", "build", "nothing")
    assert "no collection is called 'nothing'" in capsys.readouterr().err
    ends(2, "eval", "build", "manuals", "--kinds", "riddle")
    Path("bad.jsonl").write_text("{}\n")
    ends(1, "eval", "run", "manuals", "--set", "bad.jsonl")
    assert "bad.jsonl:1:" in capsys.readouterr().err


class Failing:
    """Answers two questions, then the machine goes down."""

    def __init__(self, fails_after: int) -> None:
        self.left = fails_after
        self.asked: list[str] = []

    def answer(self, item: EvaluationItem) -> Answered:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked.append(item.id)
        return Answered(
            passages=(),
            text="",
            citations=(),
            is_answer=False,
            confidence=0,
            supported=(),
            retrieval_s=0,
            total_s=0,
        )


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    items = tuple(
        EvaluationItem(id=str(i), query="q", kind="x", made_by="hand", answerable=False)
        for i in range(4)
    )
    plan = RunPlan(collection="c", seq=1, mode="extractive", k=5, seed=0, items=items)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, Failing(2), folder=tmp_path, on_result=lambda *_: None)
    (partial,) = tmp_path.iterdir()
    partial.write_text(partial.read_text() + '{"id": "2", "dig')  # killed while it wrote
    answerer = Failing(9)
    record = run_plan(plan, answerer, folder=tmp_path, on_result=lambda *_: None)
    assert answerer.asked == ["2", "3"]
    assert [result.id for result in record.results] == ["0", "1", "2", "3"]
    assert list(tmp_path.iterdir()) == []


def test_accepted_thumbs_become_questions_of_the_set(
    database: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FeedbackStore(database)
    answer = RatedAnswer(
        seq=3,
        collection="manuals",
        query="How long do carrots take?",
        history=(),
        cited=(Relevant(uri="steamer.md", start=30, end=90),),
        abstained=False,
    )
    store.give("c1", answer, "up")
    store.give("c2", answer, "down", "eleven minutes")
    store.give("c3", answer, "down")
    ends(0, "eval", "feedback", "list", "--collection", "manuals")
    out = capsys.readouterr().out
    assert "eleven minutes" in out
    assert "steamer.md:30-90" in out
    ends(1, "eval", "feedback", "accept", "2")
    ends(0, "eval", "feedback", "accept", "1")
    ends(0, "eval", "feedback", "accept", "2", "--relevant", "steamer.md:40-90")
    ends(0, "eval", "feedback", "reject", "3")
    ends(1, "eval", "feedback", "accept", "1", "--relevant", "steamer.md:9-4")
    assert "0 <= start < end" in capsys.readouterr().err
    ends(2, "eval", "feedback", "accept", "1", "--relevant", "a", "--unanswerable")
    ends(0, "eval", "feedback", "list", "--json")
    assert json.loads(capsys.readouterr().out) == []
    ends(1, "eval", "build", "manuals", "--num", "0")
    ends(0, "eval", "build", "manuals", "--num", "0", "--from-feedback", "--out", "s")
    first, second = read_set(Path("s"))
    assert first.relevant == answer.cited
    assert second.relevant == (Relevant(uri="steamer.md", start=40, end=90),)
    assert {first.kind, second.kind} == {"feedback"}
    ends(0, "eval", "run", "manuals", "--set", "s")


class ClosableModel(ScriptedChatModel):
    def close(self) -> None:
        """There is nothing to close."""


def test_the_model_writes_questions_and_answers_them(
    database: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ClosableModel(["Which carrots does the steamer steam in its upper basket?"] * 40)
    monkeypatch.setattr(evaluation_bootstrap, "open_scorer", lambda _: engine)
    ends(0, "eval", "build", "manuals", "--num", "0", "--with-model", "2", "--out", "s")
    assert "1 were kept" in capsys.readouterr().out
    (item,) = read_set(Path("s"))
    assert item.relevant[0].uri == "steamer.md"
    assert item.made_by.startswith("scripted about a chunk of steamer.md")
    ends(0, "eval", "run", "manuals", "--set", "s", "--with-model", "--json", "f.json")
    found = json.loads(Path("f.json").read_text())
    assert found["run"]["mode"] == "model"
    assert found["summary"]["rows"]["all"]["recall"]["value"] == 1
