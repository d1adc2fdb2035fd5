"""What a user turn asks of the state: 28 commands, at most six a turn, in the order of the words.

A tracker emits them, a button or a test may as well. A value is canonical JSON, as the slot's type
makes it; every value comes with its source. Knows neither bot nor state: whether a command is
admitted is asked elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from dialog.errors import CommandError

JSON = Any
"""A JSON value: None, bool, int, float, str, list or dict of them."""

MAX_COMMANDS: Final = 6


class ValueSource(StrEnum):
    """Where a value was taken from; there is none for "made up"."""

    SPAN = "span"  # words of the user
    NORMALISER = "normaliser"  # what a slot type made of words of the user
    TABLE = "table"  # a row that the user's words name
    OFFER = "offer"  # something the bot showed
    COPY = "copy"  # another slot, of this or another task
    SYSTEM = "system"  # a value the bot said in its last turn
    BUTTON = "button"
    TOOL = "tool"
    INFERRED = "inferred"  # follows from what was said, in no words


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters `start` to `end` of the user's message, counted in the stored text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span needs 0 <= start <= end, got {self.start} to {self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another value that may have been meant, and how probable it is."""

    value: JSON
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands have: `p` is the tracker's probability that this was meant."""

    head: ClassVar[str] = ""
    p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"{self.head}: p must be in [0, 1], got {self.p}")

    def to_payload(self) -> dict[str, JSON]:
        """Return the command as JSON; fields that have their defaults are left out."""
        payload: dict[str, JSON] = {"head": self.head}
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default and type(value) is type(field.default):
                continue
            payload[field.name] = _plain(value)
        return payload

    @classmethod
    def read(cls, payload: Mapping[str, JSON]) -> Self:
        """Return the command that `to_payload` gave."""
        values = {key: value for key, value in payload.items() if key != "head"}
        if (span := values.get("span")) is not None:
            values["span"] = Span(start=span[0], end=span[1])
        if "source" in values:
            values["source"] = ValueSource(values["source"])
        if "alternatives" in values:
            pairs = values["alternatives"]
            values["alternatives"] = tuple(Alternative(value=v, p=p) for v, p in pairs)
        if "guesses" in values:
            values["guesses"] = tuple(values["guesses"])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEdit(Command):
    """A command that gives a slot a value. `task` "" is the task the user is in.

    `raw` is what was said, `alternatives` what else may have been meant, the likeliest first.
    """

    slot: str
    value: JSON
    task: str = ""
    raw: str = ""
    span: Span | None = None
    source: ValueSource = ValueSource.NORMALISER
    alternatives: tuple[Alternative, ...] = ()
    violation: str = ""  # the bound that the value breaks, as the slot's type tells it


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(SlotEdit):
    """The slot is to have the value."""

    head: ClassVar[str] = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(SlotEdit):
    """The slot has a value and is to have another one."""

    head: ClassVar[str] = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(SlotEdit):
    """The value joins those of a slot that holds many."""

    head: ClassVar[str] = "add"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(SlotEdit):
    """The value leaves those of a slot that holds many."""

    head: ClassVar[str] = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCommand(Command):
    """A command about a slot, without a value."""

    slot: str
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear(SlotCommand):
    """The slot is to be empty."""

    head: ClassVar[str] = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class DontCare(SlotCommand):
    """Any value will do."""

    head: ClassVar[str] = "dontcare"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalSlotCommand(Command):
    """A command that may name a slot; "" is the slot in question."""

    slot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affirm(OptionalSlotCommand):
    """Yes."""

    head: ClassVar[str] = "affirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(OptionalSlotCommand):
    """No."""

    head: ClassVar[str] = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip(OptionalSlotCommand):
    """The question need not be answered."""

    head: ClassVar[str] = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Back(OptionalSlotCommand):
    """An earlier answer is to be given anew."""

    head: ClassVar[str] = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why(OptionalSlotCommand):
    """Why is this asked?"""

    head: ClassVar[str] = "why"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Command):
    """A task is wanted."""

    head: ClassVar[str] = "start"
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose(Command):
    """One of what is offered: its number from 1, or its key."""

    head: ClassVar[str] = "choose"
    n: int = 0
    entity: JSON = None


@dataclass(frozen=True, slots=True, kw_only=True)
class More(Command):
    """Other offers, or such that go further in a direction ("cheaper", "later")."""

    head: ClassVar[str] = "more"
    direction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Command):
    """An attribute of the entity in question, or of the one named."""

    head: ClassVar[str] = "ask"
    attribute: str
    entity: JSON = None


@dataclass(frozen=True, slots=True, kw_only=True)
class What(Command):
    """What does a term mean?"""

    head: ClassVar[str] = "what"
    term: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge(Command):
    """A question that documents may answer."""

    head: ClassVar[str] = "knowledge"
    query: str
    source: str = ""

    @classmethod
    def read(cls, payload: Mapping[str, JSON]) -> Self:
        """Return the command that `to_payload` gave; its `source` is a name."""
        return cls(**{key: value for key, value in payload.items() if key != "head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chitchat(Command):
    """Talk that asks nothing of the bot's tasks."""

    head: ClassVar[str] = "chitchat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(Command):
    """The same once more, in the same words."""

    head: ClassVar[str] = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rephrase(Command):
    """The same in other words."""

    head: ClassVar[str] = "rephrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalTaskCommand(Command):
    """A command that may name a task; "" is the one the user is in, or was in last."""

    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(OptionalTaskCommand):
    """The task is no longer wanted."""

    head: ClassVar[str] = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(OptionalTaskCommand):
    """A task that was left is to go on."""

    head: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Command):
    """The user needs a moment."""

    head: ClassVar[str] = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(Command):
    """All from the beginning."""

    head: ClassVar[str] = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff(Command):
    """A person is wanted."""

    head: ClassVar[str] = "handoff"
    queue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Command):
    """The user needs nothing else."""

    head: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(Command):
    """It was not understood; `guesses` are names of tasks or slots it may be about, best first.

    Where only the slot is unclear, `value` is what was said ("make it 5"), and `task` whose it is.
    """

    head: ClassVar[str] = "unclear"
    guesses: tuple[str, ...] = ()
    task: str = ""
    value: JSON = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Command):
    """The conversation is to go on in a language of the bot."""

    head: ClassVar[str] = "language"
    locale: str


COMMANDS: Final[Mapping[str, type[Command]]] = {
    kind.head: kind
    for kind in (
        *(Start, Set, Change, Add, Remove, Clear, DontCare, Affirm, Deny, Choose, More, Ask, Why),
        *(What, Knowledge, Chitchat, Skip, Back, Repeat, Rephrase, Cancel, Resume, Hold, Restart),
        *(Handoff, Done, Unclear, Language),
    )
}
"""All commands by head."""


def command_from_payload(payload: Mapping[str, JSON]) -> Command:
    """Return the command that `to_payload` gave.

    Raises:
        CommandError: no command has this head, or these arguments.
    """
    kind = COMMANDS.get(str(payload.get("head")))
    if kind is None:
        raise CommandError(
            f"no command is called {payload.get('head')!r}; there are {sorted(COMMANDS)}"
        )
    try:
        return kind.read(payload)
    except (TypeError, ValueError, IndexError) as error:
        raise CommandError(f"{kind.head} cannot be read from {dict(payload)!r}: {error}") from error


def _plain(value: Any) -> JSON:
    match value:
        case Span():
            return [value.start, value.end]
        case tuple():
            return [_plain(part) for part in value]
        case Alternative():
            return [value.value, value.p]
        case StrEnum():
            return value.value
    return value
