import io
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.application import Application
from api.background import IndexingProgress
from api.testing import read_events, wait_until
from rag.document import Document, sha256_hex
from tests.api.test_completions import error_of, index_one

DOCS = "/v1/collections/docs/documents"


def make(client: TestClient, name: str = "docs") -> None:
    assert client.post("/v1/collections", json={"name": name}).status_code == 201


def send(client: TestClient, *files: tuple[str, bytes], **options: Any) -> Any:
    parts = [("file", (name, io.BytesIO(data))) for name, data in files]
    return client.post(DOCS, files=parts, **options)


def test_a_collection_is_made_listed_and_deleted(client: TestClient) -> None:
    response = client.post("/v1/collections", json={"name": "docs"})
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {
        "object",
        "name",
        "num_documents",
        "num_chunks",
        "embedding_model",
        "dim",
        "token_vectors",
        "created_at",
        "indexing",
    }
    assert (made["name"], made["embedding_model"], made["dim"]) == ("docs", "hashing", 64)
    assert client.get("/v1/collections").json() == {"object": "list", "data": [made]}
    assert client.get("/v1/collections/docs").json() == made
    gone = client.delete("/v1/collections/docs").json()
    assert gone == {"name": "docs", "object": "collection", "deleted": True}
    assert error_of(client.get("/v1/collections/docs"), 404)["code"] == "collection_not_found"
    assert error_of(client.delete("/v1/collections/docs"), 404)


def test_chunks_are_listed_in_pages(client: TestClient) -> None:
    make(client)
    send(client, ("a.txt", b"The cat sleeps."), ("b.txt", b"A dog barks."))
    first = client.get("/v1/collections/docs/chunks", params={"limit": 1}).json()
    assert first["has_more"]
    (chunk,) = first["data"]
    assert (chunk["uri"], chunk["start"], chunk["heading_path"]) == ("a.txt", 0, [])
    rest = client.get("/v1/collections/docs/chunks", params={"after": chunk["id"]}).json()
    assert [one["uri"] for one in rest["data"]] == ["b.txt"]
    assert not rest["has_more"]
    assert error_of(client.get("/v1/collections/docs/chunks?limit=0"), 400)["param"] == "limit"
    assert error_of(client.get("/v1/collections/none/chunks"), 404)


def test_a_taken_or_impossible_name_is_refused(client: TestClient) -> None:
    make(client)
    response = client.post("/v1/collections", json={"name": "docs"})
    assert error_of(response, 409)["code"] == "collection_exists"
    assert response.headers["x-should-retry"] == "false"
    for name in ("", "../x", "a b", "x" * 65, "é"):
        error = error_of(client.post("/v1/collections", json={"name": name}), 400)
        assert error["param"] == "name"


def test_a_collection_under_indexing_shows_its_progress_and_is_not_deleted(
    client: TestClient, application: Application
) -> None:
    make(client)
    go_on = threading.Event()

    def documents() -> Any:
        go_on.wait(5)
        yield Document(
            uri="a", title="A", text="One.", media_type="text/plain", source_sha256=sha256_hex(b"a")
        )

    application.background.start("docs", documents, label="library", total=3)
    shown = client.get("/v1/collections/docs").json()["indexing"]
    assert shown == {"phase": "read", "done": 0, "total": 3, "label": "library"}
    assert error_of(client.delete("/v1/collections/docs"), 409)["code"] == "collection_busy"
    go_on.set()
    assert wait_until(lambda: application.background.progress("docs") is None)
    assert client.get("/v1/collections/docs").json()["num_documents"] == 1
    assert IndexingProgress(phase="read", done=0, total=3, label="x").total == 3


def test_files_are_uploaded_and_reported_one_by_one(client: TestClient) -> None:
    make(client)
    response = send(client, ("a.txt", b"The cat sleeps."), ("b.bin", b"\x00\x01\x02" * 50))
    assert response.status_code == 200
    assert response.json()["object"] == "list"
    good, bad = response.json()["data"]
    assert set(good) == {
        "name", "outcome", "reason", "code", "document_id", "num_chunks", "num_embedded",
        "num_reused",
    }  # fmt: skip
    assert (good["code"], bad["code"]) == (None, "unsupported")
    assert (good["name"], good["outcome"], good["num_chunks"]) == ("a.txt", "added", 1)
    assert (bad["name"], bad["outcome"]) == ("b.bin", "failed")
    assert bad["reason"]
    again = send(client, ("a.txt", b"The cat sleeps.")).json()["data"][0]
    assert again["outcome"] == "unchanged"


