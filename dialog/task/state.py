"""Where a conversation stands: task frames, open pairs, memories. Nothing but data.

Made only by the fold of the events (`dialog.task.fold`); equal events give equal states, byte for
byte in canonical JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from dialog.task.acts import Act
from dialog.task.canonical import canonical_json
from dialog.task.commands import JSON, Alternative, Span


class Status(StrEnum):
    """How far a value is common ground between user and bot."""

    EMPTY = "empty"
    UNGROUNDED = "ungrounded"
    PENDING = "pending"  # the bot has said it, and the user has not objected yet
    GROUNDED = "grounded"


class Evidence(StrEnum):
    """What a value rests on."""

    NONE = ""
    TYPED = "typed"
    BUTTON = "button"
    TOOL = "tool"
    EXPLICIT_YES = "explicit_yes"
    NOT_CONTRADICTED = "not_contradicted"
    CARRIED_OVER = "carried_over"
    INFERRED = "inferred"


class FrameStatus(StrEnum):
    """What became of a task that was begun."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastValue:
    """A value that a slot had, or that was refused with a reason."""

    value: JSON
    turn: int
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The value of one slot, with its standing."""

    value: JSON = None
    raw: str = ""
    span: Span | None = None
    status: Status = Status.EMPTY
    evidence: Evidence = Evidence.NONE
    p: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    is_dontcare: bool = False
    is_skipped: bool = False
    is_inferred: bool = False  # not the user's words: never accepted silently for a write
    plan: str = ""  # how it is to be grounded: a `Confirmation`, "" once that is settled
    set_turn: int = 0
    history: tuple[PastValue, ...] = ()

    @property
    def has_value(self) -> bool:
        """Whether the slot holds a value of its type."""
        return self.status is not Status.EMPTY and not self.is_dontcare and not self.is_skipped

    @property
    def is_answered(self) -> bool:
        """Whether the slot need not be asked: a value, "any", or passed over."""
        return self.status is not Status.EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome of a check or a search for exactly these arguments."""

    arguments: str  # digest
    value: JSON = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of this frame: what it is for, and with what it was made."""

    id: str
    tool: str
    purpose: str
    place: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    is_write: bool = False
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The rows that a search found and which of them were shown."""

    table: str = ""
    arguments: str = ""
    rows: tuple[JSON, ...] = ()  # keys
    shown: tuple[JSON, ...] = ()  # those on the table now
    seen: tuple[JSON, ...] = ()  # all that were ever shown
    relaxed: tuple[str, ...] = ()
    chosen: JSON = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFrame:
    """One pursuit of a task."""

    task: str
    id: int
    status: FrameStatus = FrameStatus.ACTIVE
    slots: Mapping[str, Cell] = field(default_factory=dict)
    program: str = "do"  # which of the task's lists of steps: do, on_cancel
    step: int = 0  # the next instruction of the program
    result: JSON = None
    parent: int = 0
    search: Search | None = None
    checked: Mapping[str, Checked] = field(default_factory=dict)
    confirmed: str = ""  # digest of the values that the user agreed to
    tries: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, bool] = field(default_factory=dict)  # yes or no, by place of the step
    effects: tuple[Call, ...] = ()  # the writes that were made, in order
    failure: str = ""
    pending: Call | None = None  # a call that was begun and has not ended
    ask_next: tuple[str, ...] = ()  # slots to ask before all others
    retries: int = 0  # of the call at `step`
    is_silent: bool = False  # its end is not announced

    def cell(self, slot: str) -> Cell:
        """Return a slot's cell, an empty one if nothing was ever said."""
        return self.slots.get(slot) or Cell()

    def with_cell(self, slot: str, cell: Cell) -> Self:
        """Return the frame with one cell replaced."""
        return replace(self, slots={**self.slots, slot: cell})


