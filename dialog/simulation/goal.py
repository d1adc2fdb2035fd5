"""What a simulated user wants, and how it will behave on the way; all of it drawn beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dialog.task.commands import JSON


class Persona(StrEnum):
    """The ways of a user; each has an end of its own that counts as right."""

    COOPERATIVE = "cooperative"
    TERSE = "terse"  # values and nothing else
    OVERANSWERS = "overanswers"  # more than was asked
    CORRECTS = "corrects"  # says something wrong first
    DIGRESSES = "digresses"  # asks something else in between
    ASKS_BACK = "asks_back"  # "why do you need that?"
    IMPATIENT = "impatient"  # wants a person after a number of turns
    INDECISIVE = "indecisive"  # does not mind where others do, and changes its mind at the end
    REFUSES = "refuses"  # passes over what is optional, and over the rest until told why
    IMPOSSIBLE = "impossible"  # wants what there is not, and must be told so
    UNAVAILABLE = "unavailable"  # asks first for something that the bot does not do
    INCOMPLETE = "incomplete"  # begins with a fragment
    SWITCHES = "switches"  # goes on in another language of the bot


class Impossibility(StrEnum):
    """Why a goal cannot be reached."""

    NO_ROW = "no_row"  # nothing in the table is like that
    CHECK = "check"  # a check of the task fails
    NEEDS = "needs"  # the user lacks what the task needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The user says `decoy` first and mends it: in its next turn, or when asked to agree."""

    task: str
    slot: str
    decoy: JSON
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Digression:
    """Said instead of an answer in a turn: knowledge, chitchat, repeat, why, and the like."""

    turn: int
    kind: str
    text: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalTask:
    """One task of a goal: values by slot, the row to choose, the answer to questions of `do`."""

    task: str
    values: Mapping[str, JSON] = field(default_factory=dict)
    target: JSON = None
    says_yes: bool = True
    impossible: Impossibility | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """All that one simulated user wants.

    `patience` is the number of turns after which an impatient user wants a person; `facts` are what
    the channel knows of the user; `now` is ISO 8601 with its offset. Of slots, as (task, name),
    `indifferent` are those whose value does not matter, `refuses` those told only when asked twice.
    """

    tasks: tuple[GoalTask, ...]
    persona: Persona = Persona.COOPERATIVE
    facts: Mapping[str, JSON] = field(default_factory=dict)
    locale: str = "en"
    second_locale: str = ""
    now: str = "2025-03-03T09:00:00+00:00"
    timezone: str = "UTC"
    corrections: tuple[Correction, ...] = ()
    digressions: tuple[Digression, ...] = ()
    patience: int = 0
    indifferent: tuple[tuple[str, str], ...] = ()
    refuses: tuple[tuple[str, str], ...] = ()

    @property
    def is_possible(self) -> bool:
        """Whether all of it can be had."""
        return all(task.impossible is None for task in self.tasks)
