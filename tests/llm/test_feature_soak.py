"""Requests with any features in one engine, in any order: each says what it says alone."""

import itertools
import random
import threading
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from llm.chat import Completion
from llm.decoding.sampler import BatchSampler
from llm.engine import Engine
from llm.engine_statistics import EngineLimits
from llm.errors import ConstraintConflictError, EngineBusyError, RequestTooLargeError
from llm.native.loader import load_library
from tests.llm.feature_run import Smaller, answer_of, marker, said, served
from tests.llm.features import FEATURES, PROMPT, SEMANTIC, is_possible, wish

pytestmark = pytest.mark.slow

NUM_REQUESTS = 12
ASKED = [name for name, one in FEATURES.items() if one.spec or one.params]


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request under way: its features, what it was told, and how to end it."""

    names: tuple[str, ...]
    parts: list[Any] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)


def busy_engine(rng: random.Random) -> Engine:
    model = served()
    small = Smaller(model.compute.runner, rng.choice([8, 9, 12, 20, 40]))
    ticks = itertools.count()
    return Engine(
        replace(model, compute=replace(model.compute, runner=small)),
        BatchSampler(load_library()),
        limits=EngineLimits(
            max_rows=rng.choice([3, 7, 20, 512]), max_running=rng.choice([6, 12, 64])
        ),
        marker=marker(),
        clock=lambda: float(next(ticks)),
    )


def some_features(rng: random.Random) -> tuple[str, ...]:
    while True:
        names = tuple(sorted(rng.sample(ASKED, rng.randint(0, 5))))
        if is_possible(names):
            return names


def submitted(engine: Engine, rng: random.Random) -> Asked | None:
    """Queue a request of some features; None if the engine is too small for it."""
    asked = Asked(names=some_features(rng))
    made = wish(asked.names)
    try:
        engine.add_request(
            PROMPT,
            made.params,
            asked.parts.append,
            spec=made.spec,
            baseline_ids=made.baseline,
            priority=rng.choice([0, 0, -1, 1]),
            cancel=asked.cancel,
        )
    except (RequestTooLargeError, ConstraintConflictError, EngineBusyError):
        return None
    return asked


@pytest.mark.parametrize("seed", range(8))
def test_whatever_runs_together_says_what_it_says_alone(seed: int) -> None:
    rng = random.Random(seed)
    engine = busy_engine(rng)
    left, everybody = NUM_REQUESTS, list[Asked]()
    for _ in range(3000):
        if left and rng.random() < 0.4:
            left -= 1
            if (asked := submitted(engine, rng)) is not None:
                everybody.append(asked)
        if everybody and rng.random() < 0.04:
            rng.choice(everybody).cancel.set()
        engine.step()
        engine.check()
        if not (left or engine.has_work):
            break
    state = engine.state()
    assert (state.used_blocks, state.running, state.waiting) == (0, 0, 0)
    for asked in everybody:
        assert_said_alone(asked)


def assert_said_alone(asked: Asked) -> None:
    completion = asked.parts[-1]
    if isinstance(completion, ConstraintConflictError):
        with pytest.raises(ConstraintConflictError):
            said(name for name in asked.names if name in SEMANTIC)
        return
    assert isinstance(completion, Completion)
    if asked.cancel.is_set():
        return
    answers = tuple(map(answer_of, (completion, *completion.alternatives)))
    assert answers == said(name for name in asked.names if name in SEMANTIC).answers
