"""Chat completions, compatible with the OpenAI API: one turn of `dialog/agent.py` each."""

import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.admission import Admission
from api.application import Application, TurnPart
from api.chat_answer import AnswerWriter
from api.chat_request import ChatCompletionRequest
from api.dependencies import AdmissionDep, ApplicationDep, CallerDep
from api.error_table import RequestError, params_named, stopping, to_request_error
from api.routes.models import unknown_model
from api.streaming import (
    DONE,
    PING,
    PING_S,
    Bridge,
    EventStream,
    cancelled_when_gone,
    stopped_when_gone,
    to_event,
)
from api.system_fingerprint import system_fingerprint
from api.telemetry import log_turn
from dialog.errors import UnknownConversationError
from dialog.events import ConversationOpened
from dialog.reply import EvidenceFound, Reply, TurnRequest
from index.errors import UnknownCollectionError
from llm.chat import TextDelta
from llm.errors import CancelledGenerationError
from rag.errors import EmptyCollectionError

logger = logging.getLogger(__name__)

router = APIRouter()

TurnBridge = Bridge[TurnPart]

# A busy engine and a prompt that does not fit are noticed at once, but only after the evidence:
# this long the stream is held back, so that they still get a status of their own.
_GRACE_S = 0.25


@router.post("/v1/chat/completions")
async def create_chat_completion(
    body: ChatCompletionRequest,
    request: Request,
    application: ApplicationDep,
    caller: CallerDep,
    admission: AdmissionDep,
) -> Response:
    """Answer a chat, whole or as a stream."""
    if body.model != application.chat_model.name:
        raise unknown_model(body.model, [application.chat_model.name])
    turn = body.to_turn_request(owner=caller.sees, max_tokens=application.settings.max_tokens)
    with params_named(_params_of(turn)):
        await run_in_threadpool(_check_names, application, turn)
    writer = AnswerWriter(
        model=body.model,
        fingerprint=system_fingerprint(application),
        includes_usage=body.includes_usage,
        has_citations=body.extension.citations,
    )
    bridge = _begin(application, turn, admission)
    if body.stream:
        try:
            # Whoever leaves while the turn still waits must not be answered first.
            async with cancelled_when_gone(bridge, request.receive):
                head = await _head(bridge)
        except BaseException:
            bridge.cancel.set()
            raise
        return EventStream(_events(bridge, head, writer), on_close=bridge.cancel.set)
    async with stopped_when_gone(bridge, request.receive):
        reply: Reply | None = None
        while (part := await bridge.next()) is not None:
            if isinstance(part, Reply):
                reply = part
    reply = _finished(reply)
    log_turn(reply, is_stream=False)
    return JSONResponse(writer.completion(reply))


def _params_of(turn: TurnRequest) -> dict[type[Exception], str]:
    """Return which parameter names what is missing; a conversation brings its own collection."""
    is_kept = turn.conversation_id is not None
    collection = "causerie.conversation" if is_kept else "causerie.collection"
    return {
        EmptyCollectionError: collection,
        UnknownCollectionError: collection,
        UnknownConversationError: "causerie.conversation",
    }


def _check_names(application: Application, turn: TurnRequest) -> None:
    """Refuse an unknown collection or conversation before any thread is started for it."""
    if turn.conversation_id is None:
        if turn.collection is not None:
            application.store.info(turn.collection)
        return
    first = application.sessions.events(turn.conversation_id, turn.owner)[0].event
    kept = first.collection if isinstance(first, ConversationOpened) else None
    if turn.collection is not None and turn.collection != kept:
        raise RequestError(
            400,
            f"conversation {turn.conversation_id!r} is about the collection {kept!r}, not"
            f" {turn.collection!r}; leave causerie.collection out or open another conversation",
            param="causerie.collection",
            code="invalid_value",
        )


def _begin(application: Application, turn: TurnRequest, admission: Admission) -> TurnBridge:
    """Start the turn in a thread of its own.

    Raises:
        EngineBusyError: as many are under way as may.
    """

    def produce(emit: Callable[[TurnPart], None], cancel: threading.Event) -> None:
        try:
            with params_named(_params_of(turn)), application.foreground.busy(cancel):
                for part in application.agent.stream(turn, cancel=cancel):
                    emit(part)
        except CancelledGenerationError:  # before its first word: there is no reply
            pass
        finally:
            admission.leave()

    admission.enter()
    try:
        return Bridge(produce, name="turn")
    except BaseException:  # there is no thread that would leave
        admission.leave()
        raise


async def _head(bridge: TurnBridge) -> list[TurnPart]:
    """Return what comes before the first text, as far as it comes soon; raises what goes wrong."""
    head: list[TurnPart] = []
    timeout_s = PING_S
    while not head or isinstance(head[-1], EvidenceFound):
        try:
            part = await bridge.next(timeout_s)
        except TimeoutError:
            break
        if part is None:
            raise stopping()
        head.append(part)
        timeout_s = _GRACE_S
    if isinstance(head[-1] if head else None, Reply):
        _finished(head[-1])
    return head


def _finished(reply: object) -> Reply:
    """Return the reply of a turn that came to its end."""
    if not isinstance(reply, Reply) or reply.finish_reason == "cancelled":
        # The client is gone, and nobody reads this; or the service stops.
        raise stopping()
    return reply


async def _events(
    bridge: TurnBridge, head: Sequence[TurnPart], writer: AnswerWriter
) -> AsyncGenerator[str]:
    yield to_event(writer.role_chunk())
    written = ""
    pending = list(head)
    try:
        while True:
            try:
                part = pending.pop(0) if pending else await bridge.next(PING_S)
            except TimeoutError:
                yield PING
                continue
            match part:
                case EvidenceFound():
                    yield to_event(writer.evidence_chunk(part.passages))
                case TextDelta():
                    written += part.text
                    yield to_event(writer.text_chunk(part.text))
                case _:
                    break
        reply = _finished(part)
    except Exception as error:  # the status is sent: the error has to go into the stream
        if to_request_error(error).status >= 500 and not isinstance(error, RequestError):
            logger.exception("a streamed answer failed")
        yield to_event(to_request_error(error).to_wire())
        return
    # What the reply says beyond its deltas must not be lost.
    if reply.text.startswith(written) and len(reply.text) > len(written):
        yield to_event(writer.text_chunk(reply.text[len(written) :]))
    log_turn(reply, is_stream=True)
    yield to_event(writer.finish_chunk(reply))
    if (usage := writer.usage_chunk(reply)) is not None:
        yield to_event(usage)
    yield DONE
