"""The service while its parts are still being made: alive, not ready, and honest about it.

Supervisors and clients can ask from the first second on; everything but the two health routes gets
a 503 until the application stands, which then answers itself.
"""

from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.application import Application
from api.error_table import RequestError
from api.readiness import Readiness

_RETRY: Final = {"retry-after": "5"}


class LoadingGate:
    """An ASGI application in front of one that does not exist yet."""

    def __init__(self, on_shutdown: Callable[[], None]) -> None:
        self.readiness = Readiness("the service is loading")
        self._app: ASGIApp | None = None
        self._on_shutdown = on_shutdown

    def open(self, app: ASGIApp, application: Application) -> None:
        """Let requests through from now on."""
        application.readiness.mark_ready()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, here or behind the gate."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope["path"])(scope, receive, send)

    def _answer(self, path: str) -> Response:
        reason = self.readiness.reason or "the service is loading"
        if path == "/livez":
            return JSONResponse({"status": "ok"})
        if path == "/readyz":
            return JSONResponse(
                {"status": "not ready", "reason": reason}, status_code=503, headers=_RETRY
            )
        return RequestError(
            503,
            f"{reason}; try again in a moment, /readyz says when",
            type_="server_error",
            code="loading",
            headers=_RETRY,
        ).to_response()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._on_shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return
