import pytest

from rag.query_plan import DEFAULT_PLAN, QueryPlan


def test_a_plan_comes_back_from_what_it_changes() -> None:
    plan = QueryPlan(hyde=2, rerank="late-interaction", mmr=0.7)
    assert plan.changes() == {"hyde": 2, "rerank": "late-interaction", "mmr": 0.7}
    assert QueryPlan.from_changes(plan.changes()) == plan
    assert DEFAULT_PLAN.changes() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"hyde": 99},
        {"paraphrases": -1},
        {"self_ask": 5},
        {"rewrite": "magic"},
        {"fusion": "sorcery"},
        {"rerank": "oracle"},
        {"mmr": 1.5},
        {"lane_s": 0},
        {"wings": 2},
    ],
)
def test_what_is_no_plan_is_refused_with_the_name(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        QueryPlan.from_changes(changes)


@pytest.mark.parametrize(
    ("changes", "needs"),
    [({}, False), ({"rewrite": "model"}, True), ({"hyde": 2}, True), ({"mmr": 0.5}, False)],
)
def test_a_plan_says_whether_it_needs_the_chat_model(
    changes: dict[str, object], needs: bool
) -> None:
    assert QueryPlan.from_changes(changes).needs_engine is needs
