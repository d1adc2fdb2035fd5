import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.chat import ToolCall
from llm.sampling_params import SamplingParams
from llm.testing import ScriptedChatModel
from tests.tools.running import ANN, SUM, agent, calls, kinds, mailer, opened, run, the_end
from tools.agent import ToolAgent
from tools.agent_events import (
    AgentEvent,
    ApprovalAsked,
    CallReturned,
    CallStarted,
    EndReason,
    ModelSpoke,
    RunEnded,
    RunOpened,
    UserDecided,
    event_from_payload,
    to_payload,
)
from tools.agent_state import replay
from tools.builtin.calculator import calculator
from tools.errors import RunConflictError, UnreadableEventError
from tools.executor import ToolExecutor
from tools.registry import ToolRegistry
from tools.strategies.native import NativeCalling
from tools.testing import MemoryAudit


@pytest.fixture
def sent() -> list[str]:
    return []


# --- the log ---------------------------------------------------------------------------------


def _script() -> list[str]:
    return [SUM, calls("calculate", expression="2 ^ 3") + calls("calculate", expression="5 * 5")]


def test_a_run_taken_up_at_any_event_comes_to_the_same_end() -> None:
    """What was said is not said again, and what only reads may be read again."""
    of = agent(ScriptedChatModel([*_script(), "All done."]))
    whole, _ = run(of, [opened(of)])
    for i in range(1, len(whole)):
        spoken = sum(isinstance(event, ModelSpoke) for event in whole[:i])
        again = agent(ScriptedChatModel([*_script(), "All done."][spoken:]))
        taken_up, _ = run(again, whole[:i])
        assert the_end(taken_up) == the_end(whole)
        assert _without_times(taken_up) == _without_times(whole)


def _without_times(events: Sequence[AgentEvent]) -> list[object]:
    said: list[object] = []
    for event in events:
        if isinstance(event, CallReturned):
            said.append(replace(event.result, seconds=0.0))
        elif not isinstance(event, CallStarted):
            said.append(event)
    return said


def test_a_deed_that_was_begun_before_a_crash_is_in_doubt_and_not_done_again(
    sent: list[str],
) -> None:
    of = agent(ScriptedChatModel([calls("send_mail", to="bob")]), mailer(sent))
    log, _ = run(of, [opened(of)])
    asked = log[-1]
    assert isinstance(asked, ApprovalAsked)
    yes = UserDecided(call_id=asked.call.id, digest=asked.request.digest, is_agreed=True)
    crashed = [*log, yes, CallStarted(call=asked.call)]
    of = agent(ScriptedChatModel(["I do not know whether it was sent."]), mailer(sent))
    log, _ = run(of, crashed)
    returned = next(event for event in log if isinstance(event, CallReturned))
    assert returned.result.is_in_doubt
    assert sent == []


def test_a_deed_with_a_key_is_made_again_and_done_once(sent: list[str]) -> None:
    registry = ToolRegistry([mailer(sent, confirm="ungrounded", idempotent_by=("to",))])
    executor = ToolExecutor(registry=registry, audit=MemoryAudit())
    call = calls("send_mail", to="bob")
    for _ in range(2):
        model = ScriptedChatModel([call, "Sent."])
        of = ToolAgent(model, executor, [NativeCalling(registry.specs)])
        log, _ = run(of, [opened(of, "Write to bob.")])
        if sent:  # as after a crash before the result was written to the run's log
            cut = next(i for i, e in enumerate(log) if isinstance(e, CallReturned))
            of = ToolAgent(ScriptedChatModel(["Sent."]), executor, [NativeCalling(registry.specs)])
            log, _ = run(of, log[:cut])
    assert sent == ["bob"]


def test_a_run_that_has_ended_or_whose_tools_changed_is_not_taken_up(sent: list[str]) -> None:
    of = agent(ScriptedChatModel([SUM, "3"]))
    log, _ = run(of, [opened(of)])
    with pytest.raises(RunConflictError, match="has ended"):
        run(of, log)
    with pytest.raises(RunConflictError, match="tools have changed"):
        run(agent(ScriptedChatModel(), mailer(sent)), log[:1])


