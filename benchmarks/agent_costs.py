"""What a step of the tool agent costs beside generation, and what the kept cache saves.

Overhead: wall-clock of a run less the time inside the model's stream and inside the tools, per
step, with audit log and run log in SQLite as the service has them. Cache: the time from a step's
prompt to its first token, in a run's second step and for the same prompt of a tenant to whom
nothing is cached.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.injections import call_text
from benchmarks.report import Figure
from index.database import open_database
from llm.chat import ChatModel, Completion, Message, TextDelta
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.sampling_params import SamplingParams
from llm.testing import ScriptedChatModel
from tools import agent_log, audit
from tools.agent import RunContext, ToolAgent
from tools.agent_events import AgentEvent, AgentLimits, CallReturned, ModelSpoke
from tools.agent_log import SQLRunStore
from tools.audit import AuditLog
from tools.builtin.calculator import calculator
from tools.builtin.clock import clock
from tools.builtin.units import unit_converter
from tools.executor import ToolExecutor
from tools.registry import ToolRegistry
from tools.runs import RunRequest, ToolRuns
from tools.strategies.native import NativeCalling
from tools.testing import MemoryAudit

QUESTIONS = (
    "How much is 17 * 23?",
    "Convert 10 km to miles.",
    "What is 15% of 80?",
    "How many days are between 2025-03-07 and 2025-05-01?",
    "How many pounds are 70 kg?",
    "What is the square root of 2 to 5 places?",
    "Which day is three weeks after 2025-03-07?",
    "How much is 2 ^ 40?",
)


class Timed:
    """A `ChatModel` that notes how long its streams worked."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.seconds = 0.0

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def context_size(self) -> int:
        return self._model.context_size

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._model.count_tokens(messages)

    def read_ahead(self, messages: Sequence[Message], *, tenant: str = "") -> None:
        self._model.read_ahead(messages, tenant=tenant)

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        cancel: threading.Event | None = None,
        tenant: str = "",
    ) -> Iterator[TextDelta | Completion]:
        """Pass a stream on; only the time until each of its parts is the model's."""
        began = time.perf_counter()
        for part in self._model.stream(
            messages, params, spec=spec, baseline=baseline, cancel=cancel, tenant=tenant
        ):
            self.seconds += time.perf_counter() - began
            yield part
            began = time.perf_counter()


def overhead(*, runs: int = 30, steps: int = 6) -> list[Figure]:
    """Return the milliseconds of a step outside of model and tools: median, and the extremes."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'bench.sqlite'}")
        audit.metadata.create_all(database)
        agent_log.metadata.create_all(database)
        registry = ToolRegistry([calculator(), unit_converter(), *clock()])
        store, log = SQLRunStore(database), AuditLog(database)
        found, cpu = [], []
        for run in range(runs):
            script = [call_text("calculate", {"expression": f"{run} + {i}"}) for i in range(steps)]
            model = Timed(ScriptedChatModel([*script, "Done."]))
            service = ToolRuns(model, registry, log, store, lambda r: [NativeCalling(r.specs)])
            began, began_cpu = time.perf_counter(), time.process_time()
            tools_s = _run(service, QUESTIONS[run % len(QUESTIONS)], steps + 1)
            elapsed = time.perf_counter() - began
            cpu.append(1_000 * (time.process_time() - began_cpu) / (steps + 1))
            found.append(1_000 * (elapsed - model.seconds - tools_s) / (steps + 1))
        database.dispose()
    return [
        Figure(
            name="loop overhead of a step, logs included",
            value=statistics.median(found),
            unit=f"ms, median of {runs} runs",
            spread=(min(found), max(found)),
            target=5.0,
            higher_is_better=False,
        ),
        Figure(
            name="processor time of a step, tools and script included",
            value=statistics.median(cpu),
            unit=f"ms, median of {runs} runs",
            spread=(min(cpu), max(cpu)),
            target=5.0,
            higher_is_better=False,
        ),
    ]


def _run(service: ToolRuns, question: str, steps: int) -> float:
    """Run to the end; return the seconds inside of tools."""
    run_id = service.begin(
        [Message(role="user", content=question)],
        RunRequest(limits=AgentLimits(max_steps=steps)),
        owner="bench",
    )
    parts = service.stream(run_id, RunContext(), owner="bench")
    return sum(part.result.seconds for part in parts if isinstance(part, CallReturned))


def kept_cache(model: ChatModel, *, on_progress: Callable[[str], None]) -> list[Figure]:
    """Return how soon a second step begins to speak, kept cache against none."""
    registry = ToolRegistry([calculator(), unit_converter(), *clock()])
    executor = ToolExecutor(registry=registry, audit=MemoryAudit())
    strategy = NativeCalling(registry.specs)
    warm: list[float] = []
    cold: list[float] = []
    shares: list[float] = []
    for number, question in enumerate(QUESTIONS):
        agent = ToolAgent(model, executor, [strategy])
        log: list[AgentEvent] = [
            agent.open([Message(role="user", content=question)], must_call=True)
        ]
        context = RunContext(params=SamplingParams(temperature=0.0), tenant=f"kept {number}")
        parts = agent.stream(tuple(log), context)
        log += [part for part in parts if not isinstance(part, TextDelta)]
        second = [event for event in log if isinstance(event, ModelSpoke)][1]
        warm.append(second.prefill_s)
        shares.append(second.usage.cached_tokens / second.usage.prompt_tokens)
        cold.append(_cold_second_step(agent, log, number))
        on_progress(f"kept cache: {number + 1}/{len(QUESTIONS)}")
    ratios = [c / w for c, w in zip(cold, warm, strict=True)]
    return [
        Figure(
            name="second step, first token, kept cache",
            value=1_000 * statistics.median(warm),
            unit="ms",
            spread=(1_000 * min(warm), 1_000 * max(warm)),
            baseline=1_000 * statistics.median(cold),
            higher_is_better=False,
        ),
        Figure(
            name="second step, cold over kept",
            value=statistics.median(ratios),
            unit="times sooner",
            spread=(min(ratios), max(ratios)),
        ),
        Figure(
            name="second step, prompt tokens found in the cache",
            value=statistics.median(shares),
            unit="share",
            spread=(min(shares), max(shares)),
        ),
    ]


def _cold_second_step(agent: ToolAgent, log: Sequence[AgentEvent], number: int) -> float:
    """Take the run up behind its first step as a tenant for whom nothing is kept."""
    cut = next(i for i, event in enumerate(log) if isinstance(event, ModelSpoke))
    cut += next(i for i, event in enumerate(log[cut + 1 :]) if isinstance(event, ModelSpoke)) + 1
    context = RunContext(params=SamplingParams(temperature=0.0), tenant=f"cold {number}")
    spoke = next(p for p in agent.stream(log[:cut], context) if isinstance(p, ModelSpoke))
    return spoke.prefill_s
