"""Task bots: read and listed, talked to, looked into, taken over by a person."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Path
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.bot_card import CardModel
from api.bot_files import write_files
from api.bot_opening import opened_as
from api.bot_schemas import (
    BotConversationRequest,
    BotList,
    BotModel,
    BotRequest,
    BotStateModel,
    MessageList,
    MessageModel,
    MessageRequest,
    OpenedModel,
    OperatorRequest,
    QueuedModel,
    QueueModel,
    TurnModel,
)
from api.bot_service import BotService
from api.dependencies import AdminOnly, ApplicationDep, BotsDep, CallerDep
from api.error_table import RequestError, caller_mistakes, to_request_error
from api.streaming import DONE, PING, PING_S, EventStream, to_event
from dialog.builder.decision_card import card_of
from dialog.errors import ReplayError
from dialog.task.events import BotUttered, OperatorActed, UserUttered
from dialog.task.messages import Reply, UserMessage

router = APIRouter()

HOLD_S: Final = 2.0
BotName = Annotated[str, Path(description="The bot's name: that of its folder.")]
ConversationId = Annotated[str, Path(description="The conversation's id.")]


@router.post("/v1/bots", status_code=201, dependencies=[AdminOnly])
def load_bot(body: BotRequest, bots: BotsDep, application: ApplicationDep) -> BotModel:
    """Read a bot (again) from its folder; files that are sent are written there first."""
    if body.files is not None:
        write_files(application.settings.state / "bots" / body.name, body.files)
    return BotModel.of(bots.load(body.name))


@router.get("/v1/bots")
def list_bots(bots: BotsDep) -> BotList:
    """List the bots by name."""
    return BotList(data=[BotModel.of(bot) for bot in bots.bots()])


@router.get("/v1/bots/{bot}")
def get_bot(bot: BotName, bots: BotsDep) -> BotModel:
    """Return one bot: its tasks, slots and languages."""
    return BotModel.of(bots.bot(bot))


@router.post("/v1/bots/{bot}/conversations", status_code=201)
def open_bot_conversation(
    bot: BotName, body: BotConversationRequest, bots: BotsDep, caller: CallerDep
) -> OpenedModel:
    """Open a conversation with a bot, with the facts that the channel knows of its user."""
    conversation_id, reply = bots.open(bot, owner=caller.owner, opened=partial(opened_as, body))
    greeting = None if reply is None else _shown(bots, caller.owner, reply)
    return OpenedModel(id=conversation_id, bot=bot, greeting=greeting)


@router.post("/v1/conversations/{conversation_id}/messages", response_model=TurnModel)
async def say(
    conversation_id: ConversationId, body: MessageRequest, bots: BotsDep, caller: CallerDep
) -> Response:
    """Answer one message to a bot, whole or as a stream; a known id is answered again."""
    if not body.content.strip() and not body.button:
        raise RequestError(
            400, "content is empty; send words, or a button", param="content", code="invalid_value"
        )
    message = UserMessage(
        id=body.id or f"m-{uuid4().hex}",
        text=body.content,
        button=body.button or "",
        locale=body.locale or "",
        channel="api",
    )

    def turn() -> TurnModel:
        return _shown(bots, caller.sees, bots.respond(conversation_id, caller.sees, message))

    if not body.stream:
        return JSONResponse((await run_in_threadpool(turn)).model_dump())
    await run_in_threadpool(bots.agent, conversation_id, caller.sees)  # a 404 is no stream
    hold = partial(bots.hold_words, conversation_id, caller.sees)
    return EventStream(_events(turn, hold), on_close=lambda: None)


async def _events(turn: Callable[[], TurnModel], hold: Callable[[], str]) -> AsyncGenerator[str]:
    """Yield the turn; a word to hold on where it takes long, signs of life after that."""
    task = asyncio.ensure_future(run_in_threadpool(turn))
    is_held = False
    while not task.done():
        done, _ = await asyncio.wait({task}, timeout=PING_S if is_held else HOLD_S)
        if done:
            break
        if is_held:
            yield PING
        else:
            yield to_event({"type": "bot.hold", "text": await run_in_threadpool(hold)})
        is_held = True
    try:
        shown = task.result()
    except Exception as error:  # noqa: BLE001 - the status is sent: it goes into the stream
        yield to_event(to_request_error(error).to_wire())
        return
    yield to_event(shown.model_dump())
    yield DONE


def _shown(bots: BotService, owner: str, reply: Reply) -> TurnModel:
    bot, state = bots.state(reply.conversation_id, owner)
    return TurnModel.of(bot, state, reply)


@router.get("/v1/conversations/{conversation_id}/messages")
def list_messages(conversation_id: ConversationId, bots: BotsDep, caller: CallerDep) -> MessageList:
    """Return what was said in a conversation with a bot."""
    _, events = bots.log(conversation_id, caller.sees)
    found: list[MessageModel] = []
    turn = 0
    for event in events:
        match event:
            case UserUttered(text=text):
                turn += 1
                found.append(MessageModel(role="user", content=text, turn=turn))
            case BotUttered(text=text) if text:
                found.append(MessageModel(role="assistant", content=text, turn=turn))
            case OperatorActed(action="say", text=text):
                found.append(MessageModel(role="operator", content=text, turn=turn))
    return MessageList(data=found)


@router.get("/v1/conversations/{conversation_id}/state")
def get_state(conversation_id: ConversationId, bots: BotsDep, caller: CallerDep) -> BotStateModel:
    """Return where a conversation with a bot stands: tasks, slots, who has it."""
    return BotStateModel.of(*bots.state(conversation_id, caller.sees))


@router.get("/v1/conversations/{conversation_id}/turns/{turn}")
def get_card(
    conversation_id: ConversationId,
    turn: Annotated[int, Path(description="Counted from 1.")],
    bots: BotsDep,
    caller: CallerDep,
) -> CardModel:
    """Return the decision card of a turn."""
    bot = bots.agent(conversation_id, caller.sees).bot
    _, events = bots.log(conversation_id, caller.sees)
    try:
        return CardModel.of(card_of(bot, events, turn))
    except ReplayError as error:
        raise RequestError(404, str(error), param="turn", code="turn_not_found") from error


@router.post("/v1/conversations/{conversation_id}/operator", dependencies=[AdminOnly])
def operate(
    conversation_id: ConversationId, body: OperatorRequest, bots: BotsDep, caller: CallerDep
) -> TurnModel:
    """Take a conversation over, say something in it, or give it back with corrected slots."""
    event = OperatorActed(
        action=body.action, operator=caller.owner, text=body.text, edits=body.edits or {}
    )
    with caller_mistakes("action"):
        reply = bots.operate(conversation_id, caller.sees, event)
    if reply is None:
        _, state = bots.state(conversation_id, caller.sees)
        reply = Reply(
            conversation_id=conversation_id,
            message_id="",
            text=body.text if body.action == "say" else "",
            handoff=state.handoff.value,
        )
    return _shown(bots, caller.sees, reply)


@router.get("/v1/handoffs", dependencies=[AdminOnly])
def list_handoffs(bots: BotsDep) -> QueueModel:
    """List the conversations that wait for a person, the longest waiting first."""
    return QueueModel(
        data=[
            QueuedModel(
                conversation=one.conversation_id,
                queue=one.queue,
                status=one.status,
                operator=one.operator,
                summary=dict(one.summary),
            )
            for one in bots.handoffs()
        ]
    )
