"""No body longer than allowed, whether its length is announced or not."""

import asyncio
import contextlib
import re
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_table import RequestError

_UPLOAD_PATH: Final = re.compile(r"/v1/collections/[^/]+/(documents|import)/?")

# A client that is still sending does not read; cut off at once, it would see a reset connection
# instead of the reason. So some of the rest is read and dropped.
_MAX_DRAINED_BYTES: Final = 16 * 2**20
_MAX_DRAIN_S: Final = 5.0


class _TooLongError(Exception):
    """Ends whatever reads the body."""


class BodyLimitMiddleware:
    """Answers 413 to a body over `max_body_bytes`, or `max_upload_bytes` where files are sent."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and _UPLOAD_PATH.fullmatch(scope["path"])
        limit = self._max_upload_bytes if is_upload else self._max_body_bytes
        setting = "CAUSERIE_MAX_UPLOAD_BYTES" if is_upload else "CAUSERIE_MAX_BODY_BYTES"
        refusal = RequestError(
            413,
            f"the body is longer than the {limit} bytes allowed here; send less at a time, or raise"
            f" {setting}",
            code="request_too_large",
            headers={"connection": "close"},
        )
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            if "100-continue" not in headers.get("expect", "").lower():
                await _drain(receive)
            await refusal.to_response()(scope, receive, send)
            return
        await _Counted(limit, receive, send).serve(self._app, scope, refusal)


class _Counted:
    """One request whose body is counted as it is read."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self._left = limit
        self._receive = receive
        self._send = send
        self._is_over = False
        self._has_started = False
        self._has_more = False

    async def serve(self, app: ASGIApp, scope: Scope, refusal: RequestError) -> None:
        with contextlib.suppress(_TooLongError):
            await app(scope, self.receive, self.send)
        if self._is_over and not self._has_started:
            # After the last piece there is nothing to wait for but the client's leaving.
            if self._has_more:
                await _drain(self._receive)
            await refusal.to_response()(scope, self._receive, self._send)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self._is_over = True
                self._has_more = message.get("more_body", False)
                raise _TooLongError
        return message

    async def send(self, message: Message) -> None:
        # Frameworks turn the exception into an answer of their own: drop that one.
        if self._is_over and not self._has_started:
            return
        self._has_started = True
        await self._send(message)


async def _drain(receive: Receive) -> None:
    num_bytes = 0
    deadline = time.monotonic() + _MAX_DRAIN_S
    while num_bytes < _MAX_DRAINED_BYTES and (left_s := deadline - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(receive(), left_s)
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        num_bytes += len(message.get("body", b""))
