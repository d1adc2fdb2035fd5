"""A client that goes away stops what was being done for it; over real sockets."""

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api import streaming
from api.routes import completions
from api.testing import wait_until
from tests.api.conftest import LiveServer

LONG = " ".join(["word"] * 2000)


def request_bytes(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def connect(live: LiveServer) -> socket.socket:
    parts = urlsplit(live.address)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_disconnects_stops_the_generation(live: LiveServer, stream: bool) -> None:
    live.agent.answer, live.agent.delay_s = LONG, 0.01
    body = {
        "model": "scripted",
        "stream": stream,
        "messages": [{"role": "user", "content": "Hello?"}],
    }
    with connect(live) as client:
        client.sendall(request_bytes("/v1/chat/completions", json.dumps(body).encode()))
        if stream:
            assert client.recv(100)
        else:
            assert wait_until(lambda: live.application.foreground.num_busy == 1)
    assert live.agent.cancelled.wait(5)
    assert wait_until(lambda: live.application.foreground.num_busy == 0)


def test_a_silent_model_is_covered_by_pings_and_noticed_when_the_client_goes(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "PING_S", 0.05)
    live.agent.delay_s = 0.3
    body = {
        "model": "scripted",
        "stream": True,
        "messages": [{"role": "user", "content": "Hello?"}],
    }
    with httpx.stream(
        "POST", f"{live.address}/v1/chat/completions", json=body, trust_env=False
    ) as response:
        lines = list(response.iter_lines())
    assert ": ping" in lines
    assert lines[-2:] == ["data: [DONE]", ""] or lines[-1] == "data: [DONE]"
    assert streaming.PING_S == 15


def test_an_upload_whose_client_disconnects_ends_between_files(live: LiveServer) -> None:
    live.application.store.create(
        "docs", embedder="hashing", fingerprint=live.application.embedder.fingerprint, dim=64
    )
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="f{i}.txt"\r\n'
        f"content-type: text/plain\r\n\r\nFile number {i} says hello.\r\n"
        for i in range(30)
    ]
    body = ("".join(parts) + f"--{boundary}--\r\n").encode()
    # Ingest waits while a chat is under way: the client is gone before the first file is in.
    with live.application.foreground.busy():
        with connect(live) as client:
            client.sendall(
                request_bytes(
                    "/v1/collections/docs/documents",
                    body,
                    f"multipart/form-data; boundary={boundary}",
                )
            )
            time.sleep(0.3)
        time.sleep(0.5)
    assert wait_until(lambda: not live.application.foreground.num_busy)
    time.sleep(0.3)
    assert live.application.store.info("docs").num_documents <= 1


def test_streams_end_quickly_when_the_server_stops(tmp_path: Path, live: LiveServer) -> None:
    live.agent.answer, live.agent.delay_s = LONG, 0.01
    body = {
        "model": "scripted",
        "stream": True,
        "messages": [{"role": "user", "content": "Hello?"}],
    }
    began = 0.0
    events = []
    with httpx.stream(
        "POST", f"{live.address}/v1/chat/completions", json=body, trust_env=False
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
            if len(events) == 3 and not began:
                began = time.monotonic()
                live.application.foreground.stop()
    assert time.monotonic() - began < 2
    assert events[-1]["error"]["code"] == "server_stopping"
