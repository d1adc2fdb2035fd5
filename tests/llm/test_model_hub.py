"""Repositories of a hub, from a server on loopback that speaks the hub's paths."""

import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from llm.errors import FetchError, UnknownModelError
from llm.model_catalog import HubSource, ModelKind
from llm.model_hub import parse_hub_id
from llm.model_store import ModelState, ModelStore

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LAYOUT = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"\0" * 5_000,
    "1_Pooling/config.json": b"{}",
    "README.md": b"# card",
    "LICENSE": b"words",
    "pytorch_model.bin": b"code",
    "modeling_tiny.py": b"1/0",
    "onnx/config.json": b"{}",
}


class Hub:
    """A hub with one repository, `owner/tiny`; `damage` names a file that is served wrongly."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.listed: list[str] = list(files)
        self.damage = ""
        self.requests: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.answer(self, has_body=False)

            def do_GET(self) -> None:
                hub.answer(self, has_body=True)

            def log_message(self, *args: object) -> None: ...

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler, *, has_body: bool) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        self.requests.append(path)
        info = "/api/models/owner/tiny"
        resolve = f"/owner/tiny/resolve/{COMMIT}/"
        if path in {info, f"{info}/revision/main", f"{info}/revision/{COMMIT}"}:
            self.send(handler, 200, self.info(), {}, has_body=has_body)
        elif path.startswith(f"{info}/revision/"):
            self.send(handler, 404, b"", {"X-Error-Code": "RevisionNotFound"}, has_body=has_body)
        elif path.startswith(resolve) and (name := path.removeprefix(resolve)) in self.files:
            data = self.files[name]
            headers = {"ETag": f'"{blob_id(data)}"', "X-Repo-Commit": COMMIT}
            if name == self.damage:
                data = b"?" * len(data)
            self.send(handler, 200, data, headers, has_body=has_body)
        else:
            self.send(handler, 404, b"", {"X-Error-Code": "RepoNotFound"}, has_body=has_body)

    def send(
        self,
        handler: http.server.BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        *,
        has_body: bool,
    ) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if has_body:
            handler.wfile.write(body)

    def info(self) -> bytes:
        siblings = []
        for name in self.listed:
            data = self.files.get(name, b"")
            sibling: dict[str, object] = {
                "rfilename": name,
                "size": len(data),
                "blobId": blob_id(data),
            }
            if name.endswith((".safetensors", ".gguf", ".bin")):
                sha256 = hashlib.sha256(data).hexdigest()
                sibling["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(sibling)
        return json.dumps(
            {
                "id": "owner/tiny",
                "sha": COMMIT,
                "private": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": siblings,
                "cardData": {"license": "mit"},
            }
        ).encode()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    hub = Hub(dict(LAYOUT))
    yield hub
    hub.close()


@pytest.fixture
def store(tmp_path: Path, hub: Hub) -> ModelStore:
    return ModelStore(tmp_path, endpoint=hub.endpoint)


def fetched(store: ModelStore) -> list[str]:
    folder = store.folder / "hub"
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    )


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("owner/name", HubSource(repo_id="owner/name")),
        ("hf:owner/name", HubSource(repo_id="owner/name")),
        ("hf:o/n@v1.0", HubSource(repo_id="o/n", revision="v1.0")),
        ("o/n@refs/pr/1", HubSource(repo_id="o/n", revision="refs/pr/1")),
        ("o/n/q4/m.gguf@x", HubSource(repo_id="o/n", revision="x", file="q4/m.gguf")),
        ("name", None),
        ("/etc/passwd", None),
        ("o/n/m.bin", None),
        ("o/..", None),
        ("o/n@../../x", None),
        ("o/n/../../m.gguf", None),
    ],
)
def test_hub_ids_are_read_and_other_text_is_not(text: str, source: HubSource | None) -> None:
    assert parse_hub_id(text) == source
    if source is not None:
        assert parse_hub_id(str(source)) == source


def test_a_repository_is_fetched_without_pickles_and_code(store: ModelStore, hub: Hub) -> None:
    seen: list[tuple[int, int, str]] = []
    path = store.resolve("owner/tiny", lambda *args: seen.append(args))
    assert path == store.folder / "hub" / "owner--tiny@main"
    assert fetched(store) == [
        f"owner--tiny@main/{name}"
        for name in sorted(
            [
                "1_Pooling/config.json",
                "LICENSE",
                "causerie-model.json",
                "config.json",
                "model.safetensors",
                "tokenizer.json",
            ]
        )
    ]
    assert (path / "model.safetensors").read_bytes() == LAYOUT["model.safetensors"]
    assert not any(name.endswith((".bin", ".py")) for name in hub.requests)
    assert seen[-1][0] == seen[-1][1] > 5_000
    stored = store.list()[-1]
    assert stored.card.name == "hf:owner/tiny@main"
    assert (stored.card.kind, stored.card.license) == (ModelKind.CHAT, "mit")
    assert store.verify("owner/tiny").state is ModelState.PRESENT


def test_a_repository_that_is_here_asks_the_hub_nothing(store: ModelStore, hub: Hub) -> None:
    path = store.resolve("owner/tiny")
    hub.requests.clear()
    assert store.resolve("hf:owner/tiny@main") == path
    assert store.path("owner/tiny") == path
    assert hub.requests == []


def test_a_file_that_was_lost_is_fetched_again(store: ModelStore) -> None:
    path = store.resolve("owner/tiny")
    (path / "tokenizer.json").unlink()
    assert store.info("owner/tiny").state is ModelState.DAMAGED
    assert (store.resolve("owner/tiny") / "tokenizer.json").is_file()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_bytes_with_another_hash_are_refused(store: ModelStore, hub: Hub, name: str) -> None:
    hub.damage = name
    with pytest.raises(FetchError, match=rf"{name} of hf:owner/tiny@main has hash "):
        store.resolve("owner/tiny")
    assert fetched(store) == []


def test_a_hub_that_is_out_of_reach_is_one_sentence(store: ModelStore, hub: Hub) -> None:
    store = ModelStore(store.home, endpoint="http://127.0.0.1:1")
    with pytest.raises(FetchError, match="could not fetch hf:owner/tiny@main") as caught:
        store.resolve("owner/tiny")
    assert "check the network or HF_ENDPOINT" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fetched(store) == []


def test_offline_mode_is_one_sentence(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="offline mode is enabled"):
        store.resolve("owner/tiny")


def test_an_unknown_repository_and_revision_are_named(store: ModelStore) -> None:
    with pytest.raises(UnknownModelError, match="knows no repository 'owner/other'"):
        store.resolve("owner/other")
    with pytest.raises(UnknownModelError, match="owner/tiny has no revision 'v9'"):
        store.resolve("owner/tiny@v9")
    assert fetched(store) == []


def test_of_several_gguf_files_one_must_be_named(store: ModelStore, hub: Hub) -> None:
    hub.files = {"a.gguf": b"GGUF" + b"a" * 90, "q/b.gguf": b"GGUF" + b"b" * 90}
    hub.listed = list(hub.files)
    with pytest.raises(UnknownModelError, match=r"2 GGUF files; name one, such as hf:owner/tiny/a"):
        store.resolve("owner/tiny")
    path = store.resolve("owner/tiny/q/b.gguf")
    assert path.read_bytes() == hub.files["q/b.gguf"]
    with pytest.raises(UnknownModelError, match=r"has no file 'c\.gguf'"):
        store.resolve("owner/tiny/c.gguf")


def test_a_repository_of_pickles_only_is_refused(store: ModelStore, hub: Hub) -> None:
    hub.listed = ["config.json", "pytorch_model.bin"]
    with pytest.raises(UnknownModelError, match="convert it to safetensors"):
        store.resolve("owner/tiny")


def test_names_that_leave_the_folder_are_never_asked_for(store: ModelStore, hub: Hub) -> None:
    """A listing is the server's word; a path in it could point anywhere."""
    hub.listed += ["../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json"]
    store.resolve("owner/tiny")
    assert not any("evil" in path for path in hub.requests)


def test_a_text_encoder_is_told_by_its_architecture(store: ModelStore, hub: Hub) -> None:
    hub.files["config.json"] = b'{"architectures": ["BertModel"]}'
    store.resolve("owner/tiny")
    assert store.list()[-1].card.kind is ModelKind.EMBEDDING
