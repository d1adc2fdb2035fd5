"""`/v1/tools` and `/v1/tool_runs`: the service's own tools, and runs that wait for the user."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from api.acting_model import (
    DecisionsRequest,
    Json,
    card_to_wire,
    events_to_wire,
    tool_to_wire,
)
from api.application import Application
from api.chat_answer import AnswerWriter
from api.dependencies import AdmissionDep, ApplicationDep, CallerDep
from api.routes.completions import answered, begin_turn
from api.system_fingerprint import system_fingerprint
from dialog.acting_answer import cards_of
from dialog.errors import ToolsMissingError
from dialog.reply import TurnRequest
from dialog.session import ALL_OWNERS
from llm.chat import Message
from llm.sampling_params import SamplingParams
from tools.agent_state import replay
from tools.runs import ToolRuns

router = APIRouter()

RunId = Annotated[str, Path(max_length=100)]


@router.get("/v1/tools")
def list_tools(application: ApplicationDep, caller: CallerDep) -> Json:
    """List the service's own tools, and the strategies by which an answer uses them."""
    del caller
    if application.runs is None:
        return {"object": "list", "data": [], "strategies": []}
    return {
        "object": "list",
        "data": [tool_to_wire(tool) for tool in application.runs.registry],
        "strategies": list(application.runs.strategies()),
    }


@router.get("/v1/tool_runs/{run_id}")
def get_run(run_id: RunId, application: ApplicationDep, caller: CallerDep) -> Json:
    """Return a run: its events, as they are logged, and the last card of each call."""
    run = _runs(application).logged(run_id, _owner(caller.sees))
    ended = replay(run.events).ended
    return {
        "id": run.id,
        "object": "tool_run",
        "conversation": run.conversation or None,
        "reason": "waiting" if ended is None else ended.reason,
        "calls": [card_to_wire(card) for card in cards_of(run.events, run.id)],
        "events": events_to_wire(run.events),
    }


@router.post("/v1/tool_runs/{run_id}/decisions")
async def decide(
    run_id: RunId,
    body: DecisionsRequest,
    request: Request,
    application: ApplicationDep,
    caller: CallerDep,
    admission: AdmissionDep,
) -> Response:
    """Agree to calls that wait, or deny them; the answer goes on, whole or as a stream."""
    runs = _runs(application)
    run = await run_in_threadpool(runs.logged, run_id, _owner(caller.sees))
    acting = body.to_acting(run_id)
    turn = TurnRequest(
        messages=(Message(role="user", content=acting.words),),
        params=SamplingParams(max_tokens=application.settings.max_tokens),
        acting=acting,
        conversation_id=run.conversation or None,
        owner=caller.sees,
    )
    writer = AnswerWriter(
        model=application.chat_model.name,
        fingerprint=system_fingerprint(application),
        includes_usage=True,
        has_citations=True,
    )
    bridge = begin_turn(application, turn, admission, {})
    return await answered(bridge, request, writer, is_stream=body.stream)


def _runs(application: Application) -> ToolRuns:
    if application.runs is None:
        raise ToolsMissingError
    return application.runs


def _owner(sees: str) -> str | None:
    return None if sees == ALL_OWNERS else sees
