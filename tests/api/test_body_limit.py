import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.testing import application_of_doubles
from tests.api.conftest import LiveServer, client_with, serving
from tests.api.test_completions import error_of

JSON = {"content-type": "application/json"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LiveServer]:
    with (
        application_of_doubles(tmp_path, max_body_bytes=1000, max_upload_bytes=5000) as application,
        serving(application) as live,
    ):
        yield live


def chunks(num_bytes: int) -> Iterator[bytes]:
    yield b'{"model": "'
    for _ in range(num_bytes // 100):
        yield b"x" * 100


def test_an_announced_body_that_is_too_long_is_a_413(small: LiveServer) -> None:
    response = httpx.post(
        f"{small.address}/v1/chat/completions",
        content=b"x" * 400_000,
        headers=JSON,
        trust_env=False,
    )
    error = error_of(response, 413)
    assert "1000 bytes" in error["message"]
    assert "CAUSERIE_MAX_BODY_BYTES" in error["message"]


def test_a_body_without_a_length_is_counted_as_it_comes(small: LiveServer) -> None:
    response = httpx.post(
        f"{small.address}/v1/chat/completions",
        content=chunks(400_000),
        headers=JSON,
        trust_env=False,
    )
    assert "transfer-encoding" in response.request.headers
    error = error_of(response, 413)
    assert error["code"] == "request_too_large"


@pytest.mark.parametrize("is_announced", [True, False])
def test_an_upload_has_a_limit_of_its_own(small: LiveServer, is_announced: bool) -> None:
    httpx.post(f"{small.address}/v1/collections", json={"name": "docs"}, trust_env=False)
    url = f"{small.address}/v1/collections/docs/documents"

    def upload(num_bytes: int) -> httpx.Response:
        request = httpx.Request("POST", url, files={"file": ("a.txt", b"word " * num_bytes)})
        content = request.read()
        return httpx.post(
            url,
            content=content if is_announced else iter([content[:3000], content[3000:]]),
            headers={"content-type": request.headers["content-type"]},
            trust_env=False,
        )

    assert upload(600).status_code == 200  # over the limit of other bodies
    error = error_of(upload(1200), 413)
    assert "CAUSERIE_MAX_UPLOAD_BYTES" in error["message"]


def test_a_last_piece_that_goes_over_the_limit_is_answered_at_once(small: LiveServer) -> None:
    """The server used to wait for more of a body that had ended."""
    began = time.monotonic()
    response = httpx.post(
        f"{small.address}/v1/collections",
        content=iter([b"x" * 900, b"x" * 200]),
        headers=JSON,
        trust_env=False,
        timeout=20,
    )
    error_of(response, 413)
    assert time.monotonic() - began < 3


def test_a_body_at_the_limit_is_read(tmp_path: Path) -> None:
    with client_with(tmp_path, max_body_bytes=1000) as client:
        body = b'{"name": "docs"}'
        padded = body + b" " * (1000 - len(body))
        assert client.post("/v1/collections", content=padded, headers=JSON).status_code == 201
        error_of(client.post("/v1/collections", content=padded + b" ", headers=JSON), 413)