def test_of_two_files_of_one_name_the_second_fails(client: TestClient) -> None:
    client.post("/v1/collections", json={"name": "docs"})
    files = [
        ("file", ("a.txt", b"The cat sleeps.")),
        ("file", ("a.txt", b"A dog barks.")),
        ("file", ("sub/a.txt", b"A bird sings.")),
    ]
    answer = client.post("/v1/collections/docs/documents", files=files).json()
    assert [file["outcome"] for file in answer["data"]] == ["added", "failed", "added"]
    assert "another file of this upload has this name" in answer["data"][1]["reason"]
    listed = client.get("/v1/collections/docs/documents").json()["data"]
    assert sorted(document["uri"] for document in listed) == ["a.txt", "sub/a.txt"]
    id_ = answer["data"][0]["document_id"]
    assert "cat" in client.get(f"/v1/collections/docs/documents/{id_}").json()["text"]


def test_an_upload_reports_its_progress_as_events(client: TestClient) -> None:
    make(client)
    response = send(client, ("a.txt", b"The cat sleeps."), headers={"accept": "text/event-stream"})
    *progress, report, done = read_events(response.text)
    assert done == "[DONE]"
    assert isinstance(report, dict)
    assert report["data"][0]["outcome"] == "added"
    assert progress
    for event in progress:
        assert isinstance(event, dict)
        assert set(event) == {"name", "phase", "done", "total"}


