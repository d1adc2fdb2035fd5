import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.application import Application
from api.loading import LoadingGate
from api.web_page import FOLDER
from tests.api.conftest import ME
from tests.api.test_completions import HELLO, error_of


def test_health_is_told_without_detail(client: TestClient, application: Application) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    application.readiness.mark_not_ready("the service is loading")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": "the service is loading"}


def test_a_closed_service_is_not_ready(application: Application) -> None:
    application.close()
    application.close()
    assert application.readiness.reason == "the service is stopping"


def test_the_gate_answers_until_the_application_stands(application: Application) -> None:
    ended: list[bool] = []
    gate = LoadingGate(on_shutdown=lambda: ended.append(True))
    application.readiness.mark_not_ready("not yet")
    with TestClient(gate, base_url="http://127.0.0.1", client=ME) as client:
        assert client.get("/livez").status_code == 200
        gate.readiness.mark_not_ready("the service is loading: weights (1 of 2)")
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "weights" in response.json()["reason"]
        response = client.post("/v1/chat/completions", json=HELLO)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "loading"
        assert response.headers["retry-after"] == "5"
        gate.open(create_app(application), application)
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
    assert ended == [True]


def test_models_are_listed_and_found(client: TestClient) -> None:
    body = client.get("/v1/models").json()
    assert [model["id"] for model in body["data"]] == ["scripted", "hashing"]
    assert client.get("/v1/models/hashing").json()["object"] == "model"
    error = error_of(client.get("/v1/models/owner/name"), 404)
    assert error["code"] == "model_not_found"


def test_the_page_runs_nothing_but_its_own_files(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    html = response.text
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=", html)
    for path in re.findall(r'(?:src|href)="(/[^"#]+)"', html):
        assert client.get(path).status_code == 200, path


def test_files_are_validated_rather_than_sent_again(client: TestClient) -> None:
    first = client.get("/static/favicon.svg")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/static/favicon.svg", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert "default-src" in again.headers["content-security-policy"]


def test_scripts_have_the_type_that_modules_need(client: TestClient) -> None:
    for script in FOLDER.rglob("*.js"):
        response = client.get(f"/static/{script.relative_to(FOLDER).as_posix()}")
        assert response.headers["content-type"].startswith("text/javascript"), script


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/a.py",
    ],
)
def test_only_files_of_the_page_are_served(client: TestClient, path: str) -> None:
    error_of(client.get(path), 404)


def test_the_gate_ignores_what_is_not_http(tmp_path: Path) -> None:
    gate = LoadingGate(on_shutdown=lambda: None)

    async def fail(*_: Any) -> Any:
        raise AssertionError

    asyncio.run(gate({"type": "websocket", "path": "/"}, fail, fail))
