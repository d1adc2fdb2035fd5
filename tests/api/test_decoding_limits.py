"""Forms that would take too much, asked of a real engine: a named error, soon, for them alone."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import local_client
from tests.api.test_completions import CHAT
from tests.api.tiny_service import HELLO, tiny_service


def _nested(depth: int) -> str:
    return '{"items":' * depth + "{}" + "}" * depth


def _wide(kilobytes: int) -> str:
    return json.dumps({"enum": ["x" * 1000] * kilobytes})


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TestClient]:
    with tiny_service(tmp_path / "tiny") as built, local_client(built) as client:
        yield client


def asked(client: TestClient, body: str) -> Any:
    return client.post(CHAT, content=body, headers={"content-type": "application/json"})


def with_schema(schema: str) -> str:
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": "HERE"}}
    return json.dumps({**HELLO, "response_format": form}).replace('"HERE"', schema)


def with_own(**own: Any) -> str:
    return json.dumps({**HELLO, "causerie": own})


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (with_schema(_nested(1000)), None, "invalid_json"),
        (with_schema(_nested(200)), "response_format", "grammar_too_large"),
        (with_schema(_wide(1000)), None, "request_too_large"),
        (with_schema(_wide(500)), "response_format", "grammar_too_large"),
        (
            with_own(grammar={"regex": "(a{1000}){1000}"}),
            "causerie.grammar",
            "grammar_too_large",
        ),
        (with_own(grammar={"regex": "(a*)*" * 1500}), "causerie.grammar", "grammar_too_large"),
        (with_own(grammar={"lark": "x" * 70_000}), "causerie.grammar", "invalid_value"),
        (with_own(stop_regex=["(a{1000}){1000}"]), "causerie.stop_regex", "invalid_value"),
        (with_own(allowed_strings=["x" * 20_000]), "causerie.allowed_strings", "invalid_value"),
    ],
)
def test_what_takes_too_much_is_refused_soon_and_others_are_served(
    tiny: TestClient, body: str, param: str | None, code: str
) -> None:
    began = time.monotonic()
    response = asked(tiny, body)
    assert time.monotonic() - began < 20
    assert response.status_code in {400, 413}, response.text
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    again = asked(tiny, json.dumps({**HELLO, "max_tokens": 3}))
    assert again.status_code == 200, again.text


def test_the_tiny_model_keeps_to_a_form_too(tiny: TestClient) -> None:
    for n in (1, 3):
        body = json.dumps({**HELLO, "n": n, "response_format": {"type": "json_object"}})
        answer = asked(tiny, body)
        assert answer.status_code == 200, answer.text
        for choice in answer.json()["choices"]:
            assert isinstance(json.loads(choice["message"]["content"]), dict)
