import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from api.streaming import Bridge, EventStream, stopped_when_gone, to_event
from api.testing import wait_until

Emit = Callable[[int], None]


def numbers(num: int) -> Callable[[Emit, threading.Event], None]:
    def produce(emit: Emit, cancel: threading.Event) -> None:
        for i in range(num):
            emit(i)

    return produce


def test_items_cross_in_order_and_end_with_none() -> None:
    async def run() -> list[int | None]:
        bridge = Bridge(numbers(500), name="test", capacity=3)
        return [await bridge.next() for _ in range(501)] + [await bridge.next()]

    assert asyncio.run(run()) == [*range(500), None, None]


def test_a_slow_consumer_slows_the_producer_down() -> None:
    produced: list[int] = []

    def produce(emit: Emit, cancel: threading.Event) -> None:
        for i in range(100):
            emit(i)
            produced.append(i)

    async def run() -> int:
        bridge = Bridge(produce, name="test", capacity=5)
        await asyncio.sleep(0.2)
        num = len(produced)
        bridge.cancel.set()
        return num

    assert asyncio.run(run()) == 5


def test_what_the_producer_raises_comes_after_its_items() -> None:
    def produce(emit: Emit, cancel: threading.Event) -> None:
        emit(1)
        raise ValueError("broken")

    async def run() -> None:
        bridge = Bridge(produce, name="test")
        assert await bridge.next() == 1
        with pytest.raises(ValueError, match="broken"):
            await bridge.next()

    asyncio.run(run())


def test_waiting_can_be_limited_and_repeated() -> None:
    go_on = threading.Event()

    def produce(emit: Emit, cancel: threading.Event) -> None:
        go_on.wait(5)
        emit(1)

    async def run() -> None:
        bridge = Bridge(produce, name="test")
        with pytest.raises(TimeoutError):
            await bridge.next(0.05)
        go_on.set()
        assert await bridge.next(5) == 1

    asyncio.run(run())


def test_a_producer_whose_loop_is_gone_is_cancelled() -> None:
    ended = threading.Event()

    def produce(emit: Emit, cancel: threading.Event) -> None:
        while not cancel.is_set():
            emit(1)
        ended.set()

    async def run() -> threading.Event:
        bridge = Bridge(produce, name="test", capacity=2)
        await bridge.next()
        return bridge.cancel

    cancel = asyncio.run(run())
    cancel.set()
    assert ended.wait(5)


def test_a_bridge_is_cancelled_when_its_block_ends() -> None:
    async def run() -> None:
        bridge = Bridge(numbers(1000), name="test", capacity=2)

        async def receive() -> Any:
            await asyncio.sleep(60)

        async with stopped_when_gone(bridge, receive):
            assert await bridge.next() == 0
        assert bridge.cancel.is_set()

    asyncio.run(run())
    assert wait_until(lambda: not [t for t in threading.enumerate() if t.name == "test"])


def test_an_error_of_the_events_is_not_lost_and_closes_the_stream() -> None:
    closed: list[bool] = []
    sent: list[Any] = []

    async def events() -> Any:
        yield to_event({"a": "é"})
        raise RuntimeError("broken")

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        response = EventStream(events(), on_close=lambda: closed.append(True))
        with pytest.raises(RuntimeError, match="broken"):
            await response({"type": "http"}, receive, send)

    asyncio.run(run())
    assert closed == [True]
    assert sent[1]["body"] == 'data: {"a":"é"}\n\n'.encode()


def test_a_connection_that_breaks_while_sending_is_no_error() -> None:
    closed: list[bool] = []

    async def events() -> Any:
        yield to_event(1)

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        raise ConnectionResetError

    async def run() -> None:
        await EventStream(events(), on_close=lambda: closed.append(True))(
            {"type": "http"}, receive, send
        )

    asyncio.run(run())
    assert closed == [True]
