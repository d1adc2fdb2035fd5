"""What is wrong with a bot file, collected so that one reading tells all of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from dialog.bot.source import SourceLine
from dialog.errors import DialogError

MAX_PROBLEMS = 50


class Severity(StrEnum):
    """Whether a bot can run with it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, what, and how it would be right.

    `text` is the offending text, `example` a correct one, `remedy` what to do.
    """

    source: SourceLine
    message: str
    text: str = ""
    example: str = ""
    remedy: str = ""
    severity: Severity = Severity.ERROR
    rule: str = "load"

    def __str__(self) -> str:
        word = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        lines = [f"{self.source}: {word}{self.message}"]
        if self.text:
            lines.append(f"    found:   {self.text}")
        if self.remedy:
            lines.append(f"    remedy:  {self.remedy}")
        if self.example:
            lines.append(f"    example: {self.example}")
        return "\n".join(lines)


class BotFileErrors(DialogError):  # noqa: N818 - it is all of them
    """A bot file that cannot be used; `problems` in file order, at most `MAX_PROBLEMS`."""

    def __init__(self, problems: tuple[Problem, ...], *, num_more: int = 0) -> None:
        self.problems = problems
        more = f"\n… and {num_more} more" if num_more else ""
        super().__init__("\n".join(str(problem) for problem in problems) + more)


@dataclass(slots=True)
class Problems:
    """The problems found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(
        self,
        source: SourceLine,
        message: str,
        *,
        text: str = "",
        example: str = "",
        remedy: str = "",
    ) -> None:
        """Note an error; the same one at the same place is noted once."""
        problem = Problem(
            source=source, message=message, text=_short(text), example=example, remedy=remedy
        )
        if problem not in self.found:
            self.found.append(problem)

    def raise_if_any(self) -> None:
        """Raise what was found, in file order.

        Raises:
            BotFileErrors: at least one problem was found.
        """
        if self.found:
            ordered = sorted(
                self.found, key=lambda p: (p.source.file, p.source.line, p.source.column)
            )
            raise BotFileErrors(
                tuple(ordered[:MAX_PROBLEMS]), num_more=max(0, len(ordered) - MAX_PROBLEMS)
            )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"
