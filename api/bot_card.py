"""The decision card of a turn: what was understood, what changed, which line decided, at what cost.

Read from the recorded events alone, so that it is the same tomorrow.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel

from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act
from dialog.task.commands import Command, SlotEdit
from dialog.task.events import (
    BotUttered,
    CommandsParsed,
    PassagesFound,
    TaskEvent,
    ToolReturned,
    ToolStarted,
    UserUttered,
)
from dialog.task.fold import after, fold
from dialog.task.state import DialogState
from dialog.task.value_words import label, plain_words, say_value


class SpanModel(BaseModel):
    """Characters of the user's words that a value was taken from."""

    start: int
    end: int
    slot: str


class CommandModel(BaseModel):
    """A command with its probability and the second best reading."""

    text: str
    p: float
    runner_up: str


class ChangeModel(BaseModel):
    """A slot before and after the turn."""

    slot: str
    before: str
    after: str
    status: str
    evidence: str


class CallModel(BaseModel):
    """A call and how it ended."""

    text: str
    outcome: str
    source: str


class PassageModel(BaseModel):
    """A passage of the documents."""

    title: str
    score: float


class ActModel(BaseModel):
    """An act of the reply, with the line of the bot file that brought it about."""

    text: str
    source: str
    reason: str


class CardModel(BaseModel):
    """`GET /v1/conversations/{id}/turns/{turn}`."""

    object: Literal["bot.card"] = "bot.card"
    turn: int
    user: str
    spans: list[SpanModel]
    commands: list[CommandModel]
    changes: list[ChangeModel]
    calls: list[CallModel]
    passages: list[PassageModel]
    rule: str
    lost: list[str]
    acts: list[ActModel]
    wording: str
    cost: str
    reply: str

    @classmethod
    def of(cls, bot: BotDefinition, events: Sequence[TaskEvent], turn: int) -> Self | None:
        """Return the card of a turn, numbered from 1; None if there is no such turn."""
        begins = [i for i, event in enumerate(events) if isinstance(event, UserUttered)]
        if not 1 <= turn <= len(begins):
            return None
        begin = begins[turn - 1]
        end = begins[turn] if turn < len(begins) else len(events)
        before = fold(bot, events[:begin])
        state = before
        for event in events[begin:end]:
            state = after(bot, state, event)
        return cls._of(bot, events[begin:end], turn, before, state)

    @classmethod
    def _of(
        cls,
        bot: BotDefinition,
        events: Sequence[TaskEvent],
        turn: int,
        before: DialogState,
        state: DialogState,
    ) -> Self:
        heard = next(e for e in events if isinstance(e, UserUttered))
        parsed = next((e for e in events if isinstance(e, CommandsParsed)), None)
        said = next((e for e in reversed(events) if isinstance(e, BotUttered)), None)
        commands = parsed.commands if parsed is not None else ()
        return cls(
            turn=turn,
            user=heard.text,
            spans=[
                SpanModel(start=c.span.start, end=c.span.end, slot=c.slot)
                for c in commands
                if isinstance(c, SlotEdit) and c.span is not None
            ],
            commands=[_command(command) for command in commands],
            changes=_changes(bot, before, state),
            calls=_calls(events),
            passages=[_passage(e) for e in events if isinstance(e, PassagesFound)],
            rule=said.rule if said is not None else "",
            lost=list(said.lost) if said is not None else [],
            acts=[_act(act) for act in said.acts] if said is not None else [],
            wording=_wording(said),
            cost=_cost(parsed),
            reply=said.text if said is not None else "",
        )


def _command(command: Command) -> CommandModel:
    arguments = [
        f"{name}={value}" if name not in ("slot", "task", "value") else plain_words(value, "en")
        for name, value in command.to_payload().items()
        if name in ("task", "slot", "value", "n", "entity", "query", "attribute", "locale")
    ]
    runner_up = ""
    if isinstance(command, SlotEdit) and command.alternatives:
        second = command.alternatives[0]
        runner_up = f"{plain_words(second.value, 'en')} (p = {second.p:.2f})"
    return CommandModel(
        text=f"{command.head}({', '.join(arguments)})", p=command.p, runner_up=runner_up
    )


def _changes(bot: BotDefinition, before: DialogState, state: DialogState) -> list[ChangeModel]:
    found: list[ChangeModel] = []
    for frame in (*state.closed, *state.frames):
        old = before.frame(frame.id)
        task = bot.tasks[frame.task]
        for name, cell in frame.slots.items():
            was = old.cell(name) if old is not None else None
            if was is not None and (was.value, was.status) == (cell.value, cell.status):
                continue
            slot = task.slots.get(name)

            def words(value: Any, slot: Any = slot) -> str:
                if value is None:
                    return "empty"
                locale = state.locale
                return say_value(slot, value, locale) if slot else plain_words(value, locale)

            found.append(
                ChangeModel(
                    slot=label(name),
                    before=words(was.value if was is not None else None),
                    after=words(cell.value),
                    status=cell.status.value,
                    evidence=cell.evidence.value,
                )
            )
    return found


def _calls(events: Sequence[TaskEvent]) -> list[CallModel]:
    ended = {event.call_id: event for event in events if isinstance(event, ToolReturned)}
    found: list[CallModel] = []
    for event in events:
        if not isinstance(event, ToolStarted):
            continue
        result = ended.get(event.call_id)
        arguments = ", ".join(f"{k}={plain_words(v, 'en')}" for k, v in event.arguments.items())
        outcome = "not ended" if result is None else result.error or plain_words(result.value, "en")
        found.append(
            CallModel(text=f"{event.tool}({arguments})", outcome=outcome, source=event.source)
        )
    return found


def _passage(event: PassagesFound) -> PassageModel:
    titles = [str(one.get("title", "")) for one in event.citations if isinstance(one, dict)]
    return PassageModel(title=", ".join(titles) or "nothing near enough", score=event.score)


def _act(act: Act) -> ActModel:
    about = act.slot or act.key or ", ".join(act.values)
    return ActModel(text=f"{act.name.value}({about})", source=act.source, reason=act.reason)


def _wording(said: BotUttered | None) -> str:
    if said is None or not said.templates:
        return ""
    pairs = zip(said.templates, said.variants, strict=True)
    words = ", ".join(f"{template}, variant {variant + 1}" for template, variant in pairs)
    return f"{words}; rephrased" if said.rephrased_from else words


def _cost(parsed: CommandsParsed | None) -> str:
    if parsed is None:
        return "no tracker was asked"
    tokens = parsed.tokens_computed
    return f"{tokens} tokens computed by the {parsed.tracker or 'given'} tracker"
