"""Answers of the real service are found to be marked by it, and by the command beside it."""

import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from llm.model_catalog import DEFAULT_CHAT_MODEL
from tests.e2e.conftest import ANSWER_TIMEOUT_S, REPOSITORY, LiveService

pytestmark = [pytest.mark.weights, pytest.mark.slow]

STORY = "Write a long story about a lighthouse keeper who finds a strange boat."


def ask(server: LiveService, **body: Any) -> dict[str, Any]:
    asked = {
        "model": DEFAULT_CHAT_MODEL,
        "messages": [{"role": "user", "content": STORY}],
        "temperature": 1.0,
        "max_tokens": 160,
        **body,
    }
    response = httpx.post(f"{server.url}/v1/chat/completions", json=asked, timeout=ANSWER_TIMEOUT_S)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def text_of(answer: dict[str, Any]) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def detect(server: LiveService, **body: Any) -> dict[str, Any]:
    response = httpx.post(f"{server.url}/v1/watermark/detect", json=body, timeout=ANSWER_TIMEOUT_S)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_an_answer_is_marked_unless_an_admin_says_otherwise(live_server: LiveService) -> None:
    texts = [text_of(ask(live_server, seed=seed)) for seed in (1, 2)]
    assert texts[0] != texts[1]
    for text in texts:
        assert detect(live_server, text=text)["detected"] is True
    plain = text_of(ask(live_server, seed=1, causerie={"mark": "off"}))
    assert plain not in texts
    assert detect(live_server, text=plain)["p_value"] > 1e-3


def test_an_answer_that_is_not_drawn_is_marked_where_that_was_asked(
    live_server: LiveService,
) -> None:
    text = text_of(ask(live_server, temperature=0, causerie={"mark": "sbw"}))
    assert detect(live_server, text=text, scheme="sbw")["detected"] is True


def test_json_is_found_with_the_schema_it_was_made_under(live_server: LiveService) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "title_of_the_story": {"type": "string", "maxLength": 120},
            # Long enough that every story has words to choose, whatever the machine's last bits.
            "description_of_the_keeper": {"type": "string", "minLength": 600, "maxLength": 900},
            "is_suitable_for_children": {"type": "boolean"},
        },
        "required": [
            "title_of_the_story",
            "description_of_the_keeper",
            "is_suitable_for_children",
        ],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "story", "schema": schema}}
    text = text_of(ask(live_server, seed=3, max_tokens=400, response_format=form))
    assert json.loads(text).keys() == schema["properties"].keys()
    replayed = detect(live_server, text=text, schema=schema)
    naive = detect(live_server, text=text)
    assert replayed["num_scored"] < naive["num_scored"]
    assert replayed["detected"] is True


def test_the_command_finds_what_the_service_marked(live_server: LiveService) -> None:
    text = text_of(ask(live_server, seed=4))
    ended = subprocess.run(
        [sys.executable, "-m", "api", "watermark", "detect", "-", "--json"],
        input=text.encode(),
        capture_output=True,
        cwd=REPOSITORY,
        env={
            **os.environ,
            "CAUSERIE_HOME": str(live_server.home),
            "CAUSERIE_STATE": str(live_server.state),
        },
        check=True,
    )
    told = json.loads(ended.stdout)
    assert told["detected"] is True
    assert told["log10_p_value"] == detect(live_server, text=text)["log10_p_value"]


def test_no_secret_is_in_what_the_service_prints(live_server: LiveService) -> None:
    content = json.loads((live_server.state / "keys" / "watermark.json").read_text())
    secrets = [key["secret"] for key in content["keys"]]
    text = text_of(answer := ask(live_server, seed=5, logprobs=True, top_logprobs=5))
    found = detect(live_server, text=text, tokens=True)
    for secret in secrets:
        assert len(secret) == 32
        for printed in (live_server.log(), json.dumps(answer), json.dumps(found)):
            assert secret not in printed
