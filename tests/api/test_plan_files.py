import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.plan_files import KeptPlan, PlanFiles
from index.protocol import CollectionInfo
from rag.query_plan import DEFAULT_PLAN, QueryPlan
from tests.api.test_gate_files import INFO

KEPT = KeptPlan(plan=QueryPlan(mmr=0.7, rewrite="questions"), report={"num": 3})


def plans(folder: Path, info: CollectionInfo = INFO) -> PlanFiles:
    return PlanFiles(folder / "plans", lambda _: info)


def test_a_plan_is_kept_for_its_collection_and_others_have_the_usual_one(tmp_path: Path) -> None:
    assert plans(tmp_path).kept("house") == KeptPlan()
    plans(tmp_path).save("house", KEPT)
    assert plans(tmp_path).kept("house") == KEPT
    assert plans(tmp_path).plan_of("house") == KEPT.plan
    assert plans(tmp_path).plan_of("garden") == DEFAULT_PLAN


@pytest.mark.parametrize(
    "info",
    [
        replace(INFO, fingerprint="f2"),
        replace(INFO, created_at=datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_collection_made_anew_does_not_inherit_a_plan(
    tmp_path: Path, info: CollectionInfo
) -> None:
    plans(tmp_path).save("house", KEPT)
    assert plans(tmp_path, info).plan_of("house") == DEFAULT_PLAN


@pytest.mark.parametrize("text", ["", "[]", '{"of": 1}', "nonsense"])
def test_a_damaged_file_is_told_and_the_usual_plan_serves(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    plans(tmp_path).save("house", KEPT)
    (tmp_path / "plans" / "house.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert plans(tmp_path).plan_of("house") == DEFAULT_PLAN
    if text != '{"of": 1}':
        assert "cannot be read" in caplog.text
