"""The command `serve`, as a process of its own, with real signals."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.cli.server import listen
from api.errors import ConfigurationError, PortInUseError
from api.state_lock import running_server
from api.testing import wait_until

pytestmark = pytest.mark.slow  # a process each

REPOSITORY = Path(__file__).parents[2]
HELLO = {"model": "scripted", "messages": [{"role": "user", "content": "Hello?"}]}

PROGRAM = """
import os, sys, time, types
from contextlib import ExitStack
from dataclasses import replace
import api
from api.cli.main import main
from api.testing import application_of_doubles

stack = ExitStack()
load_s = float(os.environ.get("LOAD_S", "0"))

def prepare(settings, on_progress):
    for i in range(int(load_s * 20)):
        on_progress("fetching weights", i, int(load_s * 20))
        time.sleep(0.05)
    if os.environ.get("FAIL") == "network":
        from llm.errors import FetchError
        raise FetchError("no network; connect it and try again")

def build(settings, *, on_progress=None):
    if os.environ.get("FAIL") == "settings":
        from api.settings import unworkable_settings
        with unworkable_settings():
            raise ValueError("cache_tokens 64 cannot hold one context of 128 tokens")
    application = stack.enter_context(application_of_doubles(settings.state))
    application.agent.answer = " ".join(["word"] * 5000)
    application.agent.delay_s = 0.01
    return replace(application, decoder_runs_as="avx2 on 2 threads (as set)")

# In the place of the real one, whose import costs seconds.
bootstrap = api.bootstrap = sys.modules["api.bootstrap"] = types.ModuleType("api.bootstrap")
bootstrap.prepare_models = prepare
bootstrap.build = build
bootstrap.index_language_topics = lambda application, on_progress: None
bootstrap.start_library_indexing = lambda application: None
bootstrap.watch_indexes = lambda application: None
main(sys.argv[1:])
"""


@contextmanager
def serve(state: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", "--port", "0", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "CAUSERIE_STATE": str(state), **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(state: Path) -> str:
    assert wait_until(lambda: running_server(state) is not None, timeout_s=20)
    address = running_server(state)
    assert address is not None
    return address


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_service_quickly_even_with_open_streams(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serve(tmp_path) as process:
        address = address_of(tmp_path)
        assert wait_until(lambda: is_ready(address), timeout_s=20)
        with httpx.stream(
            "POST",
            f"{address}/v1/chat/completions",
            json={**HELLO, "stream": True},
            trust_env=False,
        ) as response:
            lines = response.iter_lines()
            next(lines)
            began = time.monotonic()
            process.send_signal(number)
            rest = list(lines)
        assert any("server_stopping" in line for line in rest)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 5
        assert process.stderr is not None
        said = process.stderr.read()
    assert "The decoder runs as avx2 on 2 threads (as set)." in said
    assert f"causerie answers at {address}" in said
    assert "Try:" in said
    assert "Traceback" not in said
    assert running_server(tmp_path) is None


def test_a_loading_service_is_alive_but_not_ready_and_can_be_stopped(tmp_path: Path) -> None:
    with serve(tmp_path, LOAD_S="30") as process:
        address = address_of(tmp_path)
        assert wait_until(
            lambda: "weights" in httpx.get(f"{address}/readyz", trust_env=False).text, timeout_s=20
        )
        assert httpx.get(f"{address}/livez", trust_env=False).is_success
        answer = httpx.post(f"{address}/v1/chat/completions", json=HELLO, trust_env=False)
        assert answer.status_code == 503
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_a_fault_in_loading_is_one_sentence(tmp_path: Path) -> None:
    with serve(tmp_path, FAIL="network") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "error: no network; connect it and try again" in said
    assert "Traceback" not in said


def test_settings_that_cannot_work_are_one_sentence(tmp_path: Path) -> None:
    with serve(tmp_path, FAIL="settings") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "error: CAUSERIE_CACHE_TOKENS 64 cannot hold one context of 128 tokens" in said
    assert "Traceback" not in said
    assert running_server(tmp_path) is None


def test_a_second_server_on_one_folder_refuses_with_the_holder(tmp_path: Path) -> None:
    with serve(tmp_path, LOAD_S="30") as first:
        address = address_of(tmp_path)
        with serve(tmp_path) as second:
            _, said = second.communicate(timeout=30)
        assert second.returncode == 1
        assert f"process {first.pid}, which serves {address}" in said


def test_another_host_without_keys_refuses_to_start(tmp_path: Path) -> None:
    with serve(tmp_path, "--host", "0.0.0.0") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "CAUSERIE_API_KEYS" in said


def test_a_busy_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .* is taken .*--port {port + 1}"):
            listen("127.0.0.1", port)


def test_a_port_is_free_again_at_once() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), pytest.raises(PortInUseError):
            listen("127.0.0.1", port)
    listen("127.0.0.1", port).close()


def test_an_address_that_is_not_ours_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> object:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 8000))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConfigurationError, match=r"cannot serve 192\.0\.2\.1 port 8000: "):
        listen("192.0.2.1", 8000)


def test_an_unknown_name_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConfigurationError, match="'nowhere' is not an address of this machine"):
        listen("nowhere", 8000)
