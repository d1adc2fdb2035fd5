"""Answers with the help of tools: a turn that is a run of the tool agent, or takes one up.

    messages → run → cards of calls and text as they come → the reply, or what waits for the user

Does not know how a run goes nor what tools there are. What the user wrote is told apart from the
evidence of earlier turns, which was never theirs: a deed may rest on their words alone.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dialog.reply import ActingReport, CallCard, TurnRequest
from dialog.session import ALL_OWNERS
from dialog.spoken import Spoken
from dialog.state import Turn
from llm.chat import Completion, FinishReason, Message, TextDelta, Usage
from tools.agent import RunContext
from tools.agent_events import (
    AgentEvent,
    ApprovalAsked,
    CallReturned,
    CallStarted,
    EndReason,
    ModelSpoke,
    RunEnded,
)
from tools.call_context import Caller
from tools.runs import ToolRuns

_FINISH: dict[EndReason, FinishReason] = {
    EndReason.MAX_TOKENS: "length",
    EndReason.DEADLINE: "deadline",
    EndReason.CANCELLED: "cancelled",
}
_NO_ANSWER = "No answer was found within the bounds of this run."


@dataclass(slots=True, kw_only=True)
class _Account:
    """What a turn used, over all steps of the model."""

    usage: Usage = field(default_factory=lambda: Usage(prompt_tokens=0, completion_tokens=0))
    seed: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0

    def add(self, spoke: ModelSpoke) -> None:
        self.usage = Usage(
            prompt_tokens=self.usage.prompt_tokens + spoke.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens + spoke.usage.completion_tokens,
            cached_tokens=self.usage.cached_tokens + spoke.usage.cached_tokens,
        )
        self.seed = spoke.seed
        self.prefill_s += spoke.prefill_s
        self.decode_s += spoke.decode_s


def own_words(turns: Sequence[Turn]) -> list[Turn]:
    """Return turns with the questions as the user asked them, without the evidence beside them."""
    return [
        Turn(
            question=turn.question,
            messages=(Message(role="user", content=turn.question), *turn.messages[1:]),
        )
        for turn in turns
    ]


def act(
    runs: ToolRuns,
    request: TurnRequest,
    messages: Sequence[Message],
    spoken: Spoken,
    cancel: threading.Event,
) -> Iterator[TextDelta | CallCard | ActingReport]:
    """Yield cards and text as they come, then one report, which ends the run for this turn.

    Notes what was said, and how it was made, in `spoken`.

    Raises:
        UnknownToolError: no tool has a name that the request names.
        UnknownRunError: the owner has no such run.
        RunConflictError: the run does not wait for what was decided.
    """
    acting = request.acting
    assert acting is not None, "only a turn that acts comes here"
    conversation = request.conversation_id or ""
    run_id = acting.run_id or runs.begin(
        messages, acting.run, owner=request.owner, conversation=conversation
    )
    context = RunContext(
        caller=Caller(user=request.owner, conversation=conversation or run_id, task=run_id),
        params=request.params,
        spec=request.spec,
        tenant=request.owner,
        today=acting.today,
    )
    account = _Account()
    waiting: list[CallCard] = []
    ended: RunEnded | None = None
    for part in runs.stream(
        run_id,
        context,
        owner=None if request.owner == ALL_OWNERS else request.owner,
        decisions=acting.decisions,
        cancel=cancel,
    ):
        if isinstance(part, TextDelta):
            yield spoken.say(part.text)
        elif isinstance(part, ModelSpoke):
            account.add(part)
        elif isinstance(part, RunEnded):
            ended = part
        elif (card := _card(part, run_id)) is not None:
            if card.status == "waiting":
                waiting.append(card)
            yield card
    yield from _last_words(spoken, ended, waiting)
    spoken.finish_reason = "stop" if ended is None else _FINISH.get(ended.reason, "stop")
    spoken.completion = _completion(account, spoken)
    yield ActingReport(
        run_id=run_id,
        reason="waiting" if ended is None else ended.reason,
        note="" if ended is None else ended.note,
        waiting=tuple(waiting),
    )


def _last_words(
    spoken: Spoken, ended: RunEnded | None, waiting: Sequence[CallCard]
) -> Iterator[TextDelta]:
    """Yield what ends the text: what waits, or that there is no answer."""
    words = ""
    if waiting:
        names = ", ".join(card.name for card in waiting)
        words = f"I need your agreement before I go on: {names}."
    elif ended is not None and not spoken.text and ended.reason is not EndReason.CANCELLED:
        words = ended.answer or _NO_ANSWER
    if words:
        yield spoken.say(f"\n\n{words}" if spoken.text else words)


def _card(event: AgentEvent, run_id: str) -> CallCard | None:
    match event:
        case CallStarted(call=call):
            return CallCard(
                run_id=run_id,
                call_id=call.id,
                name=call.name,
                arguments=call.arguments,
                status="running",
            )
        case ApprovalAsked(call=call, request=request):
            return CallCard(
                run_id=run_id,
                call_id=call.id,
                name=call.name,
                arguments=_compact(request.arguments),
                status="waiting",
                reasons=request.reasons,
            )
        case CallReturned(call=call, result=result):
            return CallCard(
                run_id=run_id,
                call_id=call.id,
                name=call.name,
                arguments=call.arguments,
                status="failed" if result.is_error else "done",
                kind=result.kind,
                result=result.content,
                seconds=result.seconds,
            )
    return None


def _compact(arguments: str) -> str:
    return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))


def _completion(account: _Account, spoken: Spoken) -> Completion:
    return Completion(
        text=spoken.text,
        finish_reason=spoken.finish_reason,
        usage=account.usage,
        seed=account.seed,
        prefill_s=account.prefill_s,
        decode_s=account.decode_s,
    )


def cards_of(events: Sequence[AgentEvent], run_id: str) -> tuple[CallCard, ...]:
    """Return the last card of each call of a run, in the order of the calls."""
    found: dict[str, CallCard] = {}
    for event in events:
        if (card := _card(event, run_id)) is not None:
            found[card.call_id] = card
    return tuple(found.values())
