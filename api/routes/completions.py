"""Chat completions, compatible with the OpenAI API: one turn of `dialog/agent.py` each."""

import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.admission import Admission
from api.application import Application, TurnPart
from api.bot_completion import complete_as_bot
from api.bot_service import PREFIX
from api.chat_answer import AnswerWriter, Json
from api.chat_request import ChatCompletionRequest
from api.control_errors import (
    check_against_collection,
    check_may_choose_mark,
    params_at_fault,
)
from api.dependencies import AdmissionDep, ApplicationDep, CallerDep
from api.error_table import RequestError, params_named, stopping, to_request_error
from api.routes.models import bot_names, unknown_model
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
from dialog.events import ConversationOpened
from dialog.reply import CallCard, EvidenceFound, Reply, TurnRequest
from llm.chat import TextDelta, ToolCallDelta
from llm.errors import CancelledGenerationError

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
    if body.model.startswith(PREFIX) and application.bots is not None:
        return await complete_as_bot(body, application.bots, caller, application.transcripts)
    if body.model != application.chat_model.name:
        raise unknown_model(body.model, [application.chat_model.name, *bot_names(application)])
    check_may_choose_mark(body, caller)
    turn = body.to_turn_request(
        owner=caller.sees,
        max_tokens=application.settings.max_tokens,
        call_form=application.call_form,
    )
    params = params_at_fault(body)
    with params_named(params):
        collection = await run_in_threadpool(_collection_of, application, turn)
    check_against_collection(turn, collection)
    writer = AnswerWriter(
        model=body.model,
        fingerprint=system_fingerprint(application),
        includes_usage=body.includes_usage,
        has_citations=body.extension.citations,
        num_choices=turn.spec.num_choices,
        has_logprobs=turn.params.logprobs,
    )
    bridge = begin_turn(application, turn, admission, params)
    return await answered(bridge, request, writer, is_stream=bool(body.stream))


async def answered(
    bridge: TurnBridge, request: Request, writer: AnswerWriter, *, is_stream: bool
) -> Response:
    """Return a turn's answer, whole or as a stream; a client that leaves ends the turn."""
    if is_stream:
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


def _collection_of(application: Application, turn: TurnRequest) -> str | None:
    """Return what the turn is about; an unknown collection or conversation gets no thread."""
    if turn.conversation_id is None:
        if turn.collection is not None:
            application.store.info(turn.collection)
        return turn.collection
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
    return kept


def begin_turn(
    application: Application,
    turn: TurnRequest,
    admission: Admission,
    params: Mapping[type[Exception], str],
) -> TurnBridge:
    """Start the turn in a thread of its own.

    Raises:
        EngineBusyError: as many are under way as may.
    """

    def produce(emit: Callable[[TurnPart], None], cancel: threading.Event) -> None:
        try:
            with params_named(params), application.foreground.busy(cancel):
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


class _Sent:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self._text = ""
        self._num_tokens: Counter[int] = Counter()

    def note(self, part: TurnPart) -> None:
        """Take note of a part that goes out."""
        if isinstance(part, TextDelta):
            self._text += part.text if part.choice == 0 else ""
            self._num_tokens[part.choice] += len(part.log_probs)

    def rest_of(self, reply: Reply) -> Iterator[TextDelta]:
        """Yield what a reply says beyond its deltas, which must not be lost: words, and tokens."""
        rest = reply.text[len(self._text) :] if reply.text.startswith(self._text) else ""
        tokens = reply.log_probs[self._num_tokens[0] :]
        if rest or tokens:
            yield TextDelta(text=rest, log_probs=tokens)
        for choice, other in enumerate(reply.alternatives, start=1):
            if tokens := other.log_probs[self._num_tokens[choice] :]:
                yield TextDelta(text="", choice=choice, log_probs=tokens)


async def _events(
    bridge: TurnBridge, head: Sequence[TurnPart], writer: AnswerWriter
) -> AsyncGenerator[str]:
    for chunk in writer.role_chunks():
        yield to_event(chunk)
    sent = _Sent()
    part: TurnPart | None = None
    try:
        async for part in _parts(bridge, head):
            if part is None:
                yield PING
            elif not isinstance(part, Reply):
                sent.note(part)
                yield to_event(_chunk_of(part, writer))
        reply = _finished(part)
    except Exception as error:  # the status is sent: the error has to go into the stream
        answer = to_request_error(error)
        if answer.status >= 500 and not isinstance(error, RequestError):
            logger.exception("a streamed answer failed")
        yield to_event(answer.to_wire())
        return
    for delta in sent.rest_of(reply):
        yield to_event(writer.text_chunk(delta))
    log_turn(reply, is_stream=True)
    for chunk in writer.finish_chunks(reply):
        yield to_event(chunk)
    if (usage := writer.usage_chunk(reply)) is not None:
        yield to_event(usage)
    yield DONE


async def _parts(bridge: TurnBridge, head: Sequence[TurnPart]) -> AsyncGenerator[TurnPart | None]:
    """Yield the parts of a turn, and None where none came for a while."""
    for part in head:
        yield part
    while True:
        try:
            following = await bridge.next(PING_S)
        except TimeoutError:
            yield None
            continue
        if following is None:
            return
        yield following


def _chunk_of(
    part: EvidenceFound | TextDelta | ToolCallDelta | CallCard, writer: AnswerWriter
) -> Json:
    match part:
        case CallCard():
            return writer.card_chunk(part)
        case EvidenceFound():
            return writer.evidence_chunk(part.passages)
        case TextDelta():
            return writer.text_chunk(part)
        case ToolCallDelta():
            return writer.call_chunk(part)
