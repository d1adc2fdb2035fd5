"""Why the bot did what it did in a turn: the decision card, from the log alone.

    heard → understood (with probabilities and runners-up) → cells changed → costs compared →
    rule and line of the bot file → calls with the provenance of each argument → words

A card is data, made here alone; the command line (`card_text`), the API and its page show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dialog.bot.definition import BotDefinition, SlotDefinition
from dialog.builder.command_text import command_text
from dialog.errors import ReplayError
from dialog.task.canonical import plain
from dialog.task.commands import JSON, SlotEdit
from dialog.task.events import (
    BotUttered,
    CommandsParsed,
    PassagesFound,
    TaskEvent,
    ToolReturned,
    ToolStarted,
    UserUttered,
)
from dialog.task.fold import after
from dialog.task.grounding import weighed
from dialog.task.slot_edits import frame_with
from dialog.task.state import DialogState
from dialog.task.value_words import plain_words, say_value


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderstoodCommand:
    """A command with its probability, where in the words it stands, and what it won against.

    `others` are the runners-up in words; `slot` is "" where the command is about none.
    """

    text: str
    p: float
    slot: str = ""
    span: tuple[int, int] | None = None
    source: str = ""
    runners_up: tuple[tuple[JSON, float], ...] = ()
    others: tuple[str, ...] = ()
    confirmation: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChange:
    """A slot before and after the turn, as data and in words; "" was empty."""

    task: str
    slot: str
    before: JSON
    after: JSON
    said_before: str
    said_after: str
    status: str
    evidence: str
    source: str  # the line of the bot file that declares the slot


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """A call with where each argument came from, and its end."""

    tool: str
    purpose: str
    arguments: Mapping[str, JSON]
    provenance: Mapping[str, str]
    result: JSON = None
    error: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        """The call as it is written."""
        arguments = ", ".join(f"{k}={plain_words(v, 'en')}" for k, v in self.arguments.items())
        return f"{self.tool}({arguments})"

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        return self.error.replace("_", " ") or plain_words(self.result, "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCard:
    """One turn explained."""

    turn: int
    message_id: str
    heard: str
    tracker: str
    model: str
    tokens_computed: int
    understood: tuple[UnderstoodCommand, ...]
    posteriors: Mapping[str, JSON]
    changes: tuple[CellChange, ...]
    notices: tuple[str, ...]
    rule: str
    lost: tuple[str, ...]
    acts: tuple[Mapping[str, JSON], ...]
    calls: tuple[MadeCall, ...]
    passages: tuple[Mapping[str, JSON], ...]
    said: str
    templates: tuple[str, ...]
    variants: tuple[int, ...]
    rephrased_from: str
    lines: tuple[str, ...]  # of the bot file, that decided

    def to_json(self) -> dict[str, JSON]:
        """Return the card as JSON."""
        found: dict[str, JSON] = plain(self)
        return found

    @property
    def wording(self) -> str:
        """Which templates were said, in which variants, and whether a model reworded them."""
        pairs = zip(self.templates, self.variants, strict=True)
        words = ", ".join(f"{template}, variant {variant + 1}" for template, variant in pairs)
        return f"{words}; reworded by the model" if self.rephrased_from else words

    @property
    def cost(self) -> str:
        """What the reading cost."""
        return f"{self.tokens_computed} tokens computed by the {self.tracker or 'given'} tracker"


def cards_of(bot: BotDefinition, log: Sequence[TaskEvent]) -> list[DecisionCard]:
    """Return a card for each turn of a log."""
    cards: list[DecisionCard] = []
    state = DialogState()
    begin = state
    turn: list[TaskEvent] = []
    noticed = state
    for event in log:
        if isinstance(event, UserUttered):
            turn, begin = [], state
        turn.append(event)
        noticed = state  # the last state before the bot's words holds what they take up
        state = after(bot, state, event)
        if isinstance(event, BotUttered):
            cards.append(_card(bot, turn, begin, noticed, state))
            turn, begin = [], state
    return cards


def card_of(bot: BotDefinition, log: Sequence[TaskEvent], turn: int) -> DecisionCard:
    """Return the card of a turn of the user's, counted from 1.

    Raises:
        ReplayError: there is no such turn, or it is not answered yet.
    """
    cards = [card for card in cards_of(bot, log) if card.message_id]
    found = next((card for card in cards if card.turn == turn), None)
    if found is None:
        raise ReplayError(f"there is no turn {turn}; the log has the turns 1 to {len(cards)}")
    return found


def _card(
    bot: BotDefinition,
    turn: Sequence[TaskEvent],
    begin: DialogState,
    noticed: DialogState,
    end: DialogState,
) -> DecisionCard:
    said = next((e for e in turn if isinstance(e, UserUttered)), None)
    parsed = next((e for e in turn if isinstance(e, CommandsParsed)), None)
    uttered = next(e for e in turn if isinstance(e, BotUttered))
    changes = _changes(bot, begin, noticed)
    calls = _calls(noticed, turn)
    acts = tuple(act.to_payload() for act in uttered.acts)
    lines = [str(act["source"]) for act in acts if act.get("source")]
    lines += [call.source for call in calls if call.source]
    return DecisionCard(
        turn=end.counters.turns,
        message_id=uttered.message_id,
        heard=(said.text or said.button) if said is not None else "",
        tracker=parsed.tracker if parsed is not None else "",
        model=parsed.model if parsed is not None else "",
        tokens_computed=parsed.tokens_computed if parsed is not None else 0,
        understood=_understood(bot, noticed, parsed),
        posteriors={
            slot: [[part.value, part.p] for part in parts]
            for slot, parts in (parsed.posteriors.items() if parsed is not None else ())
        },
        changes=changes,
        notices=tuple(
            " ".join(part for part in (n.kind, n.task, n.slot, n.text) if part)
            for n in noticed.notices
        ),
        rule=uttered.rule,
        lost=uttered.lost,
        acts=acts,
        calls=calls,
        passages=tuple(
            {"query": e.query, "answer": e.answer, "score": e.score, "citations": e.citations}
            for e in turn
            if isinstance(e, PassagesFound)
        ),
        said=uttered.text,
        templates=uttered.templates,
        variants=uttered.variants,
        rephrased_from=uttered.rephrased_from,
        lines=tuple(dict.fromkeys(lines)),
    )


def _understood(
    bot: BotDefinition, state: DialogState, parsed: CommandsParsed | None
) -> tuple[UnderstoodCommand, ...]:
    found = []
    for command in parsed.commands if parsed is not None else ():
        if not isinstance(command, SlotEdit):
            found.append(UnderstoodCommand(text=command_text(command), p=command.p))
            continue
        frame = frame_with(bot, state, command.slot, command.task)
        weights = slot = None
        if frame is not None:
            task = bot.tasks[frame.task]
            slot = task.slots[command.slot]
            weights = weighed(task, slot, command)
        found.append(
            UnderstoodCommand(
                text=command_text(command),
                p=command.p,
                slot=command.slot,
                span=(command.span.start, command.span.end) if command.span else None,
                source=command.source.value,
                runners_up=tuple((part.value, part.p) for part in command.alternatives),
                others=tuple(
                    f"{_words(slot, part.value, state.locale)} (p = {part.p:.2f})"
                    for part in command.alternatives
                ),
                confirmation=weights.choice.value if weights is not None else "",
                costs={way.value: round(cost, 4) for way, cost in weights.costs.items()}
                if weights is not None
                else {},
            )
        )
    return tuple(found)


def _changes(bot: BotDefinition, begin: DialogState, end: DialogState) -> tuple[CellChange, ...]:
    found = []
    for frame in (*end.closed, *end.frames):
        old = begin.frame(frame.id)
        task = bot.tasks[frame.task]
        for name, cell in frame.slots.items():
            before = old.cell(name) if old is not None else None
            if before == cell:
                continue
            slot = task.slots.get(name)
            found.append(
                CellChange(
                    task=frame.task,
                    slot=name,
                    before=before.value if before is not None else None,
                    after=cell.value,
                    said_before=_words(slot, before.value if before else None, end.locale),
                    said_after=_words(slot, cell.value, end.locale),
                    status=cell.status.value,
                    evidence=cell.evidence.value,
                    source=str(slot.source) if slot is not None else "",
                )
            )
    return tuple(found)


def _words(slot: SlotDefinition | None, value: JSON, locale: str) -> str:
    if value is None:
        return ""
    return say_value(slot, value, locale) if slot is not None else plain_words(value, locale)


def _calls(state: DialogState, turn: Sequence[TaskEvent]) -> tuple[MadeCall, ...]:
    ends = {e.call_id: e for e in turn if isinstance(e, ToolReturned)}
    found = []
    for event in turn:
        if not isinstance(event, ToolStarted):
            continue
        end = ends.get(event.call_id)
        frame = state.frame(event.frame)
        cells = frame.slots if frame is not None else {}
        found.append(
            MadeCall(
                tool=event.tool,
                purpose=event.purpose,
                arguments=event.arguments,
                provenance={
                    name: cells[name].evidence.value if name in cells else "bot"
                    for name in event.arguments
                },
                result=end.value if end is not None else None,
                error=end.error if end is not None else "in doubt",
                source=event.source,
            )
        )
    return tuple(found)
