"""The tool agent: ask the model, make its calls, tell it what came of them, until it answers.

    state = fold(log)  →  pending calls? make them  :  ask the strategy, let the model speak
                       →  events, each appended before the next thing is done

Everything that happened is an event, so a run can be stopped at any of them and taken up there:
after a crash, or when the user has agreed to a call. The prompt of each step begins with that of
the one before, so the model computes only what is new. A bound that is hit ends the run and loses
nothing that was found.
"""

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from llm.chat import ChatModel, Completion, Message, TextDelta, ToolCall
from llm.decoding.spec import PLAIN, DecodeSpec, Search
from llm.errors import BudgetTooSmallError, ContextOverflowError
from llm.sampling_params import SamplingParams
from tools.agent_events import (
    AgentEvent,
    AgentLimits,
    ApprovalAsked,
    CallReturned,
    CallStarted,
    EndReason,
    ModelSpoke,
    RunEnded,
    RunOpened,
    call_key,
)
from tools.agent_state import AgentState, replay
from tools.base import Effect
from tools.call_context import Caller
from tools.errors import RunConflictError, UnknownStrategyError
from tools.executor import ToolExecutor
from tools.mandate import Confirmations, Mandate
from tools.provenance import Origin, Provenance, Source, sources_of
from tools.result import ResultKind, ToolResult
from tools.strategies.base import Ask, Strategy
from tools.visible_text import VisibleText

AgentPart = TextDelta | AgentEvent

MAX_REFUSED_REPEATS = 2

