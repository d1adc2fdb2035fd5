"""A service whose answers are computed: the real dialogue over the real engine, on a tiny model."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.application import Application
from api.testing import application_of_doubles, wait_until
from dialog.agent import DialogAgent
from llm.checkpoint import Decoder
from llm.engine_statistics import EngineLimits
from llm.model_runner import Batch, ModelRunner, StepOutput
from rag.pipeline import RetrievalPipeline
from tests.llm.tiny_engine import tiny_async_engine

MODEL = "tiny"
ENDLESS = {"temperature": 1.0, "seed": 1, "max_tokens": 90}
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "Hello."}]}


class SlowRunner:
    """A runner whose every step takes a while, so that something can happen meanwhile."""

    def __init__(self, runner: ModelRunner, delay_s: float) -> None:
        self._runner = runner
        self._delay_s = delay_s
        self.kernels = runner.kernels
        self.num_blocks = runner.num_blocks

    def copy_blocks(self, copies: Iterable[tuple[int, int]]) -> None:
        self._runner.copy_blocks(copies)

    def forward(self, batch: Batch) -> StepOutput:
        time.sleep(self._delay_s)
        return self._runner.forward(batch)


@contextmanager
def tiny_service(
    state: Path,
    *,
    delay_s: float = 0.0,
    context_size: int = 128,
    decoder: Decoder | None = None,
    **settings: Any,
) -> Iterator[Application]:
    """Give an application over a tiny engine; `settings` bound it as they would a real one."""
    with application_of_doubles(state, **settings) as doubles:
        engine = tiny_async_engine(
            limits=EngineLimits(
                max_running=doubles.settings.max_concurrent,
                max_waiting=doubles.settings.max_waiting,
            ),
            context_size=context_size,
            decoder=decoder,
            wrap=lambda runner: SlowRunner(runner, delay_s),
        )
        pipeline = RetrievalPipeline(doubles.store.open, doubles.embedder)
        agent = DialogAgent(engine, pipeline, doubles.sessions, max_tokens=20)
        try:
            yield replace(
                doubles,
                agent=agent,
                chat_model=engine,
                engine=engine,
                decoder_runs_as="a tiny model",
            )
        finally:
            engine.close()


def is_idle(application: Application) -> bool:
    """Return whether no request is under way and no block is held."""
    assert application.engine is not None
    state = application.engine.state()
    return state.running == state.waiting == state.used_blocks == 0


def becomes_idle(application: Application, *, timeout_s: float = 10.0) -> bool:
    return wait_until(lambda: is_idle(application), timeout_s=timeout_s)
