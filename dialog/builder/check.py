"""`bot check`: all that would fail at run time, with its line and a remedy."""

from pathlib import Path

from dialog.bot.definition import BotDefinition
from dialog.bot.loading import load_bot
from dialog.bot.problems import BotFileErrors
from dialog.builder.findings import CheckReport
from dialog.builder.guard_checks import guard_findings
from dialog.builder.slot_checks import slot_findings
from dialog.builder.step_checks import step_findings
from dialog.builder.text_checks import text_findings


def check_bot(bot: BotDefinition) -> CheckReport:
    """Return what is wrong with a bot that loads, in file order."""
    found = [
        *slot_findings(bot),
        *guard_findings(bot),
        *step_findings(bot),
        *text_findings(bot),
    ]
    ordered = sorted(
        dict.fromkeys(found), key=lambda p: (p.source.file, p.source.line, p.source.column)
    )
    return CheckReport(problems=tuple(ordered))


def check_path(path: Path | str) -> CheckReport:
    """Return what is wrong with a bot file or folder, also where it does not load."""
    try:
        bot = load_bot(path)
    except BotFileErrors as errors:
        return CheckReport(problems=errors.problems)
    return check_bot(bot)
