"""Why the bot did what it did in a turn: the decision card, from the log alone.

    heard → understood (with probabilities and runners-up) → cells changed → costs compared →
    rule and line of the bot file → calls with the provenance of each argument → words

A card is data (`DecisionCard.to_json`), shown by the command line, the API and the page alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dialog.bot.definition import BotDefinition
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderstoodCommand:
    """A command with its probability, where in the words it stands, and what it won against."""

    text: str
    p: float
    span: tuple[int, int] | None = None
    source: str = ""
    runners_up: tuple[tuple[JSON, float], ...] = ()
    confirmation: str = ""
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChange:
    """A slot before and after the turn."""

    task: str
    slot: str
    before: JSON
    after: JSON
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

    def to_text(self) -> str:
        """Return the card for a terminal."""
        lines = [f"turn {self.turn}: {self.heard!r} ({self.tracker})"]
        for command in self.understood:
            other = f", not {command.runners_up[0][0]!r}" if command.runners_up else ""
            way = f", {command.confirmation}" if command.confirmation else ""
            lines.append(f"  understood  {command.text} p={command.p:.2f}{other}{way}")
        lines += [
            f"  changed     {change.task}.{change.slot}: {change.before!r} -> {change.after!r}"
            f" ({change.status}, {change.evidence or 'no evidence'}) {change.source}"
            for change in self.changes
        ]
        lines += [f"  noticed     {notice}" for notice in self.notices]
        for call in self.calls:
            end = call.error or repr(call.result)
            lines.append(f"  called      {call.tool}({dict(call.arguments)}) = {end} {call.source}")
        lost = f" before {', '.join(self.lost)}" if self.lost else ""
        lines.append(f"  rule        {self.rule}{lost}")
        lines += [
            f"  act         {act['name']} {act.get('source', '')}".rstrip() for act in self.acts
        ]
        lines.append(f"  said        {self.said}")
        return "\n".join(lines)


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
    """Return the card of a turn, counted from 1.

    Raises:
        ReplayError: there is no such turn.
    """
    cards = cards_of(bot, log)
    if not 1 <= turn <= len(cards):
        raise ReplayError(f"there is no turn {turn}; the log has {len(cards)}")
    return cards[turn - 1]


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
        weights = None
        if frame is not None:
            task = bot.tasks[frame.task]
            weights = weighed(task, task.slots[command.slot], command)
        found.append(
            UnderstoodCommand(
                text=command_text(command),
                p=command.p,
                span=(command.span.start, command.span.end) if command.span else None,
                source=command.source.value,
                runners_up=tuple((part.value, part.p) for part in command.alternatives),
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
                    status=cell.status.value,
                    evidence=cell.evidence.value,
                    source=str(slot.source) if slot is not None else "",
                )
            )
    return tuple(found)


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
