import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.gate_files import GateFiles
from index.protocol import CollectionInfo, Metric
from rag.gate_model import DEFAULT_GATE, GateModel

INFO = CollectionInfo(
    name="house",
    embedder="hashing",
    fingerprint="f1",
    dim=8,
    metric=Metric.COSINE,
    num_documents=1,
    num_chunks=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
GATE = GateModel(weights={"nearest": 3.0}, bias=-1.0, threshold=0.4, is_calibrated=True)


def gates(folder: Path, info: CollectionInfo = INFO) -> GateFiles:
    return GateFiles(folder / "gates", lambda _: info)


def test_a_gate_is_kept_for_its_collection_and_others_have_the_shipped_one(tmp_path: Path) -> None:
    assert gates(tmp_path).gate_of("house") == DEFAULT_GATE
    gates(tmp_path).save("house", GATE)
    assert gates(tmp_path).gate_of("house") == GATE
    assert gates(tmp_path).gate_of("garden") == DEFAULT_GATE


@pytest.mark.parametrize(
    "info",
    [
        replace(INFO, fingerprint="f2"),
        replace(INFO, created_at=datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_collection_made_anew_does_not_inherit_a_gate(
    tmp_path: Path, info: CollectionInfo
) -> None:
    gates(tmp_path).save("house", GATE)
    assert gates(tmp_path, info).gate_of("house") == DEFAULT_GATE


@pytest.mark.parametrize("text", ["", "[]", '{"of": 1}', "nonsense"])
def test_a_damaged_file_is_told_and_the_shipped_gate_serves(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    gates(tmp_path).save("house", GATE)
    (tmp_path / "gates" / "house.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert gates(tmp_path).gate_of("house") == DEFAULT_GATE
    if text != '{"of": 1}':
        assert "cannot be read" in caplog.text
