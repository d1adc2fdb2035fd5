"""Runs of tools on the wire: what a request asks, cards of calls, how a run stands, decisions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from api.request_model import RequestModel
from dialog.reply import ActingReport, ActingRequest, CallCard
from tools.agent_events import MAX_STEPS, AgentEvent, AgentLimits, to_payload
from tools.base import Tool
from tools.runs import Decision, RunRequest

MAX_NAMES = 64
MAX_DECISIONS = 16

Json = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class ActingModel(RequestModel):
    """`causerie.tools`: the service's own tools that an answer may use, and how."""

    names: Annotated[list[Name], Field(min_length=1, max_length=MAX_NAMES)] | None = None
    strategy: Annotated[str, Field(max_length=40)] | None = None
    must_call: bool = False
    max_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=3_600)] | None = None

    def to_acting(self) -> ActingRequest:
        """Return what the dialogue asks of the tools."""
        given = {
            name: value
            for name in ("max_steps", "max_tokens", "deadline_s")
            if (value := getattr(self, name)) is not None
        }
        return ActingRequest(
            run=RunRequest(
                names=None if self.names is None else tuple(self.names),
                strategy=self.strategy or "",
                must_call=self.must_call,
                limits=AgentLimits(**given),
            ),
            today=datetime.now(UTC).date(),
        )


class DecisionModel(RequestModel):
    """The user's word on one call that waits."""

    call_id: Annotated[str, Field(max_length=200)]
    approve: bool


class DecisionsRequest(RequestModel):
    """`POST /v1/tool_runs/{id}/decisions`."""

    decisions: Annotated[list[DecisionModel], Field(min_length=1, max_length=MAX_DECISIONS)]
    stream: bool = False

    def to_acting(self, run_id: str) -> ActingRequest:
        """Return the turn that takes the run up."""
        return ActingRequest(
            run_id=run_id,
            decisions=tuple(
                Decision(call_id=one.call_id, is_agreed=one.approve) for one in self.decisions
            ),
            today=datetime.now(UTC).date(),
        )


def card_to_wire(card: CallCard) -> Json:
    """Return what a client shows of a call."""
    wire: Json = {
        "run": card.run_id,
        "call_id": card.call_id,
        "name": card.name,
        "arguments": card.arguments,
        "status": card.status,
    }
    if card.status == "waiting":
        wire["reasons"] = list(card.reasons)
    if card.status in ("done", "failed"):
        wire |= {"kind": card.kind, "result": card.result, "seconds": card.seconds}
    return wire


def report_to_wire(report: ActingReport) -> Json:
    """Return how a run stands at the end of an answer."""
    return {
        "run": report.run_id,
        "reason": report.reason,
        "note": report.note,
        "waiting": [card_to_wire(card) for card in report.waiting],
    }


def tool_to_wire(tool: Tool) -> Json:
    """Return what there is to know of a tool."""
    return {
        "name": tool.name,
        "description": tool.spec.description,
        "parameters": tool.schema,
        "effect": tool.effect,
        "asks": tool.asks,
        "timeout_s": tool.timeout_s,
    }


def events_to_wire(events: Sequence[AgentEvent]) -> list[Json]:
    """Return the events of a run, in order; `seq` and `parent` are their places in the log."""
    return [
        {
            "seq": seq,
            "parent": seq - 1 if seq else None,
            "kind": event.kind,
            "origin": event.origin,
            "payload": to_payload(event),
        }
        for seq, event in enumerate(events)
    ]


# --- the way back, for a client of ours ------------------------------------------------------


def acting_body(acting: ActingRequest) -> Json:
    """Return `causerie.tools` of a turn that begins a run."""
    run = acting.run
    wire: Json = {"strategy": run.strategy or None, "must_call": run.must_call}
    if run.names is not None:
        wire["names"] = list(run.names)
    return wire


def decisions_body(acting: ActingRequest) -> Json:
    """Return the body that takes a run up, as a stream."""
    words = [{"call_id": one.call_id, "approve": one.is_agreed} for one in acting.decisions]
    return {"decisions": words, "stream": True}


def card_from_wire(wire: Mapping[str, Any]) -> CallCard:
    """Return the card that `card_to_wire` wrote."""
    return CallCard(
        run_id=wire["run"],
        call_id=wire["call_id"],
        name=wire["name"],
        arguments=wire["arguments"],
        status=wire["status"],
        kind=wire.get("kind", ""),
        result=wire.get("result", ""),
        seconds=wire.get("seconds", 0.0),
        reasons=tuple(wire.get("reasons", ())),
    )


def report_from_wire(wire: Mapping[str, Any]) -> ActingReport:
    """Return the report that `report_to_wire` wrote."""
    return ActingReport(
        run_id=wire["run"],
        reason=wire["reason"],
        note=wire["note"],
        waiting=tuple(card_from_wire(card) for card in wire["waiting"]),
    )
