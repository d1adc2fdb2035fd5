import asyncio
import random
import threading
import time
from collections.abc import Iterator

import pytest

from llm.async_engine import AsyncEngine
from llm.chat import ChatModel, Completion, Message, TextDelta
from llm.engine_statistics import EngineLimits
from llm.errors import EngineBusyError, EngineFailureError
from llm.preparation import Submission
from llm.sampling_params import SamplingParams
from llm.testing import ChatModelContract
from tests.llm.tiny_engine import tiny_async_engine, tiny_engine

HELLO = [Message(role="user", content="Hello.")]
LONG = SamplingParams(temperature=1.0, seed=1, max_tokens=90)


@pytest.fixture
def engine() -> Iterator[AsyncEngine]:
    engine = tiny_async_engine()
    yield engine
    engine.close()


class TestAsyncEngine(ChatModelContract):
    @pytest.fixture
    def model(self, engine: AsyncEngine) -> ChatModel:
        return engine


def until_idle(engine: AsyncEngine) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        state = engine.state()
        if state.running == state.waiting == state.used_blocks == 0:
            return
        time.sleep(0.01)
    raise AssertionError(f"still busy: {engine.state()}")


def test_threads_side_by_side_get_what_each_gets_alone(engine: AsyncEngine) -> None:
    def text_of(seed: int) -> str:
        params = SamplingParams(temperature=1.0, max_tokens=12, seed=seed)
        end = list(engine.stream(HELLO, params))[-1]
        assert isinstance(end, Completion)
        return end.text

    wanted = [text_of(seed) for seed in range(12)]
    got: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: got.__setitem__(seed, text_of(seed)))
        for seed in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[seed] for seed in range(12)] == wanted


def test_coroutines_get_the_same_stream(engine: AsyncEngine) -> None:
    async def text_of(seed: int) -> str:
        said = ""
        params = SamplingParams(temperature=1.0, max_tokens=12, seed=seed)
        async for part in engine.stream_async(HELLO, params):
            if isinstance(part, TextDelta):
                said += part.text
            else:
                assert part.text == said
        return said

    async def both() -> list[str]:
        return await asyncio.gather(*(text_of(seed) for seed in range(8)))

    wanted = []
    for seed in range(8):
        end = list(engine.stream(HELLO, SamplingParams(temperature=1.0, max_tokens=12, seed=seed)))[
            -1
        ]
        assert isinstance(end, Completion)
        wanted.append(end.text)
    assert asyncio.run(both()) == wanted


def test_leaving_a_stream_early_frees_its_blocks(engine: AsyncEngine) -> None:
    stream = engine.stream(HELLO, LONG)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    until_idle(engine)


def test_a_cancelled_task_frees_its_blocks(engine: AsyncEngine) -> None:
    async def leave() -> None:
        heard = asyncio.Event()

        async def read() -> None:
            async for _ in engine.stream_async(HELLO, LONG):
                heard.set()
                await asyncio.sleep(10)

        task = asyncio.create_task(read())
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    until_idle(engine)


@pytest.mark.slow
def test_a_thousand_random_disconnects_leave_no_block_in_use(engine: AsyncEngine) -> None:
    """T29: leaving in the queue, in the prompt, in the answer, by event or by closing."""
    chance = random.Random(7)

    def visit(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(125):
            cancel = threading.Event()
            prompt = [mine.randrange(1, 250) for _ in range(mine.randrange(1, 90))]
            params = SamplingParams(
                temperature=1.0, seed=mine.randrange(1000), max_tokens=mine.randrange(1, 30)
            )
            stream = engine.generate(Submission(prompt_ids=prompt, params=params, cancel=cancel))
            for _ in range(mine.randrange(0, 6)):
                if next(stream, None) is None:
                    break
            if mine.random() < 0.5:
                cancel.set()
                list(stream)
            else:
                stream.close()  # type: ignore[attr-defined]

    seeds = [chance.randrange(10**6) for _ in range(8)]
    threads = [threading.Thread(target=visit, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_idle(engine)
    engine.close()
    engine._engine.check()


def test_what_was_read_ahead_is_found_by_the_next_turn_of_its_tenant(engine: AsyncEngine) -> None:
    chat = [*HELLO, Message(role="assistant", content="Good day. " * 3)]
    engine.read_ahead(chat, tenant="a")
    until = time.monotonic() + 20
    while engine.statistics.steps == 0 and time.monotonic() < until:
        time.sleep(0.01)
    until_idle(engine)
    counts = engine.statistics
    assert counts.generated_tokens == sum(counts.time_to_first_token.counts) == 0
    ends = []
    for tenant in ("a", "b"):
        question = Message(role="user", content="And?")
        ends.append(list(engine.stream([*chat, question], LONG, tenant=tenant))[-1])
    cached = [end.usage.cached_tokens for end in ends if isinstance(end, Completion)]
    assert cached[0] >= engine.count_tokens(chat) - 32
    assert cached[1] == 0


def test_a_full_queue_is_told_to_whoever_comes_too_many() -> None:
    engine = tiny_async_engine(limits=EngineLimits(max_running=1, max_waiting=1))
    cancel = threading.Event()
    streams = [engine.stream(HELLO, LONG, cancel=cancel) for _ in range(30)]
    failures = []

    def read(stream: Iterator[TextDelta | Completion]) -> None:
        try:
            list(stream)
        except EngineBusyError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=read, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    assert failures
    assert "waiting" in failures[0] or "wait" in failures[0]


def test_closing_ends_what_is_under_way_and_refuses_what_comes() -> None:
    engine = tiny_async_engine()
    stream = engine.stream(HELLO, LONG)
    next(stream)
    engine.close()
    with pytest.raises(EngineFailureError, match="closed"):
        list(stream)
    with pytest.raises(EngineFailureError, match="closed"):
        next(engine.stream(HELLO, LONG))
    engine.close()


def test_a_bug_in_a_step_ends_all_requests_and_not_the_engine() -> None:
    inner = tiny_engine()
    steps = inner.step
    broken = threading.Event()

    def failing() -> bool:
        if broken.is_set() and inner.has_work:
            broken.clear()
            raise RuntimeError("a bug")
        return steps()

    inner.step = failing  # type: ignore[method-assign]
    engine = AsyncEngine(inner)
    broken.set()
    with pytest.raises(EngineFailureError, match="bug"):
        list(engine.stream(HELLO, LONG))
    assert list(engine.stream(HELLO, SamplingParams(max_tokens=3)))
    until_idle(engine)
    engine.close()
