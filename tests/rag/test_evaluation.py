from dataclasses import replace

import pytest

from rag.citations import Citation
from rag.document import Chunk, Passage
from rag.evaluation import Answered, QuestionResult, digest_of, result_of, run_set
from rag.evaluation_set import EvaluationItem, Relevant
from rag.evaluation_summary import compare, summary_of

ITEM = EvaluationItem(
    id="1",
    query="how long?",
    kind="cloze",
    made_by="hand",
    relevant=(Relevant(uri="a", start=0, end=10), Relevant(uri="b", start=5, end=9)),
    answers=("20 minutes",),
)
NONE = replace(ITEM, id="2", relevant=(), answers=(), answerable=False, kind="unanswerable")


def citation(number: int, uri: str, start: int, end: int) -> Citation:
    return Citation(
        id=number,
        collection="c",
        document_id=uri,
        title=uri,
        uri=uri,
        start=start,
        end=end,
        quote="q",
        score=1,
    )


def answered(**changes: object) -> Answered:
    values = {
        "passages": tuple(
            Passage(
                collection="c",
                document_id=uri,
                title=uri,
                uri=uri,
                chunk=Chunk(start=0, end=10, text="x" * 10),
                score=1,
                rank=rank,
            )
            for rank, uri in enumerate(["z", "a", "b"], start=1)
        ),
        "text": "It takes 20 minutes.",
        "citations": (citation(1, "a", 2, 4), citation(2, "z", 0, 5)),
        "is_answer": True,
        "confidence": 0.9,
        "supported": (True, False),
        "retrieval_s": 0.1,
        "total_s": 0.2,
    }
    return Answered(**(values | changes))  # type: ignore[arg-type]


def test_the_figures_of_an_answer() -> None:
    figures = result_of(ITEM, answered(), k=2).figures
    assert figures["recall"] == 0.5
    assert figures["mrr"] == 0.5
    assert figures["citation_precision"] == 0.5
    assert figures["citation_recall"] == 0.5
    assert figures["faithfulness"] == 0.5
    assert figures["answer_held"] == 1
    assert figures["exact_match"] == 0
    assert figures["answer_f1"] == pytest.approx(2 * 2 / 6)
    assert figures["decision"] == 1


def test_an_abstention_is_right_where_there_is_no_answer() -> None:
    silent = answered(is_answer=False, text="", citations=(), supported=())
    assert result_of(NONE, silent).is_right
    assert set(result_of(NONE, silent).figures) == {"decision"}
    assert not result_of(NONE, answered()).is_right
    missed = result_of(ITEM, silent)
    assert not missed.is_right
    assert missed.figures["decision"] == 0
    assert missed.figures["citation_recall"] == 0
    assert "citation_precision" not in missed.figures


def test_an_answer_that_cites_something_else_is_wrong() -> None:
    assert not result_of(ITEM, answered(citations=(citation(1, "z", 0, 5),))).is_right


class Counting:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, item: EvaluationItem) -> Answered:
        self.asked.append(item.id)
        return answered()


def test_what_is_known_is_not_asked_again_unless_it_changed() -> None:
    known = {digest_of(ITEM): result_of(ITEM, answered())}
    answerer = Counting()
    told: list[tuple[int, int]] = []
    results = list(
        run_set(
            [ITEM, NONE], answerer, known=known, on_result=lambda _, n, of: told.append((n, of))
        )
    )
    assert answerer.asked == ["2"]
    assert told == [(2, 2)]
    assert [result.id for result in results] == ["1", "2"]
    changed = replace(ITEM, relevant=ITEM.relevant[:1])
    list(run_set([changed], answerer, known=known))
    assert answerer.asked == ["2", "1"]


def test_a_result_survives_json() -> None:
    result = result_of(ITEM, answered())
    assert QuestionResult.from_json(result.to_json()) == result


def results(recall: float, *, num: int = 40, kind: str = "heading") -> list[QuestionResult]:
    found = []
    for number in range(num):
        is_hit = number < recall * num
        found.append(
            QuestionResult(
                id=str(number),
                digest=f"{kind}{number}",
                kind=kind,
                answerable=number % 4 > 0,
                is_answer=True,
                is_right=is_hit,
                confidence=0.9 if is_hit else 0.4,
                retrieval_s=0.01 * (number + 1),
                total_s=0.1,
                figures={"recall": float(is_hit), "ndcg": 0.5, "decision": 1.0},
            )
        )
    return found


def test_a_summary_has_rows_by_kind_risk_and_times() -> None:
    summary = summary_of([*results(1.0, num=10), *results(0.5, kind="cloze")])
    assert list(summary.rows) == ["all", "heading", "cloze"]
    assert summary.rows["heading"]["recall"].value == 1
    assert summary.rows["cloze"]["recall"].value == 0.5
    assert summary.rows["all"]["recall"].n == 50
    assert summary.auroc is not None
    assert summary.risk[-1].coverage == 1
    assert summary.risk[-1].risk == pytest.approx(20 / 50)
    assert summary.retrieval.p50 < summary.retrieval.p95
    with pytest.raises(ValueError, match="without questions"):
        summary_of([])


def test_a_sure_loss_is_told_and_noise_is_not() -> None:
    before = results(1.0)
    worse = compare(results(0.6), before)
    assert worse.losses == ("recall",)
    assert worse.differences["recall"].value == pytest.approx(-0.4)
    assert compare(results(0.95), before).losses == ()  # two of forty
    assert compare(before, results(0.6)).losses == ()  # a gain
    assert compare(before, before).losses == ()


def test_only_questions_of_both_runs_are_compared() -> None:
    found = compare(results(0.5), results(1.0, kind="other"))
    assert found.num_pairs == 0
    assert found.differences == {}