_MADE_BEFORE = "the same call was made before; its result stands above: use it, or call otherwise"
_IN_DOUBT = (
    "it was begun before the program stopped; whether it was done is not known: do not call it"
    " again, tell the user"
)
_NOT_AGREED = "the user did not agree to this call; it was not made: do not make it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """For whom a run goes, and how its words are drawn.

    What is computed for a `tenant` is used again for that tenant alone. `today` is what "tomorrow"
    in the user's words is counted from. With `can_ask` false nobody can agree to a call, so that
    one which needs it is refused at once.
    """

    caller: Caller = field(default_factory=Caller)
    params: SamplingParams = field(default_factory=SamplingParams)
    spec: DecodeSpec = PLAIN
    tenant: str = ""
    today: date | None = None
    can_ask: bool = True


class ToolAgent:
    """Answers with the help of tools, by one of its strategies."""

    def __init__(
        self, model: ChatModel, executor: ToolExecutor, strategies: Sequence[Strategy]
    ) -> None:
        self._model = model
        self._executor = executor
        self._strategies: Mapping[str, Strategy] = {one.name: one for one in strategies}
        if not self._strategies or len(self._strategies) < len(strategies):
            raise ValueError("an agent needs strategies of different names")

    @property
    def strategies(self) -> tuple[str, ...]:
        """The names of the strategies; the first is the usual one."""
        return tuple(self._strategies)

    def open(
        self,
        messages: Sequence[Message],
        *,
        strategy: str = "",
        limits: AgentLimits | None = None,
        documents: Sequence[str] = (),
        must_call: bool = False,
    ) -> RunOpened:
        """Return the event that begins a run; `documents` are passages that the messages quote.

        With `must_call` the first step is a call, where the strategy has such a choice.

        Raises:
            UnknownStrategyError: there is no such strategy.
        """
        name = strategy or self.strategies[0]
        if name not in self._strategies:
            raise UnknownStrategyError(
                f"there is no strategy {name!r}; there are {list(self._strategies)}"
            )
        registry = self._executor.registry
        return RunOpened(
            strategy=name,
            messages=tuple(messages),
            tools=tuple(tool.name for tool in registry),
            fingerprint=registry.fingerprint,
            limits=limits or AgentLimits(),
            documents=tuple(documents),
            must_call=must_call,
        )

    def stream(
        self,
        log: Sequence[AgentEvent],
        context: RunContext,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[AgentPart]:
        """Go on from where a log ends: yield visible text as it comes, and each event.

        Ends with `RunEnded`, or with `ApprovalAsked` where the user has to decide first: append
        `UserDecided` and stream again. Each event must be stored before the next is asked for.

        Raises:
            RunConflictError: the run has ended, or was begun with other tools.
            ContextOverflowError: what was asked does not fit with the tools.
        """
        state = replay(log)
        self._check(state)
        run = _Run(context=context, cancel=cancel or threading.Event(), spent_s=_spent_s(state))
        while state.ended is None:
            parts: Iterator[AgentPart]
            if (ended := _ending(state)) is not None:
                parts = iter((ended,))
            elif state.pending:
                parts = self._calls(state, run)
            elif state.waiting:
                return
            else:
                parts = self._step(state, run)
            for part in parts:
                if not isinstance(part, TextDelta):
                    state = state.after(part)
                yield part

    def _check(self, state: AgentState) -> None:
        if state.ended is not None:
            raise RunConflictError(f"the run has ended ({state.ended.reason}); begin another one")
        if state.opened.fingerprint != self._executor.registry.fingerprint:
            raise RunConflictError("the tools have changed since the run began; begin another one")
        if state.opened.strategy not in self._strategies:
            raise RunConflictError(f"there is no strategy {state.opened.strategy!r} any more")

    # --- one step of the model ---------------------------------------------------------------

    def _step(self, state: AgentState, run: "_Run") -> Iterator[AgentPart]:
        if (end := _bound(state, run)) is not None:
            yield end
            return
        strategy = self._strategies[state.opened.strategy]
        limits = state.opened.limits
        is_last = len(state.steps) == limits.max_steps - 1
        ask = strategy.ask(state, is_last=is_last)
        budget = _budget(ask, state, run)
        try:
            completion = yield from self._spoken(ask, run, budget, run.left_s(limits))
        except BudgetTooSmallError as error:
            yield _end(state, EndReason.MAX_TOKENS, note=str(error))
            return
        except ContextOverflowError as error:
            if not state.steps:
                raise
            yield _end(state, EndReason.CONTEXT_FULL, note=str(error))
            return
        said = strategy.read(ask, completion.text)
        yield ModelSpoke(
            stage=ask.stage,
            text=completion.text,
            content=said.content,
            calls=said.calls,
            answer=said.answer,
            usage=completion.usage,
            finish_reason=completion.finish_reason,
            seed=completion.seed,
            prefill_s=completion.prefill_s,
            decode_s=completion.decode_s,
            is_last=is_last,
        )

    def _spoken(
        self, ask: Ask, run: "_Run", budget: int, left_s: float
    ) -> Generator[TextDelta, None, Completion]:
        params = replace(
            run.context.params,
            max_tokens=budget,
            timeout_s=min(left_s, run.context.params.timeout_s or left_s),
            banned_strings=(*run.context.params.banned_strings, *ask.banned),
        )
        spec = replace(run.context.spec, grammar=ask.grammar, num_choices=1, search=Search())
        shown = VisibleText(ask.visible, form=ask.form)
        completion: Completion | None = None
        for part in self._model.stream(
            ask.messages, params, spec=spec, cancel=run.cancel, tenant=run.context.tenant
        ):
            if isinstance(part, Completion):
                completion = part
            else:
                yield from run.show(shown.feed(part.text))
        yield from run.show(shown.finish())
        run.is_new_text = True
        assert completion is not None, "a stream ends with its completion"
        return completion

    # --- the calls of one step ---------------------------------------------------------------

    def _calls(self, state: AgentState, run: "_Run") -> Iterator[AgentEvent]:
        made = state.call_counts
        todo: list[ToolCall] = []
        for call in state.pending:
            decision = state.decision_on(call)
            if decision is not None and not decision.is_agreed:
                yield _returned(call, ResultKind.DENIED, _NOT_AGREED)
            elif made[call_key(call)] >= state.opened.limits.max_repeats:
                yield _returned(call, ResultKind.REPEATED, _MADE_BEFORE)
            elif call.id in state.steps[-1].started and not self._may_begin_again(call):
                yield _returned(call, ResultKind.FAILED, _IN_DOUBT, is_in_doubt=True)
            else:
                made[call_key(call)] += 1
                todo.append(call)
        for call in todo:
            yield CallStarted(call=call)
        results = self._executor.run_all(todo, _mandate(state, run), cancel=run.cancel)
        for call, result in zip(todo, results, strict=True):
            if result.confirmation is not None and run.context.can_ask:
                yield ApprovalAsked(call=call, request=result.confirmation)
            else:
                yield CallReturned(call=call, result=result)

    def _may_begin_again(self, call: ToolCall) -> bool:
        """Tell whether a call that was begun once may be made after a crash.

        One that only reads may; of one that is idempotent the audit log knows how it ended.
        """
        registry = self._executor.registry
        if call.name not in registry:
            return True
        tool = registry.tool(call.name)
        return tool.effect is Effect.READ or tool.idempotent_by is not None


@dataclass(slots=True, kw_only=True)
class _Run:
    """One stretch of a run at work; `spent_s` are the seconds of those before it."""

    context: RunContext
    cancel: threading.Event
    spent_s: float
    started: float = field(default_factory=time.monotonic)
    is_new_text: bool = False
    has_shown: bool = False

    def left_s(self, limits: AgentLimits) -> float:
        """Return how much of the run's time is left; below 0 once it is over."""
        return limits.deadline_s - self.spent_s - (time.monotonic() - self.started)

    def show(self, pieces: Iterable[str]) -> Iterator[TextDelta]:
        """Yield visible text, that of another step in a paragraph of its own."""
        for piece in pieces:
            if self.is_new_text and self.has_shown:
                yield TextDelta(text="\n\n")
            self.is_new_text, self.has_shown = False, True
            yield TextDelta(text=piece)


