"""The fixed queries of the part `lanes`, and that it measures techniques that there are."""

import json

from benchmarks.rag_lanes import _MEASURED, IDS
from rag.plan_tuning import TECHNIQUES
from rag.query_plan import QueryPlan


def test_the_queries_are_two_hundred_distinct_ids_in_order() -> None:
    ids = json.loads(IDS.read_text(encoding="utf-8"))
    assert len(set(ids)) == 200
    assert ids == sorted(ids)
    assert all(one.isdecimal() for one in ids)


def test_each_measured_technique_is_a_plan() -> None:
    for name in _MEASURED:
        assert QueryPlan.from_changes(TECHNIQUES[name]).changes()
