"""`bot check`: all that would fail at run time, with its line and a remedy."""

from dataclasses import replace
from pathlib import Path

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors, Problem
from dialog.builder.findings import CheckReport
from dialog.builder.guard_checks import guard_findings
from dialog.builder.model_checker import DEPTH, check_model
from dialog.builder.slot_checks import slot_findings
from dialog.builder.step_checks import step_findings
from dialog.builder.text_checks import text_findings


def check_bot(bot: BotDefinition, *, depth: int = DEPTH) -> CheckReport:
    """Return what is wrong with a bot that loads, in file order.

    `depth` bounds the dialogues that the model checker walks through, in turns; 0 leaves it out.
    """
    verdicts = check_model(bot, depth=depth) if depth else ()
    found = [
        *slot_findings(bot),
        *guard_findings(bot),
        *step_findings(bot),
        *text_findings(bot),
    ]
    walked = [problem for verdict in verdicts for problem in verdict.problems]
    ordered = sorted(
        _merged(found, walked), key=lambda p: (p.source.file, p.source.line, p.source.column)
    )
    return CheckReport(problems=tuple(ordered), verdicts=tuple(str(v) for v in verdicts))


def _merged(found: list[Problem], walked: list[Problem]) -> list[Problem]:
    """Give a finding the dialogue that shows it, where the walk found the same at the same line."""
    dialogues = {(p.rule, p.source): p for p in walked}
    merged = []
    for problem in dict.fromkeys(found):
        same = dialogues.pop((problem.rule, problem.source), None)
        merged.append(replace(problem, example=same.example) if same else problem)
    return [*merged, *dialogues.values()]


def check_path(path: Path | str, *, depth: int = DEPTH) -> CheckReport:
    """Return what is wrong with a bot file or folder, also where it does not load."""
    try:
        bot = load_bot(path)
    except BotFileErrors as errors:
        return CheckReport(problems=errors.problems)
    return check_bot(bot, depth=depth)
