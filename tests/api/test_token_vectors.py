"""Token vectors of a collection over HTTP."""

from fastapi.testclient import TestClient


def test_a_collection_may_keep_token_vectors(client: TestClient) -> None:
    made = client.post("/v1/collections", json={"name": "docs", "token_vectors": True}).json()
    assert made["token_vectors"] == 32
    sent = client.post(
        "/v1/collections/docs/documents", files=[("file", ("a.txt", b"The cat sleeps."))]
    )
    assert sent.status_code < 300
    stats = client.get("/v1/collections/docs/health").json()["stats"]
    assert (
        stats["token_bytes"] == 4 * made["dim"]
    )  # three words and a mark; the name of a file is no title
    assert client.post("/v1/collections", json={"name": "plain"}).json()["token_vectors"] == 0
