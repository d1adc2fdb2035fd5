"""Wire models of bots and of conversations with them: what is asked, and what is shown."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.bot_service import PREFIX, ServedBot
from api.request_model import RequestModel
from dialog.bot.definition import BotDefinition
from dialog.task.acts import Act, ActName
from dialog.task.buttons import payload_of
from dialog.task.commands import Choose
from dialog.task.handoff import summary_of
from dialog.task.messages import Reply
from dialog.task.state import DialogState, PairKind, TaskFrame
from dialog.task.value_words import label, plain_words, say_value

MAX_CONTENT = 4_000
_MAX_COLUMNS = 6


class BotRequest(RequestModel):
    """`POST /v1/bots`: read a bot (again); with `files` they are written first."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    files: dict[str, str] | None = None


class BotConversationRequest(RequestModel):
    """`POST /v1/bots/{bot}/conversations`.

    `person` is the channel's own name of the user, by which the bot remembers what the file lets it
    (`keep: user`); without it nothing outlives the conversation.
    """

    person: str | None = Field(default=None, min_length=1, max_length=256)
    locale: str | None = None
    timezone: str | None = None
    now: str | None = None
    user: dict[str, Any] | None = None


class MessageRequest(RequestModel):
    """`POST /v1/conversations/{id}/messages`; a message id that is known is answered again."""

    content: str = Field(default="", max_length=MAX_CONTENT)
    button: str | None = None
    id: str | None = Field(default=None, min_length=1, max_length=128)
    locale: str | None = None
    stream: bool = False


class OperatorRequest(RequestModel):
    """`POST /v1/conversations/{id}/operator`."""

    action: Literal["take", "say", "return"]
    text: str = Field(default="", max_length=MAX_CONTENT)
    edits: dict[str, Any] | None = None


class BotTaskModel(BaseModel):
    """A task of a bot."""

    name: str
    about: str
    slots: list[str]


class BotModel(BaseModel):
    """A bot: `model` is what the OpenAI endpoint calls it."""

    object: Literal["bot"] = "bot"
    name: str
    title: str
    model: str
    hash: str
    locales: list[str]
    tasks: list[BotTaskModel]

    @classmethod
    def of(cls, bot: ServedBot) -> Self:
        """Return what is shown of a bot."""
        found = bot.definition
        return cls(
            name=bot.name,
            title=found.name,
            model=f"{PREFIX}{bot.name}",
            hash=found.hash,
            locales=list(found.locales.all),
            tasks=[
                BotTaskModel(name=task.name, about=task.about, slots=list(task.slots))
                for task in found.tasks.values()
            ],
        )


class BotList(BaseModel):
    """`GET /v1/bots`."""

    object: Literal["list"] = "list"
    data: list[BotModel]


class OfferModel(BaseModel):
    """A row that is offered; `payload` is the button that takes it."""

    key: str
    name: str
    number: int
    columns: dict[str, str]
    payload: str


class TurnModel(BaseModel):
    """What a bot said, with what may be answered; `text` is empty while a person is there."""

    object: Literal["bot.turn"] = "bot.turn"
    type: Literal["bot.turn"] = "bot.turn"
    conversation: str
    message_id: str
    turn: int
    text: str
    acts: list[dict[str, Any]]
    buttons: list[dict[str, Any]]
    offers: list[OfferModel]
    citations: list[dict[str, Any]]
    task: str
    slots: dict[str, Any]
    handoff: str
    closed: bool
    replayed: bool

    @classmethod
    def of(cls, bot: BotDefinition, state: DialogState, reply: Reply) -> Self:
        """Return what is shown of a reply."""
        offers = [one for act in reply.acts for one in _offers(bot, act, state.locale)]
        return cls(
            conversation=reply.conversation_id,
            message_id=reply.message_id,
            turn=state.counters.turns,
            text=reply.text,
            acts=[act.to_payload() for act in reply.acts],
            buttons=[] if offers else [dict(button) for button in reply.buttons],
            offers=offers,
            citations=[dict(one) for one in reply.citations],
            task=reply.task,
            slots=dict(reply.slots),
            handoff=reply.handoff,
            closed=reply.is_closed,
            replayed=reply.is_replayed,
        )


def _offers(bot: BotDefinition, act: Act, locale: str) -> list[OfferModel]:
    table = bot.tables.get(act.table)
    if act.name is not ActName.OFFER or table is None:
        return []
    found: list[OfferModel] = []
    for number, key in enumerate(act.entities, start=1):
        row = table.get(str(key)) or {}
        columns = [c for c in table.columns if c not in (table.key, table.show)]
        found.append(
            OfferModel(
                key=str(key),
                name=table.show_name(str(key)),
                number=number,
                columns={
                    column: plain_words(row[column], locale)
                    for column in columns[:_MAX_COLUMNS]
                    if row.get(column) is not None
                },
                payload=payload_of(Choose(n=number, entity=key)),
            )
        )
    return found


