"""The tool agent on the default model: whatever it says parses, and its cache is kept."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from api.bootstrap import build_engine
from api.settings import load_settings
from llm.async_engine import AsyncEngine
from llm.chat import Message, TextDelta
from llm.model_store import ModelStore
from llm.sampling_params import SamplingParams
from tools.agent import RunContext, ToolAgent
from tools.agent_events import AgentEvent, AgentLimits, CallReturned, ModelSpoke, RunEnded
from tools.base import tool
from tools.builtin.calculator import calculator
from tools.builtin.program_tool import program_tool
from tools.executor import ToolExecutor
from tools.json_check import read_arguments
from tools.registry import ToolRegistry
from tools.result import ResultKind
from tools.strategies.native import NativeCalling
from tools.strategies.plan_reflect import PlanReflect
from tools.strategies.program_aided import ProgramAided
from tools.strategies.react import ReAct
from tools.strategies.self_ask import SelfAsk
from tools.testing import MemoryAudit

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@tool(effect="read")
def search(query: str) -> str:
    """Search the manual."""
    return "The Rhine is 1,233 km long."


REGISTRY = ToolRegistry([calculator(), search, program_tool()])
SPECS = REGISTRY.only(["calculate", "search"]).specs


@pytest.fixture(scope="module")
def engine() -> Iterator[AsyncEngine]:
    settings = load_settings()
    core = build_engine(settings, ModelStore(settings.home).path(settings.chat_model))
    core.controls.warm_up()
    engine = AsyncEngine(core)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "strategy",
    [NativeCalling(SPECS), ReAct(SPECS), SelfAsk(), PlanReflect(SPECS), ProgramAided()],
    ids=lambda strategy: strategy.name,
)
def test_calls_always_parse_and_each_step_finds_the_one_before_in_the_cache(
    engine: AsyncEngine, strategy: NativeCalling
) -> None:
    executor = ToolExecutor(registry=REGISTRY, audit=MemoryAudit())
    agent = ToolAgent(engine, executor, [strategy])
    opened = agent.open(
        [Message(role="user", content="How long is the Rhine, times two?")],
        must_call=True,
        # A plan needs a step more to come to a call; the hour is for busy machines, since a call
        # that a deadline cuts off does not parse, and is not made.
        limits=AgentLimits(
            max_steps=3 if isinstance(strategy, PlanReflect) else 2, step_tokens=48, deadline_s=3600
        ),
    )
    params = SamplingParams(temperature=1.0, seed=3)
    context = RunContext(params=params, tenant=f"t {strategy.name}")
    parts = agent.stream([opened], context)
    log: list[AgentEvent] = [part for part in parts if not isinstance(part, TextDelta)]
    assert isinstance(log[-1], RunEnded)
    steps = [event for event in log if isinstance(event, ModelSpoke)]
    for call in (call for step in steps for call in step.calls):
        assert isinstance(read_arguments(call.arguments), dict)
    kinds = {event.result.kind for event in log if isinstance(event, CallReturned)}
    assert ResultKind.UNKNOWN_TOOL not in kinds
    for before, after in pairwise(steps):
        # Of the prompt before, all but the rest of a block, and what the template says at its end.
        assert after.usage.cached_tokens >= before.usage.prompt_tokens - 2 * 16
