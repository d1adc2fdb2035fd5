import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llm.chat import ToolCall
from tests.tools.calling import executor
from tools.audit import AuditLog
from tools.base import Tool
from tools.builtin import table_lookup as module
from tools.builtin.table_lookup import table_lookup
from tools.errors import FatalError, ToolDeclarationError
from tools.mandate import Mandate
from tools.result import ResultKind, ToolResult


@pytest.fixture
def hotels(tmp_path: Path) -> Path:
    path = tmp_path / "hotels.csv"
    path.write_text(
        "\ufeffname,city,stars,zip\nRitz,Paris,5,00750\nIbis,Lyon,2,69001\n"
        "Adlon,berlin,5,10117\n100%,Bonn,,53111\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('CREATE TABLE "odd ""table" (id INTEGER, "select" TEXT, data BLOB)')
        database.execute("INSERT INTO \"odd \"\"table\" VALUES (1, 'x', x'0001')")
    return path


def ask(audit: AuditLog, tool: Tool, **arguments: object) -> ToolResult:
    call = ToolCall(id="1", name="look_up", arguments=json.dumps(arguments))
    return executor(audit, tool).run(call, Mandate())


def rows(audit: AuditLog, tool: Tool, **arguments: object) -> Any:
    result = ask(audit, tool, **arguments)
    assert not result.is_error, result.content
    return json.loads(result.content)["rows"]


def test_rows_are_found_by_conditions(audit: AuditLog, hotels: Path) -> None:
    tool = table_lookup({"hotels": hotels})
    assert "hotels(name, city, stars, zip)" in tool.spec.description

    def names(*where: tuple[str, str, object], **more: object) -> list[str]:
        keys = ("column", "operator", "value")
        conditions = [dict(zip(keys, condition, strict=True)) for condition in where]
        found = rows(audit, tool, table="hotels", where=conditions, columns=["name"], **more)
        return [row[0] for row in found]

    assert names(("stars", "=", 5), order_by="name") == ["Adlon", "Ritz"]
    assert names(("City", "=", "BERLIN")) == ["Adlon"]
    assert names(("stars", ">=", 2), ("stars", "<", 5)) == ["Ibis"]
    assert names(("name", "contains", "%")) == ["100%"]
    assert names(("name", "contains", "_")) == []
    assert names(("zip", "=", "00750")) == ["Ritz"], "what begins with 0 is no number"
    assert names(order_by="stars", is_descending=True, limit=1) in (["Ritz"], ["Adlon"])


def test_more_rows_than_asked_for_are_told_of(audit: AuditLog, hotels: Path) -> None:
    result = ask(audit, table_lookup({"h": hotels}), table="h", where=[], limit=2)
    found = json.loads(result.content)
    assert (len(found["rows"]), found["has_more"]) == (2, True)


def test_names_of_a_database_are_quoted_and_bytes_are_only_told_of(
    audit: AuditLog, shop: Path
) -> None:
    tool = table_lookup({"shop": shop})
    assert rows(audit, tool, table='shop.odd "table', where=[]) == [[1, "x", "[2 bytes]"]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"table": "hotel", "where": []}, "did you mean 'hotels'"),
        ({"table": "hotels", "where": [], "columns": ["nam"]}, "did you mean 'name'"),
        ({"table": "hotels", "where": [], "order_by": "name; DROP TABLE rows"}, "order_by"),
        ({"table": 'rows"; --', "where": []}, "table"),
        ({"table": "sqlite_master", "where": []}, "table"),
        (
            {"table": "hotels", "where": [{"column": "1=1", "operator": "=", "value": 1}]},
            "nothing is called",
        ),
        (
            {"table": "hotels", "where": [{"column": "name", "operator": "OR", "value": 1}]},
            "must be one of",
        ),
        ({"table": "hotels", "where": [], "limit": 100_000}, "<= 100"),
    ],
)
def test_nothing_but_names_that_exist_gets_to_the_database(
    audit: AuditLog, hotels: Path, arguments: dict[str, object], word: str
) -> None:
    result = ask(audit, table_lookup({"hotels": hotels}), **arguments)
    assert result.kind is ResultKind.INVALID
    assert word in result.content


def test_values_are_bound_and_never_read_as_sql(audit: AuditLog, shop: Path) -> None:
    tool = table_lookup({"shop": shop})
    evil = {"column": "select", "operator": "=", "value": "x' OR '1'='1"}
    assert rows(audit, tool, table='shop.odd "table', where=[evil]) == []


def test_the_connection_itself_cannot_write_or_reach_other_files(
    shop: Path, tmp_path: Path
) -> None:
    place = module._Place(shop, 'odd "table', ("id",))
    for query in (
        'DELETE FROM "odd ""table"',
        "PRAGMA query_only = 0",
        f"ATTACH '{tmp_path / 'other.db'}' AS other",
        "SELECT load_extension('x')",
        "CREATE TABLE t (a)",
    ):
        with pytest.raises(FatalError):
            module._rows(place, query, [])
    assert not (tmp_path / "other.db").exists()


def test_a_query_without_end_is_cut_off(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TIME_S", 0.1)
    with closing(sqlite3.connect(shop)) as database, database:
        database.execute(
            "CREATE VIEW big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT count(*) AS c FROM n"
        )
    monkeypatch.setattr(module, "_READ_ONLY", module._READ_ONLY | {sqlite3.SQLITE_RECURSIVE})
    with pytest.raises(FatalError, match="took more than"):
        module._rows(module._Place(shop, "big", ("c",)), "SELECT c FROM big", [])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b""),
        ("a.csv", b"a,A\n1,2\n"),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.db", b"no database at all, whatever its name says" * 30),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ToolDeclarationError):
        table_lookup({"t": path})
    with pytest.raises(ToolDeclarationError, match="no file"):
        table_lookup({"t": tmp_path / "absent.csv"})
