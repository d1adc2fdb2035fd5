"""From a blocking producer in a thread to server-sent events, with the way back: gone means stop.

`Bridge` runs the producer and hands its items to a coroutine through a bounded buffer; whoever
consumes too slowly slows the producer down. `EventStream` writes the events and watches the
client. Does not know what is streamed.
"""

import asyncio
import contextlib
import contextvars
import json
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final, Generic, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

T = TypeVar("T")

PING_S: Final = 15.0
PING: Final = ": ping\n\n"
DONE: Final = "data: [DONE]\n\n"

_CAPACITY: Final = 64
_POLL_S: Final = 0.1


def to_event(value: Any) -> str:
    """Return one server-sent event that carries a JSON value."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


class Bridge(Generic[T]):
    """A producer in a thread of its own, read from the event loop that made the bridge.

    `produce(emit, cancel)` calls `emit(item)` for each item, which blocks while the buffer is full,
    and should return soon after `cancel` is set; from then on its items are dropped.
    """

    def __init__(
        self,
        produce: Callable[[Callable[[T], None], threading.Event], None],
        *,
        name: str,
        capacity: int = _CAPACITY,
    ) -> None:
        self.cancel = threading.Event()
        self._produce = produce
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(capacity)
        self._error: Exception | None = None
        self._is_done = False
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._run), name=name, daemon=True
        )
        self._thread.start()

    async def next(self, timeout_s: float | None = None) -> T | None:
        """Return the next item; None once there are no more.

        Raises:
            TimeoutError: there was none in time; ask again.
            Exception: whatever the producer raised, after all its items.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                if self._items:
                    self._room.release()
                    return self._items.popleft()
                if self._is_done:
                    if self._error is not None:
                        raise self._error
                    return None
                self._wake.clear()
                if not self._items and not self._is_done:
                    await self._wake.wait()

    def _run(self) -> None:
        try:
            self._produce(self._emit, self.cancel)
        except Exception as error:  # noqa: BLE001  # carried over to the event loop, whatever it is
            self._error = error
        finally:
            self._is_done = True
            self._notify()

    def _emit(self, item: T) -> None:
        while not self.cancel.is_set():
            if self._room.acquire(timeout=_POLL_S):
                self._items.append(item)
                self._notify()
                return

    def _notify(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the loop has ended, and with it everybody who could listen
            self.cancel.set()


@contextlib.asynccontextmanager
async def cancelled_when_gone(bridge: Bridge[Any], receive: Receive) -> AsyncIterator[None]:
    """Cancel the producer as soon as the client is gone, while the block runs."""

    async def watch() -> None:
        await until_disconnected(receive)
        bridge.cancel.set()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


@contextlib.asynccontextmanager
async def stopped_when_gone(bridge: Bridge[Any], receive: Receive) -> AsyncIterator[None]:
    """Cancel the producer as soon as the client is gone, and in any case when the block ends."""
    try:
        async with cancelled_when_gone(bridge, receive):
            yield
    finally:
        bridge.cancel.set()


class EventStream(Response):
    """A response of server-sent events; `on_close` is called once, however it ends."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str], *, on_close: Callable[[], None]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        # The length of the (empty) body that the base class announces is not this stream's.
        del self.headers["content-length"]
        self._events = events
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they or the client's patience end."""
        del scope
        sender = asyncio.create_task(self._send_all(send))
        watcher = asyncio.create_task(until_disconnected(receive))
        try:
            await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._on_close()
            for task in (sender, watcher):
                task.cancel()
            results = await asyncio.gather(sender, watcher, return_exceptions=True)
        sent = results[0]
        # An OSError is how servers say that the client is gone.
        if isinstance(sent, Exception) and not isinstance(sent, OSError):
            raise sent

    async def _send_all(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async with contextlib.aclosing(self._events) as events:
            async for event in events:
                await send(
                    {"type": "http.response.body", "body": event.encode(), "more_body": True}
                )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_disconnected(receive: Receive) -> None:
    """Return when the client is gone; call it only after the body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
