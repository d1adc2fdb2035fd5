"""`bot check`: what would fail at run time, told before it does."""

from typing import Annotated, Any

import typer

from api.cli.bot_options import AsJson, BotFolder, print_json
from dialog.bot.problems import Problem
from dialog.builder.check import check_path
from dialog.builder.model_checker import DEPTH


def check(
    bot: BotFolder,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings end with exit code 1 as well.")
    ] = False,
    depth: Annotated[
        int, typer.Option("--depth", min=0, help="Turns that are walked through; 0: none.")
    ] = DEPTH,
    as_json: AsJson = False,
) -> None:
    """Find what cannot work in a bot: each finding with its line, a remedy and a dialogue.

    Exit code 2: errors; 1: warnings, with --strict.
    """
    report = check_path(bot, depth=depth)
    if as_json:
        print_json(
            {
                "problems": [_as_json(problem) for problem in report.problems],
                "verdicts": list(report.verdicts),
            }
        )
    else:
        for line in report.lines():
            print(line)
    if code := report.exit_code(strict=strict):
        raise typer.Exit(code)


def _as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.source.file,
        "line": problem.source.line,
        "column": problem.source.column,
        "severity": problem.severity.value,
        "rule": problem.rule,
        "message": problem.message,
        "text": problem.text,
        "remedy": problem.remedy,
        "example": problem.example,
    }