def _spent_s(state: AgentState) -> float:
    spoken = sum(step.spoke.prefill_s + step.spoke.decode_s for step in state.steps)
    return spoken + sum(result.seconds for step in state.steps for result in step.results)


def _bound(state: AgentState, run: _Run) -> RunEnded | None:
    """Return the end of a run that may not take a further step."""
    limits = state.opened.limits
    reason: EndReason | None = None
    if run.cancel.is_set():
        reason = EndReason.CANCELLED
    elif run.left_s(limits) <= 0:
        reason = EndReason.DEADLINE
    elif state.num_repeats >= MAX_REFUSED_REPEATS:
        reason = EndReason.REPEATED_CALL
    elif len(state.steps) >= limits.max_steps:
        reason = EndReason.MAX_STEPS
    elif state.completion_tokens >= limits.max_tokens:
        reason = EndReason.MAX_TOKENS
    return None if reason is None else _end(state, reason)


def _ending(state: AgentState) -> RunEnded | None:
    """Return the end of a run whose last step ends it; None where it goes on."""
    if not state.steps:
        return None
    spoke = state.steps[-1].spoke
    if spoke.finish_reason == "cancelled":
        return _end(state, EndReason.CANCELLED, answer=spoke.answer or "")
    if spoke.finish_reason == "deadline":
        return _end(state, EndReason.DEADLINE, answer=spoke.answer or "")
    if spoke.answer is None:
        return None
    if spoke.finish_reason == "length":
        return _end(state, EndReason.MAX_TOKENS, answer=spoke.answer)
    reason = EndReason.MAX_STEPS if spoke.is_last else EndReason.ANSWERED
    return _end(state, reason, answer=spoke.answer)


def _end(state: AgentState, reason: EndReason, *, answer: str = "", note: str = "") -> RunEnded:
    if reason is EndReason.ANSWERED:
        return RunEnded(reason=reason, answer=answer)
    limits = state.opened.limits
    what = {
        EndReason.MAX_STEPS: f"its bound of {limits.max_steps} steps was reached",
        EndReason.MAX_TOKENS: f"its bound of {limits.max_tokens} tokens was reached",
        EndReason.DEADLINE: f"its {limits.deadline_s:g} s were over",
        EndReason.REPEATED_CALL: "it asked for the same call again and again",
        EndReason.CONTEXT_FULL: "the model's context is full",
        EndReason.CANCELLED: "it was cancelled",
    }[reason]
    found = len(state.findings)
    results = "1 result of a tool is" if found == 1 else f"{found} results of tools are"
    said = f"The run ended because {what}; {results} kept."
    return RunEnded(reason=reason, answer=answer, note=f"{said} {note}".strip())


def _budget(ask: Ask, state: AgentState, run: _Run) -> int:
    limits = state.opened.limits
    most = [limits.step_tokens, limits.max_tokens - state.completion_tokens]
    most += [bound for bound in (ask.max_tokens, run.context.params.max_tokens) if bound]
    return min(most)


def _mandate(state: AgentState, run: _Run) -> Mandate:
    """Return what the user stands for: the sources read so far, the calls agreed to."""
    confirmations = Confirmations()
    open_ids = {call.id for call in state.pending}
    for word in state.decisions:
        if word.is_agreed and word.call_id in open_ids:
            confirmations.agree(word.digest)
    sources = [*sources_of(state.opened.messages, state.opened.documents)]
    for step in state.steps:
        sources += [
            Source(origin=Origin.TOOL, text=result.content) for _, result in step.ordered_results
        ]
    return Mandate(
        caller=run.context.caller,
        provenance=Provenance(sources, today=run.context.today),
        confirmations=confirmations,
    )


def _returned(
    call: ToolCall, kind: ResultKind, reason: str, *, is_in_doubt: bool = False
) -> CallReturned:
    result = ToolResult(
        call_id=call.id, content=reason, is_error=True, kind=kind, is_in_doubt=is_in_doubt
    )
    return CallReturned(call=call, result=result)
