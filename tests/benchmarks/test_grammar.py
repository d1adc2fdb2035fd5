"""The benchmark of grammars, on cases made here."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from benchmarks.grammar import Bench, figures, table
from benchmarks.schema_cases import Case, Instance, compact, read_cases
from tests.llm.decoding.small_vocabulary import small_vocabulary


def write_cases(folder: Path) -> None:
    """Write one file of either data set."""
    (folder / "maskbench").mkdir()
    row = {
        "id": "a",
        "schema": {"type": "object", "properties": {"b": {"type": "null"}, "a": {}}},
        "tests": [{"data": {"a": 1, "b": None}, "valid": True}, {"data": {"b": 1}, "valid": False}],
    }
    (folder / "maskbench" / "Some.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    suite = folder / "json_schema_test_suite" / "tests" / "draft7"
    suite.mkdir(parents=True)
    rows = [
        {
            "description": "not",
            "schema": {"not": {}},
            "tests": [{"description": "any", "data": 1, "valid": False}],
        },
        {
            "description": "spelling",
            "schema": {"const": 1},
            "tests": [{"description": "float", "data": 1.0, "valid": True}],
        },
    ]
    (suite / "some.json").write_text(json.dumps(rows), encoding="utf-8")


def test_both_data_sets_are_read_and_counted(tmp_path: Path) -> None:
    write_cases(tmp_path)
    cases = read_cases(tmp_path)
    bench = Bench(small_vocabulary(), seed=1)
    for case in cases:
        bench.run(case)
    mask_bench = bench.tallies["maskbench/Some"]
    suite = bench.tallies["json_schema_test_suite/draft7"]
    assert (mask_bench.num_schemas, mask_bench.num_accepted) == (1, 1)
    assert (mask_bench.num_valid, mask_bench.num_invalid) == (1, 1)
    assert mask_bench.valid_refused == mask_bench.invalid_accepted == []
    assert (suite.num_schemas, suite.num_accepted) == (2, 1)
    assert len(suite.valid_refused) == 1
    assert bench.refusals == {"not": 1}
    assert mask_bench.num_outputs == 4
    assert mask_bench.outputs_wrong == suite.outputs_wrong == []
    assert "| maskbench/Some | 1 | 1 (100 %) | 0 of 1 | 0 of 1 | 0 of 4 |" in table(bench.tallies)
    by_name = {figure.name: figure for figure in figures(bench)}
    assert by_name["invalid instances accepted, maskbench/Some"].met
    assert by_name["mask, p50"].value > 0


def test_an_instance_is_written_in_the_order_of_its_schema() -> None:
    schema = {
        "$defs": {"c": {"properties": {"z": {}, "y": {"properties": {"q": {}, "p": {}}}}}},
        "properties": {"b": {"items": {"$ref": "#/$defs/c"}}, "a": {}},
        "required": ["r"],
        "allOf": [{"properties": {"d": {}}}],
    }
    value = {"e": 1, "d": 2, "r": 3, "a": 4, "b": [{"y": {"p": 5, "q": 6}, "z": 7}]}
    assert compact(value, schema) == '{"b":[{"z":7,"y":{"q":6,"p":5}}],"a":4,"d":2,"r":3,"e":1}'


def test_a_case_is_judged_by_its_draft() -> None:
    case = Case(
        file="f",
        name="n",
        schema={"type": "integer"},
        instances=(Instance(value=1, valid=True),),
        draft=Draft202012Validator,
    )
    assert case.is_valid(1)
    assert not case.is_valid("1")
