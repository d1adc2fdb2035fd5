from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.access import Keyring, owner_of
from api.app import create_app
from api.application import Application
from api.error_table import RequestError
from api.errors import ConfigurationError
from api.testing import application_of_doubles
from tests.api.conftest import ME, client_with, local_client
from tests.api.test_completions import HELLO, error_of

KEYS = {"api_keys": ("alpha-key", "beta-key-2")}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_keys_this_machine_needs_none(client: TestClient) -> None:
    assert client.get("/v1/models").status_code == 200


def test_without_keys_another_machine_is_refused(application: Application) -> None:
    with TestClient(
        create_app(application), base_url="http://127.0.0.1", client=("192.0.2.7", 4000)
    ) as stranger:
        error = error_of(stranger.get("/v1/models"), 403)
    assert error["type"] == "permission_error"
    assert "CAUSERIE_API_KEYS" in error["message"]


def test_another_host_without_keys_refuses_to_start(tmp_path: Path) -> None:
    with (
        application_of_doubles(tmp_path, host="0.0.0.0") as built,
        pytest.raises(ConfigurationError, match="CAUSERIE_API_KEYS"),
    ):
        create_app(built)


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("wrong"), {"authorization": "Basic alpha-key"}, bearer(""), bearer("alpha-ke")],
)
def test_with_keys_everything_but_health_and_page_needs_one(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with client_with(tmp_path, **KEYS) as client:
        for path in ("/v1/models", "/v1/conversations", "/openapi.json", "/nowhere"):
            response = client.get(path, headers=headers)
            error = error_of(response, 401)
            assert error["type"] == "authentication_error"
            assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz", "/", "/static/favicon.svg"):
            assert client.get(path, headers=headers).status_code == 200, path


def test_every_key_is_let_in_and_sees_its_own_conversations(tmp_path: Path) -> None:
    with client_with(tmp_path, **KEYS, admin_key="admin-key-3") as client:
        made = client.post("/v1/conversations", json={}, headers=bearer("alpha-key")).json()
        path = f"/v1/conversations/{made['id']}"
        assert client.get(path, headers=bearer("alpha-key")).status_code == 200
        assert error_of(client.get(path, headers=bearer("beta-key-2")), 404)
        assert error_of(client.delete(path, headers=bearer("beta-key-2")), 404)
        listed = client.get("/v1/conversations", headers=bearer("beta-key-2")).json()
        assert listed["data"] == []
        listed = client.get("/v1/conversations", headers=bearer("admin-key-3")).json()
        assert [c["id"] for c in listed["data"]] == [made["id"]]


def test_the_admin_owns_conversations_like_anybody_and_sees_all(tmp_path: Path) -> None:
    with application_of_doubles(tmp_path, **KEYS, admin_key="admin-key-3") as built:
        with local_client(built) as client:
            admin, other = bearer("admin-key-3"), bearer("alpha-key")
            own = client.post("/v1/conversations", json={}, headers=admin).json()["id"]
            theirs = client.post("/v1/conversations", json={}, headers=other).json()["id"]
            for id_ in (own, theirs):
                body = {**HELLO, "causerie": {"conversation": id_}}
                answer = client.post("/v1/chat/completions", json=body, headers=admin)
                assert answer.status_code == 200
                path = f"/v1/conversations/{id_}"
                assert len(client.get(path, headers=admin).json()["messages"]) == 2
            assert error_of(client.get(f"/v1/conversations/{own}", headers=other), 404)
        (kept,) = built.sessions.list(owner_of("admin-key-3"))
        assert kept.id == own
        assert built.sessions.list(owner_of("alpha-key"))[0].id == theirs


def test_deleting_a_collection_needs_the_admin_key_once_there_is_one(tmp_path: Path) -> None:
    with client_with(tmp_path, **KEYS, admin_key="admin-key-3") as client:
        client.post("/v1/collections", json={"name": "docs"}, headers=bearer("alpha-key"))
        for path in ("/v1/collections/docs", "/v1/collections/docs/documents/x"):
            error = error_of(client.delete(path, headers=bearer("alpha-key")), 403)
            assert error["code"] == "admin_key_required"
        response = client.delete("/v1/collections/docs", headers=bearer("admin-key-3"))
        assert response.json() == {"name": "docs", "object": "collection", "deleted": True}
    with client_with(tmp_path, **KEYS) as client:
        client.post("/v1/collections", json={"name": "more"}, headers=bearer("alpha-key"))
        response = client.delete("/v1/collections/more", headers=bearer("beta-key-2"))
        assert response.status_code == 200


def test_the_keyring_knows_owners_by_a_hash_only() -> None:
    ring = Keyring(["alpha-key"], "admin-key")
    caller = ring.caller("bearer alpha-key")
    assert caller.owner == owner_of("alpha-key")
    assert "alpha" not in caller.owner
    assert not caller.is_admin
    assert ring.caller("Bearer admin-key").owner == owner_of("admin-key")
    with pytest.raises(RequestError, match="typos"):
        ring.caller("Bearer other")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "",
        "[::1",
        "a b",
    ],
)
def test_a_rebound_name_reaches_nothing(client: TestClient, host: str) -> None:
    """DNS rebinding: a page under its own name, pointed at a loopback address."""
    for path in ("/v1/models", "/", "/livez"):
        error = error_of(client.get(path, headers={"host": host}), 421)
        assert error["code"] == "unknown_host"
        assert "CAUSERIE_ALLOWED_HOSTS" in error["message"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9", "localhost:8000", "LOCALHOST", "[::1]:8000", "my.name:1"]
)
def test_own_names_and_allowed_ones_are_answered(tmp_path: Path, host: str) -> None:
    with client_with(tmp_path, allowed_hosts=("my.name",)) as client:
        assert client.get("/v1/models", headers={"host": host}).status_code == 200


def test_a_served_network_address_can_be_asked_by_address_but_not_by_unknown_name(
    tmp_path: Path,
) -> None:
    with client_with(tmp_path, host="0.0.0.0", **KEYS) as client:
        headers = bearer("alpha-key")
        assert client.get("/v1/models", headers={**headers, "host": "10.0.0.3:8000"}).is_success
        assert error_of(client.get("/v1/models", headers={**headers, "host": "evil.example"}), 421)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001", "file://"],
)
def test_a_page_from_elsewhere_is_refused(client: TestClient, origin: str) -> None:
    response = client.post("/v1/collections", json={"name": "x"}, headers={"origin": origin})
    error = error_of(response, 403)
    assert error["code"] == "origin_not_allowed"
    assert client.get("/v1/collections").json()["data"] == []


def test_our_own_page_is_served(client: TestClient) -> None:
    headers = {"origin": "http://127.0.0.1:8000"}
    assert client.get("/v1/models", headers=headers).status_code == 200


def test_an_allowed_origin_may_ask_and_read(tmp_path: Path) -> None:
    with client_with(tmp_path, allowed_origins=("https://app.example",), **KEYS) as client:
        asked: dict[str, Any] = {
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        }
        preflight = client.options("/v1/chat/completions", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        headers = {"origin": "https://app.example"}
        answer = client.get("/v1/models", headers={**headers, **bearer("alpha-key")})
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        # Errors can be read as well, else the page would only learn that something failed.
        refused = client.get("/v1/models", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example"


def test_answers_carry_headers_that_keep_browsers_from_misuse(client: TestClient) -> None:
    for path in ("/v1/models", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_the_test_client_stands_for_this_machine() -> None:
    assert ME[0] == "127.0.0.1"
