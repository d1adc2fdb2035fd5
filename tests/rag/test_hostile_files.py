"""A folder of hostile files beside good ones, and what reading costs at most."""

import time
from pathlib import Path

import pytest

from rag.errors import FailureCode, ParseError
from rag.ingest import Ingestor
from rag.ingest_report import Outcome
from rag.memory_store import MemoryStore
from rag.parsing import ParseLimits, parse
from rag.testing import HashingEmbedder
from tests.rag.hostile_files import GOOD, HOSTILE, INJECTION, RIGHT_TO_LEFT, nested_tables
from tests.rag.sample_files import pdf

SECONDS = 30  # each is done in far less than one; the machine may be busy


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_fails_in_time_by_its_code_and_in_one_sentence(name: str) -> None:
    data, code = HOSTILE[name]
    started = time.monotonic()
    with pytest.raises(ParseError) as caught:
        parse(data, name)
    assert time.monotonic() - started < SECONDS
    assert caught.value.code == code, caught.value.reason
    assert "\n" not in caught.value.reason
    assert 10 < len(caught.value.reason) < 400


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_file_is_read(name: str) -> None:
    data, words = GOOD[name]
    assert words in parse(data, name).text


def test_a_run_over_all_of_them_fails_each_alone(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    for name, (data, _) in (HOSTILE | GOOD).items():
        (folder / name).write_bytes(data)
    memory = MemoryStore()
    reports = Ingestor(memory, HashingEmbedder()).ingest_paths([folder], "docs")
    codes = {report.uri.removeprefix("all/"): report.code for report in reports}
    assert codes == {
        **{name: FailureCode(code) for name, (_, code) in HOSTILE.items()},
        **dict.fromkeys(GOOD),
    }
    added = {r.uri.removeprefix("all/") for r in reports if r.outcome is Outcome.ADDED}
    assert added == set(GOOD)
    for report in reports:
        if report.outcome is not Outcome.ADDED:
            continue
        stored = memory.open("docs").stored[report.uri]
        data = stored.text.encode()
        for item in stored.items:  # spans are exact in every script
            assert data[item.start : item.end].decode().strip()


def test_what_a_document_orders_is_data() -> None:
    """It is stored as it stands, word by word, and changes nothing about how it is read."""
    assert parse(INJECTION.encode(), "a.txt").text == INJECTION
    assert parse(RIGHT_TO_LEFT.encode(), "a.md").text == RIGHT_TO_LEFT


@pytest.mark.slow
def test_a_pdf_of_a_thousand_pages_is_read_in_bounded_time() -> None:
    data = pdf([f"Page {i} has a line about bee number {i}." for i in range(1000)])
    started = time.monotonic()
    found = parse(data, "long.pdf")
    took = time.monotonic() - started
    print(f"1,000 pages, {len(data)} bytes: {took:.2f} s")  # noqa: T201 - the figure
    assert found.text.count("\f") == 999
    assert found.metadata["num_pages"] == 1000
    assert took < 60


@pytest.mark.slow
def test_the_time_for_nested_tables_grows_no_faster_than_their_size() -> None:
    took = []
    for depth in (2_000, 20_000):
        started = time.monotonic()
        assert "The heart of it." in parse(nested_tables(depth), "a.html").text
        took.append(time.monotonic() - started)
    print(f"nested tables: {took[0]:.2f} s at 2,000, {took[1]:.2f} s at 20,000")  # noqa: T201
    assert took[1] < 30


def test_memory_is_bounded_by_the_limits() -> None:
    """A page of half a gigabyte of tags cannot be read within 300 MB, and says so."""
    data = b'{"a": "' + b"x" * 60_000_000 + b'"}'
    with pytest.raises(ParseError) as caught:
        parse(data, "big.json", limits=ParseLimits(memory_bytes=300 * 2**20))
    assert caught.value.code in {FailureCode.MEMORY, FailureCode.TOO_LARGE}