class OpenedModel(BaseModel):
    """A conversation that was opened, with the bot's first words."""

    object: Literal["conversation"] = "conversation"
    id: str
    bot: str
    greeting: TurnModel | None


class SlotModel(BaseModel):
    """A slot and how far its value is common ground."""

    name: str
    label: str
    value: Any
    text: str
    status: str
    evidence: str
    required: bool


class TaskStateModel(BaseModel):
    """A task under way, or waiting."""

    task: str
    about: str
    status: str
    slots: list[SlotModel]

    @classmethod
    def of(cls, bot: BotDefinition, state: DialogState, frame: TaskFrame) -> Self:
        """Return what is shown of a frame."""
        task = bot.tasks[frame.task]
        slots: list[SlotModel] = []
        for name, slot in task.slots.items():
            cell = frame.cell(name)
            words = say_value(slot, cell.value, state.locale) if cell.has_value else ""
            if cell.is_dontcare:
                words = "any"
            slots.append(
                SlotModel(
                    name=name,
                    label=slot.about or label(slot),
                    value=None if slot.sensitive else cell.value,
                    text=words,
                    status=cell.status.value,
                    evidence=cell.evidence.value,
                    required=slot.required,
                )
            )
        return cls(
            task=frame.task,
            about=task.about or label(frame.task),
            status=frame.status.value,
            slots=slots,
        )


class HandoffModel(BaseModel):
    """Who has the conversation, and what a person should know of it."""

    status: str
    queue: str
    summary: str


_ASKS = {
    PairKind.QUESTION: "the bot asks for: {slot}",
    PairKind.OFFER: "which of the offers it shall be",
    PairKind.CHECK: "whether these values are right",
    PairKind.CLARIFY: "which of two meanings it is: {slot}",
    PairKind.STEP: "a yes or a no",
    PairKind.INTENT: "whether to go on with another task",
    PairKind.RESUME: "whether to go back to a task",
    PairKind.HANDOFF: "whether a person shall come",
    PairKind.CLOSING: "what else there is to do",
}


class BotStateModel(BaseModel):
    """`GET /v1/conversations/{id}/state`: tasks from the top of the stack down."""

    object: Literal["bot.state"] = "bot.state"
    bot: str
    locale: str
    turn: int
    tasks: list[TaskStateModel]
    open: str
    handoff: HandoffModel
    closed: bool

    @classmethod
    def of(cls, bot: BotDefinition, state: DialogState) -> Self:
        """Return what is shown of a state."""
        frames = list(reversed(state.frames)) or list(state.closed[-1:])
        pair = state.open_pair
        asked = "" if pair is None else _ASKS.get(pair.kind, "").format(slot=label(pair.slot))
        return cls(
            bot=bot.name,
            locale=state.locale,
            turn=state.counters.turns,
            tasks=[TaskStateModel.of(bot, state, frame) for frame in frames],
            open=asked,
            handoff=HandoffModel(
                status=state.handoff.value,
                queue=bot.behaviour.handoff_to or "people",
                summary=_summary(bot, state),
            ),
            closed=state.is_closed,
        )


def _summary(bot: BotDefinition, state: DialogState) -> str:
    form = summary_of(bot, state, "")
    lines = [f"Task: {form['about'] or 'none'}"]
    lines += [
        f"  {label(name)}: {slot['value']} ({slot['status']})"
        for name, slot in form["slots"].items()
    ]
    lines += [f"Tried: {call['tool']}" for call in form["tried"]]
    if form["failure"]:
        lines.append(f"Failed: {form['failure']}")
    lines.append(f"Last words: {form['last_words']}")
    return "\n".join(lines)


class MessageModel(BaseModel):
    """A message of a conversation, as it is stored."""

    role: Literal["user", "assistant", "operator"]
    content: str
    turn: int


class MessageList(BaseModel):
    """`GET /v1/conversations/{id}/messages`."""

    object: Literal["list"] = "list"
    data: list[MessageModel]


class QueuedModel(BaseModel):
    """A conversation that waits for a person."""

    conversation: str
    queue: str
    status: str
    operator: str
    summary: dict[str, Any]


class QueueModel(BaseModel):
    """`GET /v1/handoffs`."""

    object: Literal["list"] = "list"
    data: list[QueuedModel]
