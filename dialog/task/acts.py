"""What the system does in a turn: acts to say, and steps to take before anything is said.

Names are SGD's where it has them. An act holds values and no words; which words become of it is
`dialog.task.nlg`'s. Each names the line of the bot file that brought it about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Final

from dialog.task.commands import JSON


class ActName(StrEnum):
    """The 16 dialogue acts of the system."""

    INFORM = "INFORM"
    REQUEST = "REQUEST"
    CONFIRM = "CONFIRM"
    OFFER = "OFFER"
    NOTIFY_SUCCESS = "NOTIFY_SUCCESS"
    NOTIFY_FAILURE = "NOTIFY_FAILURE"
    INFORM_COUNT = "INFORM_COUNT"
    OFFER_INTENT = "OFFER_INTENT"
    REQ_MORE = "REQ_MORE"
    GOODBYE = "GOODBYE"
    ACK = "ACK"
    IMPLICIT_CONFIRM = "IMPLICIT_CONFIRM"
    CLARIFY = "CLARIFY"
    REPAIR = "REPAIR"
    HOLD = "HOLD"
    HANDOFF = "HANDOFF"


QUESTIONS: Final = frozenset(
    {
        *(ActName.REQUEST, ActName.CONFIRM, ActName.OFFER, ActName.CLARIFY),
        *(ActName.OFFER_INTENT, ActName.REQ_MORE),
    }
)
"""The acts that are first parts of a pair: at most one a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act.

    `values` are canonical values by slot, all of which are said. `key` names the text that
    words it, in the bot file (`dialog.task.text_keys`) or among the built-in phrases; without one
    it is worded from the act and the slot's type. `options` are what may be chosen. `source` is
    "file:line:column". `reason` tells the decision card why.
    """

    name: ActName
    task: str = ""
    frame: int = 0  # id of the task's frame, 0 for none
    slot: str = ""
    values: Mapping[str, JSON] = field(default_factory=dict)
    table: str = ""
    entities: tuple[JSON, ...] = ()  # keys of rows of `table`
    options: tuple[JSON, ...] = ()
    key: str = ""
    must_include: tuple[str, ...] = ()  # words beyond the renderings of `values`
    citations: tuple[JSON, ...] = ()
    given: Mapping[str, JSON] = field(default_factory=dict)  # further names for the text
    words: str = ""  # words that are no template, such as an answer from documents
    tries: int = 0  # how often this question was put before
    source: str = ""
    reason: str = ""

    def to_payload(self) -> dict[str, JSON]:
        """Return the act as JSON; fields that have their defaults are left out."""
        payload: dict[str, JSON] = {"name": self.name.value}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name == "name" or not value:
                continue
            payload[spec.name] = _plain(value)
        return payload


def act_from_payload(payload: Mapping[str, JSON]) -> Act:
    """Return the act that `Act.to_payload` gave."""
    values = dict(payload)
    for name in ("entities", "options", "must_include", "citations"):
        if name in values:
            values[name] = tuple(values[name])
    values["name"] = ActName(values["name"])
    return Act(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTool:
    """A step before the reply: a tool is called with values of the state.

    `purpose` is needs, check, find, call, undo; `place` tells which of the task's steps it is.
    """

    kind: ClassVar[str] = "call"
    tool: str
    arguments: Mapping[str, JSON]
    frame: int
    task: str
    purpose: str
    place: str
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindPassages:
    """A step before the reply: a knowledge source is asked."""

    kind: ClassVar[str] = "passages"
    query: str
    knowledge: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Either one step to take first, or the acts to say; `lost` are the rules that came second."""

    acts: tuple[Act, ...] = ()
    step: CallTool | FindPassages | None = None
    rule: str = ""
    lost: tuple[str, ...] = ()


def _plain(value: Any) -> JSON:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value
