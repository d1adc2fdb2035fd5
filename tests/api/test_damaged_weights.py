"""A weight file that was damaged: refused where that is seen, and told to whoever meets it alone.

Weights that are not finite are refused when they are loaded. Here all are finite, but one token's
state grows out of the range of float32, so that its logits are NaN.
"""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from starlette.testclient import TestClient

from api.application import Application
from api.testing import read_events
from llm.checkpoint import load_decoder
from llm.errors import CheckpointError
from tests.api.conftest import local_client
from tests.api.tiny_service import MODEL, becomes_idle, tiny_service
from tests.llm.paged import packable_config, random_model
from tests.llm.tiny_model import raw_tokenizer, tiny_tokenizer

CHAT = "/v1/chat/completions"
BROKEN = "~"
NEVER_SAID = {str(tiny_tokenizer().encode(BROKEN)[0]): -100}
CONTROLS: list[dict[str, Any]] = [
    {},
    {"temperature": 0},
    {"logprobs": True, "top_logprobs": 3},
    {"presence_penalty": 0.5},
    {"n": 3},
    {"response_format": {"type": "json_object"}},
    {"causerie": {"contrast": {"weight": 0.5}}},
    {"causerie": {"search": {"method": "best_of", "width": 3}}},
    {"temperature": 0, "causerie": {"search": {"method": "beam", "width": 3}}},
]


def write_model(folder: Path, *, broken: float = 1.0) -> Path:
    """Write a model's files as others publish them.

    Only the token `BROKEN` has anything in the first dimension, namely `broken`, and the first norm
    makes that huge.
    """
    config = packable_config(tie_word_embeddings=False)
    weights = random_model(config).state_dict()
    weights["embed_tokens.weight"][:, 0] = 0.0
    weights["embed_tokens.weight"][tiny_tokenizer().encode(BROKEN), 0] = broken
    weights["layers.0.input_layernorm.weight"][0] = 1e38
    names = {name: name if name.startswith("lm_head") else f"model.{name}" for name in weights}
    folder.mkdir()
    save_file({names[k]: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors")
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    fields.pop("rope_scaling")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **fields}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    raw_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def test_weights_that_are_not_finite_are_refused_when_they_are_loaded(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", broken=math.nan)
    with pytest.raises(CheckpointError, match=r"embed_tokens\.weight holds NaN"):
        load_decoder(folder)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Application]:
    decoder = load_decoder(write_model(tmp_path / "model"))
    with tiny_service(tmp_path / "state", decoder=decoder, context_size=256) as built:
        yield built


@pytest.fixture
def http(service: Application) -> Iterator[TestClient]:
    with local_client(service) as client:
        yield client


def body(text: str, **more: Any) -> dict[str, Any]:
    asked = {"max_tokens": 8, "seed": 4, "temperature": 1.0, "logit_bias": NEVER_SAID, **more}
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **asked}


def test_a_request_that_meets_the_damage_ends_alone_whatever_it_asks_for(
    service: Application, http: TestClient
) -> None:
    """Each bad request runs beside a good one, which says what it says without it."""
    expected = http.post(CHAT, json=body("Hello.")).json()["choices"][0]["message"]["content"]
    with ThreadPoolExecutor(4) as pool:
        for controls in CONTROLS:
            good = [pool.submit(http.post, CHAT, json=body("Hello.")) for _ in range(2)]
            bad = pool.submit(http.post, CHAT, json=body(f"Hello {BROKEN}", **controls))
            response = bad.result()
            assert response.status_code == 500, (controls, response.text)
            error = response.json()["error"]
            assert error["code"] == "engine_failure"
            assert "not finite" in error["message"]
            for each in good:
                answer = each.result()
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["message"]["content"] == expected
    assert becomes_idle(service)


def test_a_stream_that_comes_to_the_damage_ends_with_the_error(http: TestClient) -> None:
    """The broken token is written, and the step after it cannot be drawn."""
    (token,) = tiny_tokenizer().encode(BROKEN)
    asked = body("Hello.", stream=True, logit_bias={str(token): 60})
    response = http.post(CHAT, json=asked)
    assert response.status_code == 200, response.text
    *said, last = (event for event in read_events(response.text) if isinstance(event, dict))
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in said) == BROKEN
    assert last["error"]["code"] == "engine_failure"
    fine = read_events(http.post(CHAT, json=body("Hello.", stream=True)).text)
    assert fine[-1] == "[DONE]"