def test_an_upload_that_crashes_says_so_in_its_stream_and_in_the_log(
    client: TestClient,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is on fire")

    make(client)
    monkeypatch.setattr(application.embedder, "encode", crash)
    response = send(client, ("a.txt", b"The cat sleeps."), headers={"accept": "text/event-stream"})
    last = read_events(response.text)[-1]
    assert isinstance(last, dict)
    assert last["error"]["code"] == "internal_error"
    assert "fire" not in last["error"]["message"]
    assert "fire" in caplog.text


def test_a_file_of_a_folder_keeps_its_place_in_it(client: TestClient) -> None:
    make(client)
    reports = send(client, ("d/a/x.txt", b"One cat."), ("d/b/x.txt", b"Two cats.")).json()["data"]
    assert [report["outcome"] for report in reports] == ["added", "added"]
    uris = {document["uri"] for document in client.get(DOCS).json()["data"]}
    assert uris == {"d/a/x.txt", "d/b/x.txt"}


@pytest.mark.parametrize(
    "name",
    ["../etc/passwd", "/etc/passwd", "a/../../b.txt", "..", "C:x.txt", "a\\..\\b", "x" * 600],
)
def test_a_name_that_leads_out_of_its_folder_is_refused(client: TestClient, name: str) -> None:
    make(client)
    error = error_of(send(client, ("ok.txt", b"One."), (name, b"Two.")), 400)
    assert error["code"] == "invalid_file_name"
    assert client.get(DOCS).json()["data"] == []


def test_an_upload_needs_a_collection_and_files(client: TestClient) -> None:
    error = error_of(send(client, ("a.txt", b"One.")), 404)
    assert error["code"] == "collection_not_found"
    make(client)
    assert error_of(client.post(DOCS, json={"file": "x"}), 400)["param"] == "file"
    assert error_of(client.post(DOCS, files={"other": ("a.txt", b"x")}), 400)["param"] == "other"
    assert error_of(client.post(DOCS, data={"file": "x"}, files={"file": ("", b"")}), 400)
    broken = {"content-type": "multipart/form-data"}
    assert error_of(client.post(DOCS, content=b"x", headers=broken), 400)


def test_documents_are_paged_read_and_deleted(client: TestClient) -> None:
    make(client)
    send(client, *[(f"{i}.txt", f"Text number {i}, été.".encode()) for i in range(5)])
    page = client.get(DOCS, params={"limit": 2}).json()
    assert len(page["data"]) == 2
    assert page["has_more"] is True
    rest = client.get(DOCS, params={"after": page["data"][-1]["id"]}).json()
    assert rest["has_more"] is False
    everything = page["data"] + rest["data"]
    assert {document["uri"] for document in everything} == {f"{i}.txt" for i in range(5)}
    first = everything[0]
    assert set(first) == {
        "object",
        "id",
        "uri",
        "title",
        "media_type",
        "num_bytes",
        "num_chunks",
        "created_at",
        "metadata",
    }
    whole = client.get(f"{DOCS}/{first['id']}").json()
    assert whole["text"].startswith("Text number")
    gone = client.delete(f"{DOCS}/{first['id']}").json()
    assert gone == {"id": first["id"], "object": "document", "deleted": True}
    error = error_of(client.get(f"{DOCS}/{first['id']}"), 404)
    assert error["code"] == "document_not_found"
    assert error_of(client.get(DOCS, params={"limit": 0}), 400)["param"] == "limit"


def test_a_passage_is_cut_at_bytes_and_shown_with_its_surroundings(client: TestClient) -> None:
    make(client)
    text = "Été à Paris: the cat sleeps. Fin d'été."
    send(client, ("a.txt", text.encode()))
    (document,) = client.get(DOCS).json()["data"]
    data = text.encode()
    start = data.index(b"the cat")
    end = start + len(b"the cat sleeps.")
    url = f"{DOCS}/{document['id']}/passage"
    found = client.get(url, params={"start": start, "end": end, "context": 6}).json()
    assert found["text"] == "the cat sleeps."
    assert found["before"] == "aris: "
    assert found["after"] == " Fin d"
    assert found["text_sha256"] == sha256_hex(data)
    whole = client.get(url, params={"start": start, "end": end}).json()
    assert whole["before"] + whole["text"] + whole["after"] == text
    # A context that would cut a character leaves it out.
    assert client.get(url, params={"start": 3, "end": 5, "context": 2}).json()["before"] == "t"


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (0, 10_000), (1, 4)])
def test_an_impossible_span_is_refused(client: TestClient, start: int, end: int) -> None:
    make(client)
    send(client, ("a.txt", "Été à Paris.".encode()))
    (document,) = client.get(DOCS).json()["data"]
    url = f"{DOCS}/{document['id']}/passage"
    error = error_of(client.get(url, params={"start": start, "end": end}), 400)
    assert error["code"] == "invalid_span"


def test_a_search_returns_the_nearest_passages(client: TestClient) -> None:
    make(client)
    send(client, ("cat.txt", b"The cat sleeps."), ("dog.txt", b"A dog barks loudly."))
    body = client.post("/v1/collections/docs/search", json={"query": "cat sleeps", "k": 1}).json()
    (hit,) = body["data"]
    assert hit["uri"] == "cat.txt"
    assert hit["rank"] == 1
    assert set(hit) == {
        "rank",
        "score",
        "collection",
        "document_id",
        "title",
        "uri",
        "start",
        "end",
        "text",
        "heading_path",
        "highlights",
    }
    assert [hit["text"][start:end] for start, end in hit["highlights"]] == ["cat", "sleeps"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": " "}, "query"),
        ({"query": "x", "k": 0}, "k"),
        ({"query": "x", "k": 999}, "k"),
        ({}, "query"),
    ],
)
def test_a_bad_search_is_refused(client: TestClient, body: dict[str, Any], param: str) -> None:
    make(client)
    assert error_of(client.post("/v1/collections/docs/search", json=body), 400)["param"] == param


def test_a_collection_of_another_embedder_is_not_searched(
    client: TestClient, application: Application
) -> None:
    application.store.create("old", embedder="other", fingerprint="other-1", dim=64)
    response = client.post("/v1/collections/old/search", json={"query": "x"})
    assert error_of(response, 409)["code"] == "embedder_mismatch"


