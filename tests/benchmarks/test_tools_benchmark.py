"""The benchmark of tools: its attacks, its three ways to ask, its figures."""

from pathlib import Path

import pytest

from benchmarks import agent_costs, function_calls, injections
from benchmarks.injection_cases import injections as cases
from llm.testing import ScriptedChatModel
from tools.evaluation import Outcome

CALL = '<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>'


def test_there_are_enough_attacks_and_each_has_its_own_id() -> None:
    found = [*cases()]
    assert len(found) >= 60
    assert len({case.id for case in found}) == len(found)
    assert {case.place for case in found} == {"document", "tool"}


@pytest.mark.parametrize("gate", injections.GATES)
def test_what_an_attacker_planted_is_done_only_without_a_gate(gate: injections.Gate) -> None:
    """Every eighth attack, so that all deeds and both places are among them; `all` in the bench."""
    for case in [*cases()][::9]:
        is_expected = gate == "none" or (gate == "ungrounded" and case.is_own_words)
        assert injections.is_done(case, gate) is is_expected, case.id


def test_what_the_user_asked_for_is_done_unasked() -> None:
    assert all(injections.is_wish_done(wish) for wish in injections.wishes())


def test_a_call_is_read_generously_only_where_nothing_held_it_to_its_form() -> None:
    bare = 'Sure: {"name": "f", "arguments": {"a": 1}}'
    assert function_calls._read(bare, is_lenient=False) == ((), False)
    calls, is_parsable = function_calls._read(bare, is_lenient=True)
    assert (calls[0].name, calls[0].arguments, is_parsable) == ("f", '{"a": 1}', True)
    assert function_calls._read("No function helps.", is_lenient=True) == ((), True)
    assert function_calls._read('<tool_call>{"name":"f","argum', is_lenient=True) == ((), False)
    calls, is_parsable = function_calls._read(CALL, is_lenient=False)
    assert (len(calls), is_parsable) == (1, True)


def test_each_category_is_asked_in_each_way_and_counted(data_path: Path) -> None:
    model = ScriptedChatModel([CALL] * 8)
    told: list[str] = []
    answers = function_calls.measure(model, data_path / "bfcl_v4", num=1, on_progress=told.append)
    assert len(answers) == 8, "who must call cannot abstain"
    figures = {figure.name: figure for figure in function_calls.figures_of(answers)}
    assert figures["parse failures under the grammar"].value == 0
    assert figures["irrelevance, may call: wrong_call"].value == 1
    assert figures["simple_python, plain: right"].value == 0
    assert {answer.verdict.outcome for answer in answers} == {Outcome.WRONG_CALL}


def test_the_overhead_is_measured_apart_from_the_model_and_the_tools() -> None:
    figures = agent_costs.overhead(runs=1, steps=2)
    assert figures[0].value > 0
    assert figures[0].target == 5.0
