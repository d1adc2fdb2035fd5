"""What goes into a turn and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dialog.task.acts import Act
from dialog.task.commands import JSON, Command


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """What a user sends: words, or a button's payload. A known `id` is answered from the log.

    `now` is ISO 8601 with its offset, "" for the clock's. `commands` bypass the tracker; `merged`
    are the ids of later messages whose words were put to this one's.
    """

    id: str
    text: str = ""
    button: str = ""
    now: str = ""
    locale: str = ""
    timezone: str = ""
    channel: str = ""
    commands: tuple[Command, ...] | None = None
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the bot says to one message; `text` "" means that a person has the conversation."""

    conversation_id: str
    message_id: str
    text: str
    acts: tuple[Act, ...] = ()
    buttons: tuple[JSON, ...] = ()
    citations: tuple[JSON, ...] = ()
    slots: Mapping[str, JSON] = field(default_factory=dict)
    task: str = ""
    handoff: str = "none"
    is_closed: bool = False
    is_replayed: bool = False
