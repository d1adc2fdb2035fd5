"""`bot evaluate` on corpora of two dialogues, and what it says of bad ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import command_line

_ONTOLOGY = {
    "domains": {
        "restaurant": {
            "description": "a restaurant",
            "slots": {
                "food": {"description": "food", "is_categorical": False, "possible_values": []},
                "area": {
                    "description": "area",
                    "is_categorical": True,
                    "possible_values": ["north", "south"],
                },
            },
        }
    },
    "intents": {},
}


def _turn(text: str, **state: str) -> dict[str, Any]:
    return {
        "speaker": "user",
        "utterance": text,
        "state": {"restaurant": state},
        "dialogue_act": {"binary": [], "categorical": [], "non-categorical": []},
    }


@pytest.fixture
def woz(tmp_path: Path) -> Path:
    """Return a folder with an ontology and two dialogues of one turn; one label is wrong."""
    (tmp_path / "names.json").write_text(json.dumps(_ONTOLOGY))
    dialogues = [
        {
            "dataset": "woz",
            "data_split": "train",
            "dialogue_id": name,
            "domains": ["restaurant"],
            "turns": [_turn("thai food in the north", food=food, area="north")],
        }
        for name, food in (("a", "thai"), ("b", "greek"))
    ]
    (tmp_path / "talks.jsonl").write_text("\n".join(map(json.dumps, dialogues)))
    return tmp_path


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(command_line(["bot"]), ["bot", "evaluate", *arguments])


def test_figures_are_printed_as_words_and_as_json(woz: Path, tmp_path: Path) -> None:
    """One of two turns is right: .5; three of four values."""
    said = _run("--format", "woz", "--data", str(woz))
    assert said.exit_code == 0, said.output
    assert "joint_goal_accuracy" in said.output
    target = tmp_path / "out" / "figures.json"
    target.parent.mkdir()
    assert _run("--format", "woz", "--data", str(woz), "--json", str(target)).exit_code == 0
    figures = json.loads(target.read_text())
    assert figures["joint_goal_accuracy"] == 0.5
    assert figures["slot_f1"] == 0.75
    assert figures["invented_values"] == 0


def test_some_dialogues_may_be_taken_by_id(woz: Path, tmp_path: Path) -> None:
    """An id that is not there is named."""
    ids = tmp_path / "ids"
    ids.write_text('["a"]')
    said = _run("--format", "woz", "--data", str(woz), "--ids", str(ids), "--json", "-")
    assert json.loads(said.output[said.output.index("{") :])["joint_goal_accuracy"] == 1.0
    ids.write_text('["nobody"]')
    said = _run("--format", "woz", "--data", str(woz), "--ids", str(ids))
    assert said.exit_code == 2
    assert "no dialogue 'nobody'" in said.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "tau", "--data", "."), "there is no corpus format 'tau'"),
        (("--format", "sgd", "--data", "missing"), "there is nothing at missing"),
        (("--format", "woz", "--data", ".", "--tracker", "best"), "there is no tracker 'best'"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: tuple[str, ...], message: str) -> None:
    """With exit code 2."""
    said = _run(*arguments)
    assert said.exit_code == 2
    assert message in said.output


def test_another_format_s_file_is_told_apart(woz: Path) -> None:
    """By what is in it."""
    said = _run("--format", "sgd", "--data", str(woz))
    assert said.exit_code == 2
    assert "holds no SGD dialogue" in said.output
    (woz / "talks.jsonl").write_text('{"dialogue_id": 1,\n')
    said = _run("--format", "woz", "--data", str(woz))
    assert said.exit_code == 2
    assert "is no JSON" in said.output