def test_a_log_that_does_not_begin_with_its_opening_is_refused() -> None:
    of = agent(ScriptedChatModel())
    for log in ([], [RunEnded(reason=EndReason.ANSWERED)], [opened(of), opened(of)]):
        with pytest.raises(UnreadableEventError):
            replay(log)


def test_every_event_is_read_back_as_it_was_written(sent: list[str]) -> None:
    model = ScriptedChatModel([SUM, calls("send_mail", to="bob"), "3"])
    of = agent(model, calculator(), mailer(sent))
    log, _ = run(of, [opened(of)])
    asked = log[-1]
    assert isinstance(asked, ApprovalAsked)
    no = UserDecided(call_id=asked.call.id, digest=asked.request.digest, is_agreed=False)
    log, _ = run(of, [*log, no])
    assert {*kinds(log)} == {*_all_events()}
    for event in log:
        payload = json.loads(json.dumps(to_payload(event)))
        assert event_from_payload(event.kind, payload) == event
        with pytest.raises(UnreadableEventError, match="is damaged"):
            event_from_payload(event.kind, {})
    with pytest.raises(UnreadableEventError, match="unknown kind"):
        event_from_payload("x.v9", {})


def _all_events() -> tuple[type, ...]:
    return (
        *(RunOpened, ModelSpoke, CallStarted, CallReturned),
        *(ApprovalAsked, UserDecided, RunEnded),
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([SUM, calls("calculate", expression="7"), "an answer"]), max_size=9)
)
def test_the_fold_of_a_log_is_that_of_its_parts(script: list[str]) -> None:
    """Whatever the model says, a run ends, and its state is what its events say."""
    of = agent(ScriptedChatModel([*script, "the end"]))
    log, _ = run(of, [opened(of)])
    assert the_end(log).reason in EndReason
    for i in range(1, len(log)):
        assert replay(log[:i]).after(*log[i:]) == replay(log)


def test_where_the_tokens_of_a_step_stand_and_who_wrote_an_event_is_known() -> None:
    of = agent(ScriptedChatModel([SUM, "It is 3."]))
    log, _ = run(of, [opened(of)])
    spoke = log[-2]
    assert isinstance(spoke, ModelSpoke)
    start, end = spoke.token_span
    assert (start, end - start) == (spoke.usage.prompt_tokens, spoke.usage.completion_tokens)
    assert [event.origin for event in log[1:4]] == ["model", "system", "tool"]


def test_the_request_s_own_wishes_reach_the_model() -> None:
    model = ScriptedChatModel([SUM, "3"])
    params = SamplingParams(temperature=0.5, seed=7, banned_strings=("x",), max_tokens=50)
    run(of := agent(model), [opened(of)], replace(ANN, params=params))
    assert all(p.temperature == 0.5 and p.seed == 7 for p in model.params)
    assert model.params[0].max_tokens == 50
    assert "x" in model.params[0].banned_strings


def test_a_call_may_be_demanded_of_the_first_step() -> None:
    model = ScriptedChatModel([SUM, "3"])
    run(of := agent(model), [opened(of, must_call=True)])
    grammars = [spec.grammar for spec in model.specs]
    assert [getattr(one, "text", None) for one in grammars] == [False, True]


def test_ids_of_equal_calls_in_equal_runs_are_equal() -> None:
    def ids(make: Callable[[], ToolAgent]) -> list[ToolCall]:
        log, _ = run(of := make(), [opened(of)])
        return [event.call for event in log if isinstance(event, CallReturned)]

    def make() -> ToolAgent:
        return agent(ScriptedChatModel([*_script(), "x"]))

    assert ids(make) == ids(make)
    assert len({call.id for call in ids(make)}) == 3
