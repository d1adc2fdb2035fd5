"""What a check finds in a bot that loads: errors, which fail at run time, and warnings."""

from collections.abc import Iterator
from dataclasses import dataclass

from dialog.bot.problems import Problem, Severity
from dialog.bot.source import SourceLine

EXIT_FINE, EXIT_WARNINGS, EXIT_ERRORS = 0, 1, 2


def error(
    rule: str, source: SourceLine, message: str, *, remedy: str, example: str = ""
) -> Problem:
    """Return a finding that will fail at run time."""
    return Problem(source=source, message=message, remedy=remedy, example=example, rule=rule)


def warning(
    rule: str, source: SourceLine, message: str, *, remedy: str, example: str = ""
) -> Problem:
    """Return a finding that a user would notice, or that does nothing."""
    return Problem(
        source=source, message=message, remedy=remedy, example=example, rule=rule,
        severity=Severity.WARNING,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """All that was found, in file order."""

    problems: tuple[Problem, ...]
    verdicts: tuple[str, ...] = ()  # of the model checker, a line a task

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The findings that fail at run time."""
        return tuple(p for p in self.problems if p.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The others."""
        return tuple(p for p in self.problems if p.severity is Severity.WARNING)

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 2 on errors, 1 on warnings where they count, else 0."""
        if self.errors:
            return EXIT_ERRORS
        return EXIT_WARNINGS if strict and self.warnings else EXIT_FINE

    def lines(self) -> Iterator[str]:
        """Yield the report as text."""
        for problem in self.problems:
            yield str(problem)
        yield from self.verdicts
        yield (
            f"{len(self.errors)} errors, {len(self.warnings)} warnings"
            if self.problems
            else "nothing to mend"
        )
