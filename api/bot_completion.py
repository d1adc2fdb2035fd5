"""Bots behind the OpenAI endpoint: `model: "bot:NAME"`.

A client of that API sends the whole conversation each time. One that names
`causerie.conversation` continues it; of another, what was said before tells which it is: the digest
of a transcript leads to the conversation that has it. Nothing is ever replayed into a new
conversation, so that no deed is done twice.
"""

import hashlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.access import Caller
from api.bot_opening import opened_as
from api.bot_schemas import BotConversationRequest, TurnModel
from api.bot_service import PREFIX, BotService
from api.chat_message import ChatMessage
from api.chat_request import ChatCompletionRequest
from api.error_table import RequestError
from api.streaming import DONE, EventStream, to_event
from api.transcripts import Transcripts
from dialog.task.events import TaskEvent, UserUttered
from dialog.task.messages import UserMessage

Json = dict[str, Any]


async def complete_as_bot(
    body: ChatCompletionRequest, bots: BotService, caller: Caller, transcripts: Transcripts
) -> Response:
    """Answer a chat request as one turn of a bot.

    Raises:
        RequestError: what no bot can do, or a transcript that no conversation has.
        UnknownBotError: no bot has this name.
    """
    _refuse_what_bots_cannot(body)
    shown = await run_in_threadpool(_turn, body, bots, caller, transcripts)
    head = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": body.model,
    }
    if body.stream:
        return EventStream(_chunks(head, shown, body.includes_usage), on_close=lambda: None)
    message = {"role": "assistant", "content": shown.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return JSONResponse(
        {
            **head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(),
            "causerie": _own(shown),
        }
    )


async def _chunks(head: Json, shown: TurnModel, has_usage: bool) -> AsyncGenerator[str]:
    def chunk(delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    yield to_event(chunk({"role": "assistant", "content": ""}))
    if shown.text:
        yield to_event(chunk({"content": shown.text}))
    yield to_event({**chunk({}, "stop"), "causerie": _own(shown)})
    if has_usage:
        yield to_event({**chunk({}), "choices": [], "usage": _usage()})
    yield DONE


def _own(shown: TurnModel) -> Json:
    fields = {"conversation", "turn", "buttons", "offers", "citations", "slots", "task"}
    return shown.model_dump(include=fields | {"handoff", "closed"})


def _usage() -> Json:
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _refuse_what_bots_cannot(body: ChatCompletionRequest) -> None:
    for name in ("tools", "functions", "response_format", "logprobs", "prediction"):
        if getattr(body, name):
            raise RequestError(
                400,
                f"{name} means nothing to a bot; leave it out",
                param=name,
                code="invalid_value",
            )
    if body.n not in (None, 1):
        raise RequestError(400, "a bot gives one answer; n is 1", param="n", code="invalid_value")


def _turn(
    body: ChatCompletionRequest, bots: BotService, caller: Caller, transcripts: Transcripts
) -> TurnModel:
    name = body.model.removeprefix(PREFIX)
    said = [message for message in body.messages if message.role in ("user", "assistant")]
    if not said or said[-1].role != "user":
        raise RequestError(
            400, "the last message must be the user's", param="messages", code="invalid_value"
        )
    history, last = said[:-1], _text(said[-1])
    given = body.extension.conversation
    digest = _digest(caller.owner, name, [(m.role, _text(m)) for m in history])
    message_id = f"c-{hashlib.sha256(f'{digest}/{last}'.encode()).hexdigest()[:32]}"
    if given is not None:
        conversation_id, message_id = given, f"c-{secrets.token_hex(16)}"
    elif not history:
        bots.bot(name)
        conversation_id, _ = bots.open(
            name,
            owner=caller.owner,
            opened=lambda bot: opened_as(
                BotConversationRequest(person=(body.user or "")[:256] or None), bot
            ),
        )
    else:
        conversation_id = _continued(bots, caller, transcripts.of(digest), message_id)
    message = UserMessage(id=message_id, text=last, channel="openai")
    reply = bots.respond(conversation_id, caller.sees, message)
    bot, state = bots.state(conversation_id, caller.sees)
    whole = [*((m.role, _text(m)) for m in said), ("assistant", reply.text)]
    transcripts.note(_digest(caller.owner, name, whole), conversation_id, state.counters.turns)
    return TurnModel.of(bot, state, reply)


def _continued(
    bots: BotService, caller: Caller, candidates: Sequence[tuple[str, int]], message_id: str
) -> str:
    """Return the conversation that a transcript leads to, or whose turn is asked for again."""
    logs = {one: bots.log(one, caller.sees)[1] for one, _ in candidates if bots.knows(one)}
    for conversation_id, turns in candidates:
        if conversation_id in logs and _turns(logs[conversation_id]) == turns:
            return conversation_id
    for conversation_id, events in logs.items():
        if _has(events, message_id):
            return conversation_id
    raise RequestError(
        409,
        "no conversation here has this transcript, and a bot's conversation is not made up from"
        " one: what it did would be done again. Send the id that came with the first answer as"
        " causerie.conversation, or begin anew with one user message",
        param="messages",
        code="unknown_transcript",
    )


def _turns(events: Sequence[TaskEvent]) -> int:
    return sum(isinstance(event, UserUttered) for event in events)


def _has(events: Sequence[TaskEvent], message_id: str) -> bool:
    return any(isinstance(e, UserUttered) and e.message_id == message_id for e in events)


def _text(message: ChatMessage) -> str:
    return message.content or ""


def _digest(owner: str, bot: str, said: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps([owner, bot, said]).encode()).hexdigest()
