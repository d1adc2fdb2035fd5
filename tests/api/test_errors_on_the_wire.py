import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.error_table import TABLE, shown, to_request_error
from api.testing import ScriptedAgent
from dialog import errors as dialog_errors
from index import errors as index_errors
from index.errors import DatabaseUnreachableError, StorageFullError
from llm import errors as llm_errors
from llm.chat_template import TemplateRefusedError
from tests.api.test_completions import HELLO, error_of

JSON = {"content-type": "application/json"}


def test_an_unknown_route_is_a_404_in_the_same_shape(client: TestClient) -> None:
    assert error_of(client.get("/v1/nothing"), 404)["code"] == "unknown_route"
    assert error_of(client.get("/v1/models/"), 404)
    assert error_of(client.get("/v1/collections/a/b/c/d"), 404)


def test_a_wrong_method_is_a_405_that_lists_the_right_ones(client: TestClient) -> None:
    response = client.put("/v1/collections", json={})
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "at character 1"),
        (b'{"model": }', "at character 10"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"model": "\xff"}', "not UTF-8: byte b'\\xff' at 11; send JSON as UTF-8"),
        (b"[" * 100_000, "nested too deeply; send"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "more than 4300 digits; send a shorter one"),
    ],
)
def test_a_malformed_body_is_a_400_that_says_why(
    client: TestClient, body: bytes, part: str
) -> None:
    error = error_of(client.post("/v1/chat/completions", content=body, headers=JSON), 400)
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_json"
    assert part in error["message"]


def test_an_empty_body_is_told_what_to_send(client: TestClient) -> None:
    error = error_of(client.post("/v1/chat/completions", content=b"", headers=JSON), 400)
    assert "JSON object" in error["message"]


@pytest.mark.parametrize(
    ("content_type", "body", "part"),
    [
        ("multipart/form-data", b"x", "names no boundary; send"),
        ("multipart/form-data; boundary=", b"x", "invalid multipart data); send"),
        ("multipart/form-data; boundary=a", b"x", "invalid multipart data); send"),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n",
            'field "name" must be provided); send',
        ),
    ],
)
def test_a_malformed_upload_is_a_400_that_says_why(
    client: TestClient, content_type: str, body: bytes, part: str
) -> None:
    client.post("/v1/collections", json={"name": "docs"})
    response = client.post(
        "/v1/collections/docs/documents", content=body, headers={"content-type": content_type}
    )
    error = error_of(response, 400)
    assert error["code"] == "invalid_multipart"
    assert part in error["message"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"7"])
def test_a_body_that_is_no_object_is_told_what_to_send(client: TestClient, body: bytes) -> None:
    error = error_of(client.post("/v1/chat/completions", content=body, headers=JSON), 400)
    assert "JSON object" in error["message"]


def test_a_body_of_another_type_is_told_what_to_send(client: TestClient) -> None:
    response = client.post(
        "/v1/chat/completions", content=b"model=x", headers={"content-type": "text/plain"}
    )
    assert "application/json" in error_of(response, 400)["message"]


def test_malformed_json_says_where(client: TestClient) -> None:
    response = client.post("/v1/collections", content=b'{"name" "x"}', headers=JSON)
    error = error_of(response, 400)
    assert error["code"] == "invalid_json"
    assert "character 8" in error["message"]


def test_messages_that_the_template_refuses_are_a_400(
    client: TestClient, agent: ScriptedAgent
) -> None:
    agent.error = TemplateRefusedError("the template does not take these messages: roles")
    error = error_of(client.post("/v1/chat/completions", json=HELLO), 400)
    assert (error["param"], error["code"]) == ("messages", "messages_refused")
    assert "roles" in error["message"]


def test_a_crash_is_a_500_that_tells_nothing_but_its_id(
    client: TestClient, agent: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    agent.error = RuntimeError("the database password is x")
    error = error_of(client.post("/v1/chat/completions", json=HELLO), 500)
    assert error["type"] == "server_error"
    assert "password" not in error["message"]
    assert "password" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code", "told"),
    [
        (StorageFullError("the disk of /srv/x is full"), 507, "storage_full", "made room"),
        (
            DatabaseUnreachableError("postgresql://me@db.internal does not answer"),
            503,
            "database_unreachable",
            "try again",
        ),
    ],
)
def test_what_the_operator_must_mend_is_named_without_its_place(  # its log has that
    client: TestClient,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
    told: str,
) -> None:
    def fail() -> list[object]:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(application.store, "list", fail)
        answer = error_of(client.get("/v1/collections"), status)
    assert answer["code"] == code
    assert told in answer["message"]
    assert "/srv" not in answer["message"]
    assert "internal" not in answer["message"]
    assert str(error) in caplog.text
    assert client.get("/v1/collections").status_code == 200


def test_every_error_of_the_caller_has_a_row() -> None:
    """Who adds an exception decides here what a client sees of it.

    Those of the command line alone (corpora, stories, simulations, tuning) never reach a client.
    """
    internal = {
        "BotFolderError",
        "CancelledGenerationError",
        "CheckpointError",
        "CorpusError",
        "DamagedDocumentError",
        "DialogError",
        "DriverMissingError",
        "FetchError",
        "FullTextMissingError",
        "IndexFileError",
        "IndexStoreError",
        "KnowledgeError",
        "LLMError",
        "ModelStoreError",
        "OutOfBlocksError",
        "PortableFormatError",
        "ReplayError",
        "SchemaVersionError",
        "SimulationError",
        "StoryError",
        "TimerGoneError",
        "TrainingDataError",
        "TuningError",
        "UndecidableTextError",
        "UnknownWatermarkKeyError",
        "UnreadableEventError",
        "UnsupportedModelError",
        "WatermarkError",
        "WatermarkKeysError",
    }
    defined = {
        name: value
        for module in (dialog_errors, index_errors, llm_errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    missing = {name for name, kind in defined.items() if kind not in TABLE} - internal
    assert not missing
    assert to_request_error(index_errors.IndexStoreError("x")).status == 500


def test_shown_values_are_short_and_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1000)) == 80
