"""The file that names the last acknowledged write, made while others are at work in its folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from index import acknowledged, durable_files
from index.acknowledged import Acknowledged
from index.document_rows import Commit
from index.index_folder import IndexFolder

FIRST = Commit(seq=1, token="first")


def before_it_has_its_name(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen once, after the new file was written and before it has its name."""
    sync, left = durable_files.sync, [happens]

    def interrupted(path: Path) -> None:
        sync(path)
        if left:
            left.pop()()

    monkeypatch.setattr(acknowledged, "sync", interrupted)


def test_upkeep_that_sweeps_the_folder_does_not_end_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_it_has_its_name(monkeypatch, IndexFolder(tmp_path).sweep)
    acknowledged = Acknowledged(folder=tmp_path)
    acknowledged.note(FIRST)
    assert acknowledged.last() == FIRST
    assert [path.name for path in tmp_path.iterdir()] == ["SEQ"]


def test_a_write_that_another_noted_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Acknowledged(folder=tmp_path)
    before_it_has_its_name(monkeypatch, lambda: other.note(FIRST))
    Acknowledged(folder=tmp_path).reserve()
    assert other.last() == FIRST
    assert [path.name for path in tmp_path.iterdir()] == ["SEQ"]
