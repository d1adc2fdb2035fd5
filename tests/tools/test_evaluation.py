import json
from pathlib import Path
from typing import Any

import pytest

from llm.chat import ToolCall
from tools.evaluation import (
    AllowedCall,
    Outcome,
    Question,
    QuestionFileError,
    Verdict,
    judge,
    load_questions,
    summarised,
)
from tools.json_check import check_schema, complaints

# Its answer for a text is the value true, which no rule lets pass.
CONTRADICTORY = {"simple_python_307"}

FUNCTION = {
    "name": "math.area",
    "description": "An area.",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer"},
            "height": {"type": "float"},
            "unit": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "box": {"type": "dict", "properties": {"w": {"type": "integer"}}},
        },
        "required": ["base", "height"],
    },
}


def question(*answers: dict[str, list[Any]]) -> Question:
    return Question(
        id="q",
        messages=(),
        functions=(FUNCTION,),
        answers=tuple(AllowedCall(name="math.area", arguments=answer) for answer in answers),
    )


ONE = question(
    {
        "base": [10],
        "height": [5, 6.5],
        "unit": ["square cm", "", "cm²"],
        "tags": [["a b", "c"], ""],
        "box": [{"w": [1, 2], "h": ["", 3]}, ""],
    }
)


def call(name: str = "math_area", /, **arguments: object) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=json.dumps(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"base": 10, "height": 5},
        {"base": 10, "height": 5.0},
        {"base": 10, "height": 6.5, "unit": "Square-CM"},
        {"base": 10, "height": 5, "unit": "square cm"},
        {"base": 10, "height": 5, "tags": ["A.B", "c"]},
        {"base": 10, "height": 5, "box": {"w": 2}},
        {"base": 10, "height": 5, "box": {"w": 1, "h": 3}},
    ],
)
def test_all_allowed_values_are_right(arguments: dict[str, Any]) -> None:
    verdict = judge(ONE, [call(**arguments)])
    assert (verdict.outcome, verdict.is_right, verdict.reason) == (Outcome.CORRECT, True, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"base": 10}, "height is missing"),
        ({"base": 10, "height": 5, "more": 1}, "more is not an argument"),
        ({"base": 10.0, "height": 5}, "base must be integer"),
        ({"base": "10", "height": 5}, "base must be integer"),
        ({"base": True, "height": 5}, "base must be integer"),
        ({"base": 11, "height": 5}, "base may be one of"),
        ({"base": 10, "height": 7}, "height may be one of"),
        ({"base": 10, "height": 5, "unit": "feet"}, "unit may be one of"),
        ({"base": 10, "height": 5, "tags": ["c", "a b"]}, "tags may be one of"),
        ({"base": 10, "height": 5, "tags": ["a b", 1]}, "tags must hold strings"),
        ({"base": 10, "height": 5, "tags": "a b"}, "tags must be array"),
        ({"base": 10, "height": 5, "box": {"h": 3}}, "box may be one of"),
        ({"base": 10, "height": 5, "box": {"w": 1, "d": 1}}, "box may be one of"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(arguments: dict[str, Any], word: str) -> None:
    verdict = judge(ONE, [call(**arguments)])
    assert (verdict.outcome, verdict.is_right) == (Outcome.WRONG_CALL, False)
    assert word in verdict.reason


def test_an_argument_may_be_left_out_only_where_the_answers_say_so() -> None:
    strict = question({"base": [1], "height": [1], "unit": ["m"]})
    assert "may not be left out" in judge(strict, [call(base=1, height=1)]).reason


def test_another_name_is_wrong_and_points_in_names_do_not_count() -> None:
    assert judge(ONE, [call("area", base=10, height=5)]).outcome is Outcome.WRONG_CALL
    assert judge(ONE, [call("math.area", base=10, height=5)]).is_right


def test_several_calls_are_matched_in_any_order_and_each_once() -> None:
    both = question({"base": [1, 2], "height": [1]}, {"base": [1], "height": [1]})
    first, second = call(base=1, height=1), call(base=2, height=1)
    assert judge(both, [first, second]).is_right
    assert judge(both, [second, first]).is_right
    assert not judge(both, [second, second]).is_right
    assert not judge(both, [first]).is_right
    assert not judge(both, [first, second, first]).is_right


def test_abstaining_failing_to_parse_and_calling_are_kept_apart() -> None:
    irrelevant = question()
    broken = ToolCall(id="1", name="math.area", arguments='{"base": ')
    verdicts = [
        judge(irrelevant, []),
        judge(irrelevant, [broken]),
        judge(irrelevant, [], is_parsable=False),
        judge(irrelevant, [call(base=1, height=1)]),
        judge(ONE, []),
    ]
    assert [v.outcome for v in verdicts] == [
        Outcome.ABSTAINED,
        Outcome.UNPARSABLE,
        Outcome.UNPARSABLE,
        Outcome.WRONG_CALL,
        Outcome.ABSTAINED,
    ]
    report = summarised(verdicts)
    assert (report.num_right, report.accuracy) == (1, 0.2)
    assert report.outcomes[Outcome.UNPARSABLE] == 2
    assert summarised([]).accuracy == 0


def test_a_missing_or_strange_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError):
        load_questions(tmp_path, "simple_python")
    (tmp_path / "BFCL_v4_odd.json").write_text('{"id": 1}\n')
    with pytest.raises(QuestionFileError):
        load_questions(tmp_path, "odd")


