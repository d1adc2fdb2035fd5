"""`POST /v1/watermark/detect`, and what it is made of."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient

from api.reply_tokens import MAX_CHARS
from api.settings import SchemeName, StatisticName
from api.testing import application_of_doubles
from api.watermark_finder import MAX_WEIGHTED, Entropies, MarkFinder
from api.watermark_request import DetectRequest
from llm.decoding.grammar_spec import JsonSchema, Regex
from llm.watermark.keys import KeyRing, generate
from tests.api.conftest import local_client
from tests.api.marked_texts import NEW, OLD, RING, SIZE, TOKENIZER, marked, marked_json, plain

ROUTE = "/v1/watermark/detect"
SECRETS = [form for key in RING.keys for form in (key.secret.hex(), repr(key.secret))]
PRINTABLE = [TOKENIZER.encode(chr(code))[0] for code in range(0x20, 0x7F)]
SCHEMA = {
    "type": "object",
    "properties": {
        "confirmation": {
            "type": "string",
            "minLength": 24,
            "maxLength": 24,
            "pattern": "^[a-z ]*$",
        },
        "is_confirmed_by_customer": {"type": "boolean"},
        "reservation_time": {"type": "string", "minLength": 16, "maxLength": 16},
    },
    "required": ["confirmation", "is_confirmed_by_customer", "reservation_time"],
    "additionalProperties": False,
}


@contextmanager
def service(
    state: Path,
    *,
    ring: KeyRing | None = RING,
    served: SchemeName = "gumbel",
    entropies: Entropies | None = None,
    **settings: Any,
) -> Iterator[TestClient]:
    finder = None
    if ring is not None:
        finder = MarkFinder(ring, TOKENIZER, size=SIZE, served=served, entropies=entropies)
    with (
        application_of_doubles(state, **settings) as doubles,
        local_client(replace(doubles, mark_finder=finder)) as opened,
    ):
        yield opened


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[TestClient]:
    with service(tmp_path / "marks") as opened:
        yield opened


def found(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post(ROUTE, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert not any(secret in response.text for secret in SECRETS)
    return answer


def refused(client: TestClient, status: int, code: str, **body: Any) -> dict[str, Any]:
    response = client.post(ROUTE, json=body)
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert not any(secret in response.text for secret in SECRETS)
    return error


def test_a_marked_text_is_found_with_its_key_and_scheme(marks: TestClient) -> None:
    answer = found(marks, text=marked(60))
    assert answer["object"] == "watermark.detection"
    assert answer["detected"] is True
    assert answer["p_value"] < 1e-6
    assert answer["log10_p_value"] < -6
    assert (answer["scheme"], answer["key"], answer["key_id"]) == ("gumbel", "new", NEW.id)
    assert 40 < answer["num_scored"] < 60
    assert answer["num_tests"] == 2 * 16
    assert answer["z_score"] > 5
    assert "carries the mark of the key 'new'" in answer["sentence"]
    assert answer["tokens"] is None


def test_an_unmarked_text_is_not_called_marked(marks: TestClient) -> None:
    answer = found(marks, text=plain(400))
    assert answer["detected"] is False
    assert answer["p_value"] > 0.01
    assert "No mark was found" in answer["sentence"]
    assert "does not say that the text is unmarked" in answer["sentence"]


def test_tokens_count_by_the_choice_that_the_model_had(tmp_path: Path) -> None:
    """A reply that goes on with what nobody could choose is found by its beginning."""
    text = marked(25) + plain(150, seed=8)

    def entropies(token_ids: Sequence[int]) -> list[float]:
        return [3.3] * 25 + [0.02] * (len(token_ids) - 25)

    with service(tmp_path, entropies=entropies) as client:
        equal, weighted = found(client, text=text), found(client, text=text, weighted=True)
        assert weighted["p_value"] < 1e-3 * equal["p_value"]
        assert weighted["detected"] is True
        assert found(client, text=plain(175), weighted=True)["detected"] is False
        refused(client, 400, "invalid_value", text=text, weighted=True, search=True)
        long = plain(MAX_WEIGHTED + 1)
        assert "4,096" in refused(client, 400, "cannot_tell", text=long, weighted=True)["message"]


def test_weights_need_the_model(marks: TestClient) -> None:
    error = refused(marks, 400, "cannot_tell", text=marked(60), weighted=True)
    assert "the chat model is not at hand" in error["message"]


@pytest.mark.parametrize("scheme", get_args(SchemeName))
def test_each_scheme_of_the_settings_is_looked_for(tmp_path: Path, scheme: SchemeName) -> None:
    with service(tmp_path, served=scheme) as client:
        text = marked(250, scheme=scheme, allowed=PRINTABLE)
        assert found(client, text=text)["scheme"] == scheme
        assert found(client, text=text, scheme=scheme)["detected"] is True


def test_a_mark_of_another_scheme_is_found_by_its_name_alone(marks: TestClient) -> None:
    text = marked(250, scheme="sbw")
    assert found(marks, text=text)["detected"] is False
    answer = found(marks, text=text, scheme="sbw")
    assert (answer["detected"], answer["scheme"]) == (True, "sbw")


@pytest.mark.parametrize("statistic", get_args(StatisticName))
def test_each_statistic_finds_a_tournament_s_mark(marks: TestClient, statistic: str) -> None:
    asked = {"scheme": "synthid", "statistic": statistic}
    text = marked(120, scheme="synthid")
    answer = found(marks, text=text, **asked)
    assert (answer["detected"], answer["scheme"], answer["key"]) == (True, "synthid", "new")
    assert answer["p_value"] < 1e-4
    replies = [{"role": "assistant", "content": text[i : i + 40]} for i in (0, 40, 80)]
    assert found(marks, messages=replies, **asked)["detected"] is True
    assert found(marks, text=plain(200) + text + plain(200), search=True, **asked)["detected"]
    assert found(marks, text=plain(200), **asked)["detected"] is False


def test_statistics_differ_in_what_they_add_up(marks: TestClient) -> None:
    text = marked(60, scheme="synthid")
    values = {
        found(marks, text=text, scheme="synthid", statistic=name)["log10_p_value"]
        for name in get_args(StatisticName)
    }
    assert len(values) == 3


def test_what_an_old_key_marked_stays_detectable(marks: TestClient) -> None:
    text = marked(60, key=OLD)
    assert found(marks, text=text)["key"] == "old"
    assert found(marks, text=text, key="new")["detected"] is False
    corrected = found(marks, text=text)["log10_p_value"]
    alone = found(marks, text=text, key="old")
    assert alone["num_tests"] == 16
    assert alone["log10_p_value"] == pytest.approx(corrected - 0.301, abs=0.01)  # lg 2


def test_tokens_spell_the_text_and_bear_the_evidence(marks: TestClient) -> None:
    text = marked(60)
    answer = found(marks, text=text, tokens=True)
    tokens = answer["tokens"]
    assert "".join(token["text"] for token in tokens) == text
    counted = [token["evidence"] for token in tokens if token["counted"]]
    assert len(counted) == answer["num_scored"]
    assert sum(counted) / len(counted) ** 0.5 == pytest.approx(answer["z_score"], abs=0.01)
    assert not any(token["counted"] for token in tokens[:4])  # these have no context


def test_replies_too_short_alone_are_judged_together(marks: TestClient) -> None:
    texts = [marked(13, seed=seed) for seed in range(8)]
    messages = [
        {"role": role, "content": content}
        for text in texts
        for role, content in (("user", "Tell me more of it."), ("assistant", text))
    ]
    answer = found(marks, messages=messages, tokens=True)
    assert answer["detected"] is True
    assert answer["z_score"] is None
    assert [reply["num_tokens"] for reply in answer["replies"]] == [13] * 8
    assert answer["p_value"] < min(reply["p_value"] for reply in answer["replies"])
    assert "The conversation" in answer["sentence"]
    spelt = ["".join(t["text"] for t in answer["tokens"] if t["reply"] == i) for i in range(8)]
    assert spelt == texts


def test_what_users_wrote_is_no_evidence(marks: TestClient) -> None:
    messages = [
        {"role": "user", "content": marked(80)},
        {"role": "assistant", "content": plain(80)},
    ]
    answer = found(marks, messages=messages)
    assert answer["detected"] is False
    assert len(answer["replies"]) == 1


def test_a_marked_passage_is_found_in_a_longer_text(marks: TestClient) -> None:
    passage = marked(128)
    text = plain(900, seed=1) + passage + plain(900, seed=2)
    answer = found(marks, text=text, search=True)
    assert answer["detected"] is True
    assert answer["sentence"].startswith("A passage of the text")
    assert passage[32:96] in answer["replies"][0]["passage"]
    assert answer["log10_p_value"] < found(marks, text=text)["log10_p_value"]


def test_tokens_that_a_schema_forced_are_no_evidence(marks: TestClient) -> None:
    form = JsonSchema.of(SCHEMA)
    texts = [marked_json(form, seed=seed) for seed in range(4)]
    for text in texts:
        answer = found(marks, text=f"{text}\n", schema=SCHEMA, tokens=True)
        forced = [token["text"] for token in answer["tokens"] if not token["counted"]]
        assert "".join(forced).count("reservation_time") == 1
        naive = found(marks, text=text)
        assert answer["num_scored"] < naive["num_scored"]
        assert answer["z_score"] > naive["z_score"]
        assert answer["detected"] is True


def test_tokens_that_a_grammar_forced_are_no_evidence(marks: TestClient) -> None:
    """As with a schema, for whatever form an answer may be asked for."""
    pattern = "confirmation number: [a-z]{30}, thank you for your patience"
    text = marked_json(Regex(pattern=pattern), seed=3)
    answer = found(marks, text=text, grammar={"regex": pattern}, tokens=True)
    counted = [token["text"] for token in answer["tokens"] if token["counted"]]
    assert 20 < len(counted) <= 30
    assert answer["num_scored"] < found(marks, text=text)["num_scored"]
    assert answer["detected"] is True
    error = refused(marks, 400, "cannot_tell", text=marked(60), grammar={"choices": ["a", "b"]})
    assert "does not follow the grammar" in error["message"]


def test_a_text_of_another_schema_cannot_be_told(marks: TestClient) -> None:
    said = refused(marks, 400, "cannot_tell", text=marked(60), schema=SCHEMA)
    assert "does not follow the grammar" in said["message"]
    assert refused(marks, 400, "unsupported_schema", text="{}", schema={"not": {}})["param"] == (
        "schema"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no text"),
        (" \n ", "no text"),
        ("hello", "only 1 tokens"),
        ("\x00\x01\x02 binary \x7f\x1b" * 40, "characters are none that a text has"),
        ("�" * 50, "characters are none that a text has"),
        ("na " * 300, "can say anything"),  # the same few contexts again and again
    ],
)
def test_what_cannot_be_told_is_said_with_the_reason(
    marks: TestClient, text: str, words: str
) -> None:
    error = refused(marks, 400, "cannot_tell", text=text)
    assert error["message"].startswith("cannot tell, because ")
    assert words in error["message"]


def test_a_text_of_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with service(tmp_path, max_body_bytes=20_000_000) as client:
        error = refused(client, 400, "cannot_tell", text="word " * 2_000_000)
        assert f"{MAX_CHARS:,}" in error["message"]
    with service(tmp_path / "b") as client:
        refused(client, 413, "request_too_large", text="word " * 2_000_000)


def test_too_many_keys_for_a_text_are_told(tmp_path: Path) -> None:
    ring = KeyRing(tuple(generate(f"key-{i}") for i in range(300)))
    with service(tmp_path, ring=ring) as client:
        text = plain(10_000)
        assert "name the key" in refused(client, 400, "cannot_tell", text=text)["message"]
        assert found(client, text=text, key="key-7")["num_tests"] == 16


def test_the_longest_text_is_answered_or_refused_with_the_reason(marks: TestClient) -> None:
    error = refused(marks, 400, "cannot_tell", text=plain(210_000))
    assert "210000 tokens" in error["message"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "invalid_value", None),
        ({"text": "x", "messages": []}, "invalid_value", None),
        ({"text": "x", "scheme": "rot13"}, "invalid_value", "scheme"),
        ({"text": "x", "scheme": "synthid", "statistic": "sum"}, "invalid_value", "statistic"),
        ({"text": "x", "statistic": "mean"}, "invalid_value", "statistic"),
        ({"text": "x", "scheme": "sbw", "statistic": "mean"}, "invalid_value", "statistic"),
        ({"text": "x", "secret": "y"}, "unknown_parameter", "secret"),
        ({"text": 5}, "invalid_value", "text"),
        ({"text": "\ud800"}, "invalid_value", "text"),
        ({"text": "x", "whitespace": 65}, "invalid_value", "whitespace"),
        ({"text": "x", "schema": True, "search": True}, "invalid_value", "schema"),
        ({"messages": [], "search": True}, "invalid_value", "search"),
        ({"text": "x", "grammar": {"regex": "a"}, "search": True}, "invalid_value", "grammar"),
        ({"text": "x", "grammar": {"quote": True}}, "invalid_value", "grammar"),
        ({"text": "x", "grammar": {"regex": "("}}, "invalid_grammar", "grammar"),
        ({"text": "x", "grammar": {}}, "invalid_value", "grammar"),
        ({"text": "x", "grammar": {"regex": "a"}, "schema": True}, "invalid_value", None),
        ({"messages": []}, "cannot_tell", "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "invalid_value", "messages[0].role"),
    ],
)
def test_a_wrong_question_names_its_parameter(
    marks: TestClient, body: dict[str, Any], code: str, param: str | None
) -> None:
    response = marks.post(
        ROUTE, content=json.dumps(body), headers={"content-type": "application/json"}
    )
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)


def test_an_unknown_key_is_named_beside_the_known_ones(marks: TestClient) -> None:
    error = refused(marks, 404, "watermark_key_not_found", text=plain(60), key="nosuch")
    assert "'nosuch'" in error["message"]
    assert "old, new" in error["message"]


def test_without_a_key_there_is_nothing_to_look_for(tmp_path: Path) -> None:
    with service(tmp_path, ring=None) as client:
        assert "keygen" in refused(client, 404, "no_watermark_key", text="x")["message"]


def test_only_the_admin_key_may_ask_where_there_is_one(tmp_path: Path) -> None:
    with service(tmp_path, api_keys=("user-key-1",), admin_key="admin-key-1") as client:
        body = {"text": marked(60)}

        def status(key: str | None) -> int:
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            return client.post(ROUTE, json=body, headers=headers).status_code

        assert [status(key) for key in (None, "user-key-1", "admin-key-1")] == [401, 403, 200]


def test_whoever_may_not_ask_takes_nothing_from_those_who_may(tmp_path: Path) -> None:
    with service(tmp_path, api_keys=("user-key-1",), admin_key="admin-key-1") as client:
        for _ in range(40):
            headers = {"authorization": "Bearer user-key-1"}
            assert client.post(ROUTE, json={"text": "x"}, headers=headers).status_code == 403
        headers = {"authorization": "Bearer admin-key-1"}
        assert client.post(ROUTE, json={"text": marked(60)}, headers=headers).status_code == 200


def test_questions_are_rationed_whatever_they_are(marks: TestClient) -> None:
    codes = [marks.post(ROUTE, json={"text": ""}).status_code for _ in range(32)]
    assert codes[:30] == [400] * 30
    response = marks.post(ROUTE, json={"text": marked(60)})
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "rate_limited"
    assert response.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert 1 <= int(response.headers["retry-after-ms"]) <= 60_000


def test_texts_and_secrets_are_in_no_log(
    marks: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = marked(60)
    found(marks, text=text, tokens=True)
    refused(marks, 404, "watermark_key_not_found", text=text, key="nosuch")
    assert text[:20] not in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


def test_each_parameter_of_detection_is_documented() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    part = docs.partition("## Watermark\n")[2].partition("\n## ")[0]
    for name, field in DetectRequest.model_fields.items():
        assert f"| `{field.alias or name}` |" in part


def test_the_page_is_served_without_a_key(tmp_path: Path) -> None:
    with service(tmp_path, api_keys=("user-key-1",)) as client:
        response = client.get("/watermark")
        assert response.status_code == 200
        assert "script-src 'self'" in response.headers["content-security-policy"]
        assert "/static/watermark.js" in response.text
