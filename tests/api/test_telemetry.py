import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from api.telemetry import KeyValueFormatter, configure_logging, log_fields
from api.testing import ScriptedAgent
from tests.api.test_completions import HELLO


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    kept = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = kept


def test_every_answer_has_an_id_and_keeps_the_one_it_was_given(client: TestClient) -> None:
    first = client.get("/livez").headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{24}", first)
    assert client.get("/livez").headers["x-request-id"] != first
    for path in ("/livez", "/nowhere"):
        given = client.get(path, headers={"x-request-id": "mine-1"})
        assert given.headers["x-request-id"] == "mine-1"
    forged = client.get("/livez", headers={"x-request-id": "x y\tz"})
    assert forged.headers["x-request-id"].startswith("req_")


def test_requests_and_turns_are_logged_with_durations_and_without_words(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api")
    asked = {**HELLO, "messages": [{"role": "user", "content": "My secret diary"}]}
    client.post("/v1/chat/completions", json=asked, headers={"authorization": "Bearer my-key"})
    client.get("/v1/collections/my-private-name")
    fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
    turn, request, other = fields
    assert turn["completion_tokens"] == 3
    assert turn["decode_s"] == 0.5
    assert request["route"] == "/v1/chat/completions"
    assert request["status"] == 200
    assert request["duration_ms"] > 0
    assert other["route"] == "/v1/collections/{name}"
    everything = caplog.text + json.dumps(fields)
    for secret in ("secret", "my-key", "private", "It is so"):
        assert secret not in everything


def test_nobody_watching_means_json(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    log_fields(logging.getLogger("api.x"), logging.INFO, "request", status=200)
    logging.getLogger("api.x").debug("unseen")
    line = json.loads(stream.getvalue())
    assert line["message"] == "request"
    assert line["status"] == 200
    assert line["level"] == "info"
    assert line["time"].endswith("+00:00")


def test_a_terminal_means_key_value(root: logging.Logger) -> None:
    stream = Terminal()
    configure_logging("warning", stream=stream)
    log_fields(logging.getLogger("api.x"), logging.WARNING, "two\nlines", a=1, b="x y")
    assert re.fullmatch(r'\d\d:\d\d:\d\d warning two\\nlines a=1 b="x y"\n', stream.getvalue())


def test_a_traceback_follows_its_line() -> None:
    error = RuntimeError("boom")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (RuntimeError, error, None))
    text = KeyValueFormatter().format(record)
    assert text.splitlines()[0].endswith("failed")
    assert text.endswith("RuntimeError: boom")


def test_the_id_of_a_request_stands_in_the_lines_of_its_thread(
    client: TestClient, agent: ScriptedAgent, root: logging.Logger
) -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    client.post("/v1/chat/completions", json=HELLO, headers={"x-request-id": "mine-2"})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["request_id"] for line in lines if line["message"] in {"turn", "request"}} == {
        "mine-2"
    }


def test_lines_go_to_whatever_standard_error_is_by_then(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress bars put themselves before it; a line written past them was glued to a bar."""
    configure_logging("info")
    before_the_bars = io.StringIO()
    monkeypatch.setattr("sys.stderr", before_the_bars)
    root.info("loaded")
    assert "loaded" in before_the_bars.getvalue()
