"""`bot check` on the command line: exit codes, and findings for other programs."""

import json
from pathlib import Path

from typer.testing import CliRunner

from api.cli.bot import bot_app
from tests.dialog.bot.harbour import harbour_in


def test_exit_codes_tell_errors_warnings_and_nothing(tmp_path: Path) -> None:
    runner = CliRunner()
    harbour = str(harbour_in(tmp_path / "harbour"))
    assert runner.invoke(bot_app, ["check", harbour]).exit_code == 0
    assert runner.invoke(bot_app, ["check", harbour, "--strict"]).exit_code == 1
    (tmp_path / "bot.yaml").write_text("bot: T\ntsks: {}\n", encoding="utf-8")
    result = runner.invoke(bot_app, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert "bot.yaml:2:1: unknown key 'tsks'; did you mean 'tasks'?" in result.output


def test_findings_are_json_for_other_programs(tmp_path: Path) -> None:
    harbour = str(harbour_in(tmp_path / "harbour"))
    result = CliRunner().invoke(bot_app, ["check", harbour, "--json", "--depth", "3"])
    found = json.loads(result.output)
    assert {problem["severity"] for problem in found["problems"]} == {"warning"}
    assert all(problem["line"] > 0 and problem["remedy"] for problem in found["problems"])
    assert found["verdicts"][0].startswith("find_hotel: no counterexample to depth 3")
