"""A service over doubles: inside this process, and live on a loopback port."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from starlette.testclient import TestClient

from api.app import create_app
from api.application import Application
from api.cli.server import listen
from api.testing import ScriptedAgent, application_of_doubles, wait_until

Serving = Callable[..., TestClient]
ME = ("127.0.0.1", 50_000)


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    with application_of_doubles(tmp_path / "state") as built:
        yield built


@pytest.fixture
def agent(application: Application) -> ScriptedAgent:
    return cast(ScriptedAgent, application.agent)


@pytest.fixture
def client(application: Application) -> Iterator[TestClient]:
    with local_client(application) as opened:
        yield opened


@contextmanager
def local_client(application: Application) -> Iterator[TestClient]:
    with TestClient(create_app(application), base_url="http://127.0.0.1:8000", client=ME) as opened:
        yield opened


@contextmanager
def client_with(tmp_path: Path, **settings: Any) -> Iterator[TestClient]:
    """Give a client of a service with these settings."""
    with (
        application_of_doubles(tmp_path / "own", **settings) as built,
        local_client(built) as opened,
    ):
        yield opened


@dataclass(frozen=True)
class LiveServer:
    address: str
    application: Application
    server: uvicorn.Server

    @property
    def agent(self) -> ScriptedAgent:
        return cast(ScriptedAgent, self.application.agent)


@contextmanager
def serving(application: Application) -> Iterator[LiveServer]:
    """Run a real server on a free loopback port."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(application),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=3,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert wait_until(lambda: server.started)
        try:
            yield LiveServer(f"http://127.0.0.1:{port}", application, server)
        finally:
            application.foreground.stop()
            server.should_exit = True
            thread.join(timeout=10)
            assert not thread.is_alive()


@pytest.fixture
def live(application: Application) -> Iterator[LiveServer]:
    with serving(application) as server:
        yield server
