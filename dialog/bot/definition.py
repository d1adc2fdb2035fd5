"""What a bot file says, as values; who reads the file is `dialog.bot.loading`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dialog.bot.expressions import Expression
from dialog.bot.source import SourceLine
from dialog.bot.tables import EntityTable
from dialog.bot.texts import SayTexts, Texts
from dialog.slot_types.base import JsonValue, SlotType
from tools.base import Tool


class Confirm(StrEnum):
    """When a value, or a whole task, is confirmed."""

    NEVER = "never"
    AUTO = "auto"  # by expected cost
    IMPLICIT = "implicit"
    EXPLICIT = "explicit"


class Fill(StrEnum):
    """Who may fill a slot, and when."""

    ANYTIME = "anytime"
    WHEN_ASKED = "when_asked"
    TOOL = "tool"
    NEVER = "never"


class Keep(StrEnum):
    """How long a value is remembered."""

    TASK = "task"
    CONVERSATION = "conversation"
    USER = "user"


class Resume(StrEnum):
    """What happens to a task after a digression from it."""

    ASK = "ask"
    AUTO = "auto"
    DROP = "drop"


class Order(StrEnum):
    """Who chooses the next slot: the file as written, or the engine."""

    FIXED = "fixed"
    AGENDA = "agenda"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDefinition:
    """A call of a function in `tools.py`, or of a table by `find`.

    `arguments` are (parameter, expression) in the written order; None: each parameter takes the
    slot, user fact or scope name (`user`, `result`) of its own name.
    """

    function: str
    arguments: tuple[tuple[str, Expression], ...] | None
    source: SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionDefinition:
    """What follows when a check fails or a call does: words, slots asked again, a person."""

    source: SourceLine
    say: Texts | None = None
    reask: tuple[str, ...] = ()
    handoff: str | None = None  # the queue; "" = the default one
    stop: bool = False
    start: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDefinition:
    """A condition that must hold before a task acts: an expression or the result of a read."""

    source: SourceLine
    call: CallDefinition | None = None
    condition: Expression | None = None
    otherwise: ReactionDefinition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One step of `do`.

    Its parts are done in this order: if, say, ask, set, call, start, handoff, stop.
    """

    source: SourceLine
    condition: Expression | None = None
    say: Texts | None = None
    ask: Texts | None = None
    yes: tuple["StepDefinition", ...] = ()
    no: tuple["StepDefinition", ...] = ()
    set: tuple[tuple[str, Expression], ...] = ()
    call: CallDefinition | None = None
    retry: int = 0
    failed: ReactionDefinition | None = None
    start: str | None = None
    handoff: str | None = None
    stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidRule:
    """An expression that a value must satisfy, and what to say when it does not."""

    condition: Expression
    otherwise: Texts | None
    source: SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedFrom:
    """The slot of another task that this one takes its value from (`from: find_hotel`, `same`)."""

    task: str
    slot: str
    source: SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDefinition:
    """A slot of a task, or one of the user's facts.

    `task` is "" for a shared slot before a task takes it up; a task's own copy names the task.
    """

    name: str
    type: SlotType
    source: SourceLine
    task: str = ""
    is_shared: bool = False  # declared in the top section `slots`, one value for all tasks
    many: bool = False
    about: str = ""
    examples: tuple[str, ...] = ()
    required: bool = True
    when: Expression | None = None
    ask: Texts | None = None
    reask: Texts | None = None
    why: Texts | None = None
    valid: tuple[ValidRule, ...] = ()
    min: Expression | None = None
    max: Expression | None = None
    after: Expression | None = None
    before: Expression | None = None
    default: Expression | None = None
    confirm: Confirm | None = None  # None: as the task says
    cost: float | None = None  # of acting on a wrong value, in turns
    ask_first: bool = False  # ask even where a value could be assumed or carried over
    fill: Fill = Fill.ANYTIME
    keep: Keep = Keep.TASK
    carried_from: CarriedFrom | None = None
    sensitive: bool = False
    options_from: CallDefinition | None = None
    max_tries: int = 3
    on_fail: ReactionDefinition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDefinition:
    """How found entities are shown, and which constraints may be given up when none is found."""

    source: SourceLine
    show: int = 3
    text: Texts | None = None  # of one entity; its columns are the names
    relax: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """Something that the bot does for a user."""

    name: str
    source: SourceLine
    about: str = ""
    examples: tuple[str, ...] = ()
    not_examples: tuple[str, ...] = ()
    needs: Expression | None = None
    needs_otherwise: Texts | None = None
    slots: Mapping[str, SlotDefinition] = field(default_factory=dict)
    order: Order = Order.FIXED
    find: CallDefinition | None = None
    find_is_table: bool = False  # else `find` calls a function that reads
    offer: OfferDefinition | None = None
    into: str = ""  # the slot that takes the chosen entity
    confirm: Confirm = Confirm.AUTO
    check: tuple[CheckDefinition, ...] = ()
    do: tuple[StepDefinition, ...] = ()  # `call:` of a task is a `do` of one step
    done: Texts | None = None
    failed: ReactionDefinition | None = None
    cancelled: Texts | None = None
    next: tuple[str, ...] = ()
    resume: Resume = Resume.ASK
    on_cancel: tuple[StepDefinition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeDefinition:
    """Documents that questions are answered from."""

    name: str
    source: SourceLine
    patterns: tuple[str, ...]  # of files, relative to the bot's folder; or "collection:NAME"
    answer: str = "grounded"  # grounded | free
    cite: bool = True
    min_support: float | None = None  # None: the retrieval's own threshold
    otherwise: Texts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalesDefinition:
    """The languages of a bot and the zone of its users."""

    default: str = "en"
    also: tuple[str, ...] = ()
    timezone: str = "user"  # or a name of the tz database

    @property
    def all(self) -> tuple[str, ...]:
        """The default first."""
        return (self.default, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationDefinition:
    """How a conversation begins, and when it counts as left."""

    idle_s: float | None = None
    greet: bool = True
    merge_window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffRule:
    """When a person takes over: `user_asks`, or an expression over the conversation's counters."""

    condition: Expression
    source: SourceLine


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourDefinition:
    """How the bot behaves between the lines of its tasks."""

    correction: str = "confirm_if_late"  # silent | ack | confirm_if_late
    max_depth: int = 3  # of digressions
    out_of_scope: Texts | None = None
    out_of_scope_after: int = 2
    out_of_scope_then: str = "handoff"  # handoff | stop | nothing
    handoff_when: tuple[HandoffRule, ...] = ()
    handoff_to: str = ""
    chitchat: str = "brief"  # off | brief | free
    initiative: str = "mixed"  # system | mixed | user
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDefinition:
    """Which models read messages: `tracker` is "constrained" or "rule"; `name` is the decoder's.

    `examples` says by what tasks are told apart: "vectors" of a text encoder, or "words" alone.
    """

    tracker: str = "constrained"
    name: str = ""
    examples: str = "vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDefinition:
    """A whole bot; equal files give equal bots and equal hashes."""

    name: str
    folder: str
    file: str
    hash: str  # of all files that decide what the bot does
    source: SourceLine
    version: str = ""
    locales: LocalesDefinition = field(default_factory=LocalesDefinition)
    conversation: ConversationDefinition = field(default_factory=ConversationDefinition)
    user: Mapping[str, SlotDefinition] = field(default_factory=dict)
    tables: Mapping[str, EntityTable] = field(default_factory=dict)
    knowledge: Mapping[str, KnowledgeDefinition] = field(default_factory=dict)
    glossary: Mapping[str, Texts] = field(default_factory=dict)
    slots: Mapping[str, SlotDefinition] = field(default_factory=dict)
    tasks: Mapping[str, TaskDefinition] = field(default_factory=dict)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    say: SayTexts = field(default_factory=SayTexts)
    behaviour: BehaviourDefinition = field(default_factory=BehaviourDefinition)
    model: ModelDefinition | None = None  # None reads by rules and loads nothing
    tests: tuple[JsonValue, ...] = ()  # as written, scalars typed by `dialog.bot.scalars`
    simulate: tuple[JsonValue, ...] = ()
    dst: tuple[JsonValue, ...] = ()

    def task(self, name: str) -> TaskDefinition:
        """Return the task of a name."""
        return self.tasks[name]

    def slot(self, task: str, name: str) -> SlotDefinition:
        """Return the slot of a task."""
        return self.tasks[task].slots[name]