def test_a_search_is_narrowed_by_a_filter(client: TestClient) -> None:
    make(client)
    send(client, ("cat.txt", b"The cat sleeps."), ("dog.txt", b"A dog barks loudly."))

    def found(condition: dict[str, Any]) -> tuple[list[str], bool, int]:
        body = {"query": "cat sleeps", "filter": condition}
        answer = client.post("/v1/collections/docs/search", json=body).json()
        return [hit["uri"] for hit in answer["data"]], answer["complete"], answer["scanned"]

    assert found({"not": {"eq": {"document.uri": "cat.txt"}}}) == (["dog.txt"], True, 1)
    assert found({"match": "bark*"}) == (["dog.txt"], True, 1)
    assert found({"exists": "nothing"}) == ([], True, 0)
    body = {"query": "x", "filter": {"equals": {"a": 1}}}
    error = error_of(client.post("/v1/collections/docs/search", json=body), 400)
    assert error["code"] == "invalid_filter"
    assert error["param"] == "filter"
    assert "filter has the unknown key 'equals'" in error["message"]


def test_a_collection_declares_its_language_and_fields(client: TestClient) -> None:
    body = {"name": "haus", "language": "german", "fields": {"year": "number"}}
    assert client.post("/v1/collections", json=body).status_code == 201
    body = {"query": "Haus", "filter": {"eq": {"year": "neu"}}}
    error = error_of(client.post("/v1/collections/haus/search", json=body), 400)
    assert "field 'year' is declared as number" in error["message"]
    for wrong, param in (
        ({"name": "x", "fields": {"document.uri": "text"}}, "fields"),
        ({"name": "x", "fields": {"a b": "text"}}, "fields"),
        ({"name": "x", "language": "klingon"}, "language"),
    ):
        assert error_of(client.post("/v1/collections", json=wrong), 400)["param"] == param


def test_an_empty_collection_is_searched_in_vain(client: TestClient) -> None:
    make(client)
    response = client.post("/v1/collections/docs/search", json={"query": "x"})
    assert response.json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "hashing", "input": []}, "input"),
        ({"model": "hashing", "input": ["a", " "]}, "input[1]"),
        ({"model": "hashing", "input": [1, 2]}, "input"),
        ({"model": "hashing", "input": "word " * 300}, "input[0]"),
        ({"model": "hashing", "input": "a", "dimensions": 3}, "dimensions"),
        ({"model": "hashing", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_bad_embedding_requests_are_refused(
    client: TestClient, body: dict[str, Any], param: str
) -> None:
    assert error_of(client.post("/v1/embeddings", json=body), 400)["param"] == param


def test_the_embeddings_of_an_unknown_model_are_a_404(client: TestClient) -> None:
    body = {"model": "scripted", "input": "a"}
    assert error_of(client.post("/v1/embeddings", json=body), 404)["code"] == "model_not_found"


def test_a_conversation_is_kept_with_its_citations(
    client: TestClient, application: Application
) -> None:
    index_one(application)
    response = client.post("/v1/conversations", json={"collection": "docs"})
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {
        "object",
        "id",
        "title",
        "collection",
        "created_at",
        "updated_at",
        "num_turns",
    }
    asked = {
        "model": "scripted",
        "messages": [{"role": "user", "content": "What is a closure?"}],
        "causerie": {"conversation": made["id"]},
    }
    client.post("/v1/chat/completions", json=asked)
    kept = client.get(f"/v1/conversations/{made['id']}").json()
    assert kept["title"] == "What is a closure?"
    assert kept["num_turns"] == 1
    question, answer = kept["messages"]
    assert (question["role"], question["content"]) == ("user", "What is a closure?")
    assert (answer["role"], answer["content"]) == ("assistant", "It is so.")
    assert answer["citations"][0]["uri"] == "scope.txt"
    assert answer["timings"]["tokens_per_s"] == 6.0
    assert answer["created_at"]
    (listed,) = client.get("/v1/conversations").json()["data"]
    assert listed["id"] == made["id"]
    gone = client.delete(f"/v1/conversations/{made['id']}").json()
    assert gone == {"id": made["id"], "object": "conversation", "deleted": True}
    assert error_of(client.get(f"/v1/conversations/{made['id']}"), 404)


def test_a_conversation_over_an_unknown_collection_is_refused(client: TestClient) -> None:
    response = client.post("/v1/conversations", json={"collection": "nope"})
    assert error_of(response, 404)["code"] == "collection_not_found"