class PairKind(StrEnum):
    """What kind of first part is open."""

    QUESTION = "question"
    OFFER = "offer"
    CHECK = "check"  # a closed question about values
    CLARIFY = "clarify"
    STEP = "step"  # a yes/no question of `do`
    INTENT = "intent"  # "shall I also …?"
    RESUME = "resume"  # "shall we go on with …?"
    HANDOFF = "handoff"  # "shall I get a person?"
    CLOSING = "closing"  # "anything else?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An open first part, closed by a fitting second one, never by time."""

    kind: PairKind
    act: Act
    expects: tuple[str, ...] = ()  # heads of commands
    frame: int = 0
    slot: str = ""
    tries: int = 1
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that this turn's reply must take up; gone once it is said.

    `kind` says what: invalid, changed, needs, knowledge, cancelled, success, … (all of them, and
    what is said of each, stand in `dialog.task.notices`).
    """

    kind: str
    frame: int = 0
    task: str = ""
    slot: str = ""
    value: JSON = None
    text: str = ""
    key: str = ""
    options: tuple[JSON, ...] = ()
    citations: tuple[JSON, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A task that waits for its turn, with the values that were said for it."""

    task: str
    slots: Mapping[str, Cell] = field(default_factory=dict)


class HandoffStatus(StrEnum):
    """Who has the conversation."""

    NONE = "none"
    WAITING = "waiting"
    WITH_PERSON = "with_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What is counted over the conversation."""

    turns: int = 0
    unclear: int = 0  # in a row
    out_of_scope: int = 0  # in a row
    abstained: int = 0
    tool_failed: int = 0
    re_asks: int = 0
    exact_repeats: int = 0
    frames: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogState:
    """The whole of a conversation's state."""

    bot_hash: str = ""
    locale: str = "en"
    timezone: str = "UTC"
    now: str = ""
    user: Mapping[str, JSON] = field(default_factory=dict)
    person: str = ""  # the user's name with the channel, "" for a stranger
    memory: Mapping[str, Cell] = field(default_factory=dict)  # slots kept beyond their task
    frames: tuple[TaskFrame, ...] = ()  # the stack, its top last
    closed: tuple[TaskFrame, ...] = ()  # ended, the last one last
    queue: tuple[Queued, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notices: tuple[Notice, ...] = ()
    focus: JSON = None  # [table, key] of the entity last spoken of
    handoff: HandoffStatus = HandoffStatus.NONE
    said: tuple[str, ...] = ()  # digests of what the bot said, the newest last
    variants: Mapping[str, int] = field(default_factory=dict)  # next variant by text
    last_acts: tuple[Act, ...] = ()
    last_text: str = ""
    last_message: str = ""  # the user's words, placeholders for what is sensitive
    last_button: str = ""
    placeholders: Mapping[str, str] = field(default_factory=dict)  # of the message → their slots
    message_id: str = ""
    was_busy: bool = False  # it was sent while a call for an earlier one was running
    is_parsed: bool = True  # whether the last message was read
    is_answered: bool = True  # whether it was answered
    is_greeted: bool = False
    is_closed: bool = False
    counters: Counters = field(default_factory=Counters)

    @property
    def top(self) -> TaskFrame | None:
        """The frame of the task under way, None between tasks."""
        return self.frames[-1] if self.frames else None

    @property
    def open_pair(self) -> Pair | None:
        """The innermost open first part."""
        return self.pairs[-1] if self.pairs else None

    def frame(self, frame_id: int) -> TaskFrame | None:
        """Return the frame of an id, open or closed; None if there is none."""
        for frame in (*self.frames, *self.closed):
            if frame.id == frame_id:
                return frame
        return None

    def with_frame(self, frame: TaskFrame) -> Self:
        """Return the state with the frame of the same id replaced."""
        return replace(
            self,
            frames=tuple(frame if old.id == frame.id else old for old in self.frames),
            closed=tuple(frame if old.id == frame.id else old for old in self.closed),
        )

    def to_json(self) -> str:
        """Return the state as canonical JSON."""
        return canonical_json(self)
