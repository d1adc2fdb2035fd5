"""`bot new|chat|test|simulate|replay|explain`, from an empty folder to a shrunk log."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import command_line

RUNNER = CliRunner()
NOW = ("--now", "2025-03-03T09:00")
TALK = ("I want to book a table", "on Friday at 7 pm", "four people", "Ana Lind", "yes")


def run(*arguments: str) -> Result:
    return RUNNER.invoke(command_line(["bot"]), ["bot", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> str:
    result = run("new", str(tmp_path / "corner_table"))
    assert result.exit_code == 0, result.output
    return str(tmp_path / "corner_table")


def said(folder: str, *more: str) -> Result:
    messages = [part for words in TALK for part in ("--message", words)]
    return run("chat", folder, *NOW, *messages, *more)


def test_a_new_bot_runs_as_it_is_and_is_never_overwritten(folder: str) -> None:
    assert run("test", folder).exit_code == 0
    again = run("new", folder)
    assert again.exit_code != 0
    assert "nothing was written" in str(again.exception)


def test_a_talk_is_written_down_replayed_and_explained(folder: str, tmp_path: Path) -> None:
    log = str(tmp_path / "talk.jsonl")
    result = said(folder, "--log", log, "--json")
    turns = json.loads(result.stdout)
    assert [act["name"] for act in turns[-2]["acts"]][-1] == "CONFIRM"
    assert "Your code is A4-" in turns[-1]["text"]
    assert run("replay", folder, log).exit_code == 0
    edited = run("replay", folder, log, "--turn", "3", "--says", "five people")
    assert edited.exit_code == 1
    assert "says now" in edited.output
    explained = run("explain", folder, log, "3")
    assert "set(people, 4)" in explained.output
    assert "bot.yaml:" in explained.output


def test_a_talk_says_that_a_call_takes_long(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.cli.bot_chat.HOLD_S", 0.02)
    tools = Path(folder) / "tools.py"
    slow = "import time as clock\n" + tools.read_text().replace(
        "    return", "    clock.sleep(0.3)\n    return"
    )
    tools.write_text(slow)
    assert "One moment, please." in said(folder).output


def test_a_simulation_says_what_came_of_it(folder: str) -> None:
    result = run(
        "simulate", folder, "--dialogues", "2", "--trials", "1", "--level", "act", "--json"
    )
    (report,) = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["figures"]["success"] == 1
    assert report["figures"]["unconfirmed_writes"] == 0


def test_a_bot_that_cannot_be_used_ends_with_two(folder: str) -> None:
    path = Path(folder) / "bot.yaml"
    path.write_text(path.read_text().replace("about:", "abotu:"))
    for command in ("test", "simulate", "chat"):
        result = run(command, folder)
        assert result.exit_code == 2
        assert "bot.yaml:4:5" in result.stderr


def test_a_failing_test_ends_with_one(folder: str) -> None:
    path = Path(folder) / "tests.yaml"
    path.write_text(path.read_text().replace("people: 4}\n", "people: 5}\n", 1))
    result = run("test", folder)
    assert result.exit_code == 1
    assert "expected people to be 5" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--user", "logged_in"), "NAME=VALUE"),
        (("--user", "age=7"), "no fact 'age'"),
        (("--locale", "fr"), "the bot speaks en, not fr"),
        (("--now", "tomorrow"), "2025-03-03T09:00"),
    ],
)
def test_options_that_cannot_be_meant_are_told(
    folder: str, arguments: tuple[str, str], words: str
) -> None:
    result = run("chat", folder, *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split()) + result.stderr
