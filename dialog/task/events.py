"""What happened in a task-oriented conversation, one frozen value per kind of event.

Facts only: the words, the parse, what tools returned, what was said. The state is a fold of them
(`dialog.task.fold`); time, models and the world enter through them and nowhere else. A kind ends in
the version of its shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from dialog.errors import UnreadableEventError
from dialog.task.acts import Act, CallTool, act_from_payload
from dialog.task.canonical import plain
from dialog.task.commands import JSON, Alternative, Command, command_from_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The conversation was opened, with the facts about the user that the channel knows.

    `parent` is the conversation this one is an edited copy of, "" for none. `person` is the user's
    name with the channel, "" for a stranger, and `remembered` what the bot knew of that user.
    """

    kind: ClassVar[str] = "opened.1"
    locale: str
    timezone: str
    now: str  # ISO 8601, with its offset
    user: Mapping[str, JSON] = field(default_factory=dict)
    channel: str = ""
    parent: str = ""
    person: str = ""
    remembered: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUttered:
    """A user sent a message: words, or the payload of a button. Sensitive spans are placeholders.

    `placeholders` maps each of them to the name of the slot whose type recognised it. `merged` are
    the ids of messages that came within the merge window of this one, and whose words are in it;
    `was_busy` that it was sent while a call for an earlier one was running.
    """

    kind: ClassVar[str] = "user_uttered.2"
    message_id: str
    text: str
    now: str
    button: str = ""
    channel: str = ""
    locale: str = ""  # "": as before
    timezone: str = ""  # "": as before
    placeholders: Mapping[str, str] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    was_busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandsParsed:
    """A tracker read the message: commands, and the posterior of each slot that it looked at."""

    kind: ClassVar[str] = "commands_parsed.1"
    commands: tuple[Command, ...]
    posteriors: Mapping[str, tuple[Alternative, ...]] = field(default_factory=dict)
    tracker: str = ""
    grammar: str = ""  # hash of the grammar of this state
    model: str = ""  # hash of the model, "" without one
    tokens_computed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    """A tool is about to be called; without its `ToolReturned` the call is in doubt."""

    kind: ClassVar[str] = "tool_started.1"
    call_id: str
    tool: str
    arguments: Mapping[str, JSON]
    frame: int
    purpose: str
    place: str
    source: str = ""

    @classmethod
    def of(cls, step: CallTool, call_id: str) -> Self:
        """Return the beginning of the call that a step asks for."""
        return cls(
            call_id=call_id,
            tool=step.tool,
            arguments=step.arguments,
            frame=step.frame,
            purpose=step.purpose,
            place=step.place,
            source=step.source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """A call ended: with a value, or with an error of a kind (invalid, not_found, …)."""

    kind: ClassVar[str] = "tool_returned.1"
    call_id: str
    value: JSON = None
    error: str = ""  # "": it went well
    message: str = ""
    slot: str = ""  # the argument that an `invalid` is about
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassagesFound:
    """A knowledge source was asked; `answer` "" means that it has none that is near enough."""

    kind: ClassVar[str] = "passages_found.1"
    query: str
    knowledge: str
    answer: str = ""
    citations: tuple[JSON, ...] = ()
    score: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotUttered:
    """The bot said something in answer to a message (or a timer: `message_id` "")."""

    kind: ClassVar[str] = "bot_uttered.1"
    message_id: str
    text: str
    acts: tuple[Act, ...]
    templates: tuple[str, ...] = ()
    variants: tuple[int, ...] = ()
    buttons: tuple[JSON, ...] = ()
    rule: str = ""
    lost: tuple[str, ...] = ()
    rephrased_from: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A timer ran out; `name` is what for, such as "idle"."""

    kind: ClassVar[str] = "timer_fired.1"
    name: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorActed:
    """A person took the conversation over, gave it back, said something, or edited slots."""

    kind: ClassVar[str] = "operator_acted.1"
    action: str  # take, say, return
    operator: str = ""
    text: str = ""
    edits: Mapping[str, JSON] = field(default_factory=dict)  # slot → value, of the open task


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """The conversation goes on with another version of the bot."""

    kind: ClassVar[str] = "migrated.1"
    bot_hash: str


TaskEvent = (
    Opened
    | UserUttered
    | CommandsParsed
    | ToolStarted
    | ToolReturned
    | PassagesFound
    | BotUttered
    | TimerFired
    | OperatorActed
    | Migrated
)

EVENTS: Final[Mapping[str, type[TaskEvent]]] = {
    event.kind: event
    for event in (
        *(Opened, UserUttered, CommandsParsed, ToolStarted, ToolReturned, PassagesFound),
        *(BotUttered, TimerFired, OperatorActed, Migrated),
    )
}


def event_payload(event: TaskEvent) -> dict[str, JSON]:
    """Return an event as JSON."""
    payload: dict[str, JSON] = plain(event)
    if isinstance(event, CommandsParsed):
        payload["commands"] = [command.to_payload() for command in event.commands]
        payload["posteriors"] = {
            slot: [[part.value, part.p] for part in parts]
            for slot, parts in event.posteriors.items()
        }
    if isinstance(event, BotUttered):
        payload["acts"] = [act.to_payload() for act in event.acts]
    return payload


def task_event(kind: str, payload: Mapping[str, Any]) -> TaskEvent:
    """Return the event of a kind from what `event_payload` gave.

    Raises:
        UnreadableEventError: the kind is unknown here, or the payload is not of its shape.
    """
    if kind not in EVENTS:
        raise UnreadableEventError(
            f"a stored event is of the unknown kind {kind!r}; this program knows {sorted(EVENTS)}"
        )
    values: dict[str, Any] = {
        key: tuple(part) if isinstance(part, list) and key != "value" else part
        for key, part in payload.items()
    }
    try:
        if "commands" in values:
            values["commands"] = tuple(map(command_from_payload, values["commands"]))
            values["posteriors"] = {
                slot: tuple(Alternative(value=value, p=p) for value, p in parts)
                for slot, parts in values["posteriors"].items()
            }
        if "acts" in values:
            values["acts"] = tuple(map(act_from_payload, values["acts"]))
        make: Callable[..., TaskEvent] = EVENTS[kind]
        return make(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableEventError(
            f"a stored event of kind {kind!r} cannot be read: {error}"
        ) from error