# --- on the leaderboard's data ---------------------------------------------------------------


@pytest.fixture(scope="module")
def bfcl(data_path: Path) -> Path:
    folder = data_path / "bfcl_v4"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    return folder


def value_of(option: Any) -> Any:
    """A value that an allowed one stands for: the first choice of each part of an object."""
    if isinstance(option, dict):
        chosen = {key: [v for v in values if v != ""] for key, values in option.items()}
        return {key: value_of(values[0]) for key, values in chosen.items() if values}
    return [value_of(part) for part in option] if isinstance(option, list) else option


def right_calls(asked: Question) -> list[ToolCall]:
    calls = []
    for answer in asked.answers:
        given = {key: [v for v in values if v != ""] for key, values in answer.arguments.items()}
        arguments = {key: value_of(values[0]) for key, values in given.items() if values}
        calls.append(call(answer.name, **arguments))
    return calls


def changed(right: ToolCall, key: str, value: object) -> ToolCall:
    arguments = {**json.loads(right.arguments), key: value}
    return ToolCall(id="1", name=right.name, arguments=json.dumps(arguments))


@pytest.mark.parametrize(
    ("category", "number"), [("simple_python", 400), ("multiple", 200), ("irrelevance", 240)]
)
def test_the_datas_own_answers_are_right(bfcl: Path, category: str, number: int) -> None:
    questions = load_questions(bfcl, category)
    verdicts = [judge(asked, right_calls(asked)) for asked in questions]
    assert len(verdicts) == number
    assert {v.id for v in verdicts if not v.is_right} <= CONTRADICTORY


@pytest.mark.parametrize("category", ["simple_python", "multiple"])
def test_every_spoilt_answer_of_the_data_is_wrong(bfcl: Path, category: str) -> None:
    spoilt: list[Verdict] = []
    for asked in load_questions(bfcl, category):
        right = right_calls(asked)[0]
        arguments = json.loads(right.arguments)
        spoilt.append(judge(asked, []))
        spoilt.append(judge(asked, [right, right]))
        spoilt.append(judge(asked, [changed(right, "no_such_argument", 1)]))
        spoilt.append(judge(asked, [ToolCall(id="1", name="other", arguments=right.arguments)]))
        spoilt.append(judge(asked, [ToolCall(id="1", name=right.name, arguments="{")]))
        for key in arguments:
            spoilt.append(judge(asked, [changed(right, key, [[["no such value"]]])]))
            spoilt.append(judge(asked, [changed(right, key, "no such value")]))
    assert len(spoilt) > 1_000
    assert [v for v in spoilt if v.is_right] == []


@pytest.mark.parametrize("category", ["simple_python", "multiple", "irrelevance"])
def test_the_datas_functions_are_specs_whose_schema_takes_the_answers(
    bfcl: Path, category: str
) -> None:
    refused = set()
    for asked in load_questions(bfcl, category):
        schemas = {spec.name: json.loads(spec.parameters) for spec in asked.specs}
        assert len(schemas) == len(asked.functions)
        for name, schema in schemas.items():
            check_schema(schema, where=name)
        for right in right_calls(asked):
            schema = schemas[right.name.replace(".", "_")]
            if complaints(json.loads(right.arguments), schema):
                refused.add(asked.id)
    assert refused <= CONTRADICTORY
