import threading

import pytest
from torch import Tensor

from llm.chat import ChatModel, Completion, Message, TextDelta
from llm.engine import Engine
from llm.errors import ContextOverflowError, EngineBusyError
from llm.kv_cache import KVCache
from llm.sampling_params import SamplingParams
from llm.testing import ChatModelContract
from tests.llm.tiny_model import tiny_decoder

HELLO = [Message(role="user", content="Hello.")]


@pytest.fixture
def engine() -> Engine:
    return Engine(tiny_decoder(), name="tiny", max_concurrent=3)


def text_of(engine: Engine, params: SamplingParams) -> str:
    end = list(engine.stream(HELLO, params))[-1]
    assert isinstance(end, Completion)
    return end.text


class TestEngine(ChatModelContract):
    @pytest.fixture
    def model(self) -> ChatModel:
        return Engine(tiny_decoder(), name="tiny")


def test_a_seed_gives_the_same_text_again_and_another_seed_another(engine: Engine) -> None:
    params = SamplingParams(temperature=1.0, max_tokens=20, seed=4)
    assert text_of(engine, params) == text_of(engine, params)
    other = SamplingParams(temperature=1.0, max_tokens=20, seed=5)
    assert text_of(engine, params) != text_of(engine, other)


def test_the_seed_that_was_used_is_recorded(engine: Engine) -> None:
    end = list(engine.stream(HELLO, SamplingParams(temperature=1.0, max_tokens=20)))[-1]
    assert isinstance(end, Completion)
    assert (
        text_of(engine, SamplingParams(temperature=1.0, max_tokens=20, seed=end.seed)) == end.text
    )


def test_requests_side_by_side_give_what_each_gives_alone(engine: Engine) -> None:
    wanted = [
        text_of(engine, SamplingParams(temperature=1.0, max_tokens=12, seed=seed))
        for seed in range(3)
    ]
    got: dict[int, str] = {}

    def run(seed: int) -> None:
        got[seed] = text_of(engine, SamplingParams(temperature=1.0, max_tokens=12, seed=seed))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[seed] for seed in range(3)] == wanted


def test_cancelling_in_the_middle_keeps_what_was_said(engine: Engine) -> None:
    cancel = threading.Event()
    said = ""
    end = None
    params = SamplingParams(temperature=1.0, max_tokens=100, seed=1)
    for part in engine.stream(HELLO, params, cancel=cancel):
        if isinstance(part, TextDelta):
            said += part.text
            cancel.set()
        else:
            end = part
    assert end is not None
    assert end.finish_reason == "cancelled"
    assert end.text == said
    assert end.usage.completion_tokens < 100


def test_too_many_requests_at_once_are_refused_and_leave_no_trace(engine: Engine) -> None:
    running = [engine.stream(HELLO, SamplingParams(max_tokens=50)) for _ in range(3)]
    for stream in running:
        next(stream)
    with pytest.raises(EngineBusyError, match="3 generations"):
        next(engine.stream(HELLO, SamplingParams(max_tokens=50)))
    for stream in running:
        stream.close()  # type: ignore[attr-defined]
    assert text_of(engine, SamplingParams(max_tokens=3))


def test_generation_ends_where_the_context_is_full() -> None:
    engine = Engine(tiny_decoder(), name="tiny", context_size=64)
    prompt = engine.count_tokens(HELLO)
    end = list(engine.stream(HELLO, SamplingParams(temperature=1.0, seed=2)))[-1]
    assert isinstance(end, Completion)
    assert prompt + end.usage.completion_tokens <= 64


def test_a_prompt_that_cannot_fit_says_by_how_much() -> None:
    engine = Engine(tiny_decoder(), name="tiny", context_size=64)
    long = [Message(role="user", content="x" * 100)]
    excess = engine.count_tokens(long) - 63
    with pytest.raises(ContextOverflowError, match=f"{excess} more than"):
        next(engine.stream(long, SamplingParams()))


@pytest.mark.parametrize("size", [0, 8, 129])
def test_an_impossible_context_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"context_size must be in \[16, 128\]"):
        Engine(tiny_decoder(), name="tiny", context_size=size)


def test_the_next_turn_computes_only_its_new_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tiny_decoder(), name="tiny")
    computed: list[int] = []
    forward = engine._forward

    def counting(token_ids: list[int], kv_cache: KVCache) -> Tensor:
        computed.append(len(token_ids))
        return forward(token_ids, kv_cache)

    monkeypatch.setattr(engine, "_forward", counting)
    params = SamplingParams(temperature=1.0, max_tokens=4, seed=3)
    first = text_of(engine, params)
    computed.clear()
    chat = [*HELLO, Message(role="assistant", content=first), Message(role="user", content="Go.")]
    fresh = Engine(tiny_decoder(), name="tiny")
    wanted = list(fresh.stream(chat, params))[-1]
    assert isinstance(wanted, Completion)
    again = list(engine.stream(chat, params))[-1]
    assert isinstance(again, Completion)
    assert again.text == wanted.text
    assert sum(computed) < engine.count_tokens(chat) - engine.count_tokens(HELLO) + 8


def test_a_cache_that_holds_the_whole_prompt_still_computes_its_last_token(engine: Engine) -> None:
    params = SamplingParams(max_tokens=5)
    assert text_of(engine, params) == text_of(engine, params)


def test_two_chats_in_turn_both_keep_their_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short chat with the same system message used to take the long chat's cache away."""
    engine = Engine(tiny_decoder(), name="tiny")
    system = Message(role="system", content="Be brief.")
    long = [system, Message(role="user", content="A" * 40)]
    short = [system, Message(role="user", content="b")]
    params = SamplingParams(temperature=1.0, max_tokens=2, seed=1)
    list(engine.stream(long, params))
    list(engine.stream(short, params))
    computed: list[int] = []
    forward = engine._forward

    def counting(token_ids: list[int], kv_cache: KVCache) -> Tensor:
        computed.append(len(token_ids))
        return forward(token_ids, kv_cache)

    monkeypatch.setattr(engine, "_forward", counting)
    list(engine.stream(long, params))
    assert sum(computed) < 8
