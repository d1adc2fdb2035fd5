"""What a tracker may know of a turn: the words, and what the state admits.

Made from a bot and a state by `dialog.tracker.admissible`, or from a corpus; the trackers cannot
tell which. All values that can enter the state come from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dialog.slot_types.base import JsonValue, SlotType, TextContext
from dialog.task.commands import Alternative
from dialog.tracker.phrases import Phrases, phrases_of
from dialog.tracker.words import first_phrase

Place = tuple[str, str]
"""A slot: (task, name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotView:
    """A slot that the user may speak of now.

    `words` are what it is called; `role` says which of several like slots it is: "from", "to",
    "arrive", "leave", or ""; `edge` is the end of a period, "start" or "end". `told` is a value
    that the bot said in its last turn for this slot.
    """

    task: str
    name: str
    type: SlotType
    context: TextContext
    words: tuple[str, ...] = ()
    about: str = ""
    role: str = ""
    edge: str = ""
    order: int = 0
    value: JsonValue = None
    has_value: bool = False
    is_answered: bool = False
    is_asked: bool = False
    is_many: bool = False
    is_required: bool = True
    is_current: bool = False  # of the task under way
    is_open: bool = False  # of a task that was begun
    is_free: bool = True  # may be filled without being asked for
    is_constraint: bool = False  # a search goes by it, so "any" is an answer
    is_sensitive: bool = False
    told: JsonValue = None

    @property
    def place(self) -> Place:
        """Task and name."""
        return self.task, self.name

    @property
    def kind(self) -> str:
        """The type without its argument: "entity" of "entity:hotels"."""
        return self.type.name.split(":", maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task: `phrases` are what it is called and how users ask for it."""

    name: str
    phrases: tuple[str, ...] = ()
    not_phrases: tuple[str, ...] = ()
    is_open: bool = False
    is_current: bool = False
    is_suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An entity that was shown: its number from 1, its key, its names, its columns."""

    n: int
    key: JsonValue
    name: str
    row: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """The innermost open first part: `kind` as `PairKind` names it, "" where nothing is open."""

    kind: str = ""
    task: str = ""
    slot: str = ""
    options: tuple[JsonValue, ...] = ()
    option_words: tuple[tuple[str, ...], ...] = ()  # what each option is called, in their order
    is_optional: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether yes or no answers it."""
        return self.kind in {"check", "step", "intent", "resume", "handoff", "closing", "offer"}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One turn as a tracker sees it; `earlier` are the user's turns before, the last one last."""

    text: str
    locale: str = "en"
    system: str = ""
    earlier: tuple[str, ...] = ()
    slots: tuple[SlotView, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    question: OpenQuestion = field(default_factory=OpenQuestion)
    echoed: tuple[Place, ...] = ()  # slots whose value was confirmed in passing
    offered: tuple[Offered, ...] = ()
    can_show_more: bool = False
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of what is in focus
    entities: Mapping[str, JsonValue] = field(default_factory=dict)  # names that may be asked about
    has_knowledge: bool = False
    terms: tuple[str, ...] = ()
    may_chat: bool = True
    locales: tuple[str, ...] = ()
    has_spoken: bool = False
    handoff_queues: tuple[str, ...] = ()

    @cached_property
    def phrases(self) -> Phrases:
        """What users say in the language of the turn."""
        return phrases_of(self.locale)

    @cached_property
    def by_place(self) -> Mapping[Place, SlotView]:
        """The slots by task and name."""
        return {slot.place: slot for slot in self.slots}

    @cached_property
    def corrects(self) -> bool:
        """Whether the words say that something was wrong or is to be otherwise."""
        return first_phrase(self.text, self.phrases.correction) is not None

    @property
    def current_task(self) -> str:
        """The task under way, "" between tasks."""
        return next((task.name for task in self.tasks if task.is_current), "")

    @property
    def asked(self) -> tuple[SlotView, ...]:
        """The slots that the open question asks for."""
        return tuple(slot for slot in self.slots if slot.is_asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Words of the user that may give a slot a value."""

    slot: SlotView
    start: int
    end: int
    value: JsonValue
    p: float
    score: float
    alternatives: tuple[Alternative, ...] = ()
    violation: str = ""
    is_negated: bool = False
    is_relative: bool = False
