"""Collections out and in over HTTP, and what keeps them well."""

import json
from typing import Any

from starlette.testclient import TestClient

from tests.api.conftest import client_with
from tests.api.test_access import bearer
from tests.api.test_collections_and_documents import make, send
from tests.api.test_completions import error_of

DOCS = "/v1/collections/docs"
MEDIA = {"content-type": "application/x-ndjson"}


def lines_of(client: TestClient, name: str = "docs") -> list[str]:
    answer = client.get(f"/v1/collections/{name}/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return answer.text.splitlines()


def put(client: TestClient, name: str, lines: list[str], **options: Any) -> Any:
    body = "\n".join(lines).encode()
    return client.post(f"/v1/collections/{name}/import", content=body, headers=MEDIA, **options)


def test_a_collection_is_made_with_what_it_declares(client: TestClient) -> None:
    body = {"name": "docs", "language": "french", "metric": "l2", "fields": {"n": "number"}}
    assert client.post("/v1/collections", json=body).status_code == 201
    header = json.loads(lines_of(client)[0])
    assert (header["language"], header["metric"]) == ("french", "l2")
    assert header["fields"] == {"n": "number"}
    for wrong in ({"language": "klingon"}, {"metric": "far"}, {"fields": {"n": "date"}}):
        error_of(client.post("/v1/collections", json={"name": "other", **wrong}), 400)


def test_what_goes_out_comes_in_the_same(client: TestClient) -> None:
    make(client)
    send(client, ("a.txt", "thé".encode()), ("b.txt", b"coffee"))
    lines = lines_of(client)
    assert put(client, "copy", lines).json() == {
        "object": "import", "name": "copy", "num_documents": 2, "num_chunks": 2
    }  # fmt: skip
    assert lines_of(client, "copy")[1:] == lines[1:]
    assert error_of(client.get("/v1/collections/none/export"), 404)


def test_what_is_no_export_is_refused_and_nothing_of_it_is_stored(client: TestClient) -> None:
    make(client)
    send(client, ("a.txt", b"tea"))
    lines = lines_of(client)
    for wrong in ([""], ["{}"], [lines[0], "{}"], [lines[0], lines[1], "x"]):
        assert error_of(put(client, "copy", wrong), 400)["code"] == "invalid_export"
    assert error_of(put(client, "a b", lines), 400)["code"] == "invalid_value"
    other = lines[0].replace('"fingerprint":"', '"fingerprint":"other')
    assert error_of(put(client, "docs", [other]), 409)["code"] == "embedder_mismatch"
    assert error_of(
        client.post(f"{DOCS}/import", content=b"\xff", headers=MEDIA), 400
    )["code"] == "invalid_value"  # fmt: skip
    names = [one["name"] for one in client.get("/v1/collections").json()["data"]]
    assert names == ["docs"]


def test_health_verification_and_purge(client: TestClient) -> None:
    make(client)
    stored = send(client, ("a.txt", b"tea"), ("b.txt", b"coffee")).json()["data"]
    health = client.get(f"{DOCS}/health").json()
    assert (health["object"], health["is_well"], health["recall"]) == ("health", True, None)
    assert health["stats"]["num_documents"] == 2
    assert client.post(f"{DOCS}/verify").json()["problems"] == []
    assert client.post(f"{DOCS}/compact").json()["postponed"] == ""
    assert client.post(f"{DOCS}/repair").json()["is_clean"]
    gone = stored[0]["document_id"]
    assert client.post(f"{DOCS}/purge", json={"document_ids": [gone]}).json()["is_clean"]
    kept = client.post(f"{DOCS}/verify", json={"absent": [stored[1]["document_id"]]}).json()
    assert {one["kind"] for one in kept["problems"]} == {"residue"}
    assert error_of(client.get("/v1/collections/none/health"), 404)
    assert error_of(client.post(f"{DOCS}/purge", json={"document_ids": []}), 400)


def test_what_cannot_be_undone_needs_the_admin_key(tmp_path: Any) -> None:
    with client_with(tmp_path, api_keys=("user-key-1",), admin_key="admin-key-1") as client:
        user, admin = bearer("user-key-1"), bearer("admin-key-1")
        client.post("/v1/collections", json={"name": "docs"}, headers=user)
        for action, body in (
            ("repair", {}),
            ("compact", {}),
            ("purge", {"document_ids": ["x"]}),
            ("tuning", {}),
        ):
            denied = client.post(f"{DOCS}/{action}", json=body, headers=user)
            assert error_of(denied, 403)["code"] == "admin_key_required"
        assert error_of(client.post(f"{DOCS}/tuning", json={}, headers=admin), 400)
        assert client.post(f"{DOCS}/repair", headers=admin).status_code == 200
